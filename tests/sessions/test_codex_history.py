"""What the real Codex lists and continues of its sessions, after switches and after a join."""

from __future__ import annotations

import contextlib
import json
import random
import sqlite3
from pathlib import Path

import pytest
from support import cc, clients
from support.clients import CODEX_VERSIONS, run_codex, version_key
from support.provider import Provider

pytestmark = pytest.mark.clients
SHARED = [v for v in CODEX_VERSIONS if version_key(v) >= (0, 134)]
NAMES = [f"p{n}" for n in range(5)]


class Codex:
    """One release with its home, a provider for each profile, and a folder to work in."""

    def __init__(self, version: str, home: Path, provider: Provider) -> None:
        self.version, self.home, self.provider = version, home, provider
        self.env = clients.path_with("codex", version)
        self.work = home / "work"
        self.work.mkdir(parents=True)

    def cc(self, *argv: str) -> cc.Result:
        done = cc.run(self.home, *argv, env=self.env)
        assert done.ok, done
        return done

    def init(self, name: str, *more: str) -> None:
        url = self.provider.url(f"/{name}/v1")
        made = ("-p", "custom", "-n", name, "-T", "codex", "-u", url, "-M", f"m-{name}", "-k", f"sk-{name}-0123456789")
        self.cc("init", "-s", *made, *more)

    def say(self, text: str, *args: str) -> tuple[str, str]:
        """Say *text*; return the path and the whole input that the provider got."""
        self.provider.clear()
        done = run_codex(self.version, self.home, text, args=args, cwd=self.work, env=self.env)
        assert done.ok, done
        (call,) = self.provider.of("responses")
        (credential,) = call.credentials
        assert credential[1] == f"Bearer sk-{call.prefix.split('/')[1]}-0123456789"
        return call.prefix, json.dumps(call.body["input"])

    def threads(self) -> dict[str, str]:
        """Return each session's id, by its first words."""
        (path,) = (self.home / ".codex").glob("state_*.sqlite")
        with contextlib.closing(sqlite3.connect(path)) as db:
            return {row[1]: row[0] for row in db.execute("SELECT id, title FROM threads")}

    def listed(self) -> set[str]:
        """Return the ids that the app server lists for the provider in use, as the picker asks for them."""
        answers = clients.app_server(
            self.version, self.home, [("thread/list", {"sourceKinds": ["exec"], "limit": 100})]
        )
        return {thread["id"] for thread in answers[0]["data"]}


@pytest.mark.parametrize("version", SHARED)
def test_sessions_are_found_after_any_switch(tmp_path: Path, provider: Provider, version: str) -> None:
    """Twelve sessions under five providers: after each switch all are listed, and each one is continued."""
    codex, by_chance = Codex(version, tmp_path / "home", provider), random.Random(14)
    for name in NAMES:
        codex.init(name)
    for number in range(12):
        codex.cc("config-switch", by_chance.choice(NAMES))
        codex.say(f"session-{number:02}-begins")
    threads = codex.threads()
    last = "session-11-begins"
    assert len(threads) == 12
    for number in range(20):
        name = by_chance.choice(NAMES)
        codex.cc("config-switch", name)
        assert codex.listed() == set(threads.values()), name
        if number % 2:
            prefix, said = codex.say("go on", "resume", "--last")
        else:
            last = by_chance.choice(sorted(threads))
            prefix, said = codex.say("go on", "resume", threads[last])
        assert prefix == f"/{name}/v1"
        assert last in said
        assert not any(other in said for other in threads if other != last)


@pytest.mark.parametrize("version", CODEX_VERSIONS)
def test_joined_sessions_are_continued_by_the_real_codex(tmp_path: Path, provider: Provider, version: str) -> None:
    """Sessions of three former providers and of one's own: all listed in their order, continued, and taken back."""
    codex = Codex(version, tmp_path / "home", provider)
    for number, name in enumerate(NAMES[:3]):
        codex.init(name, "--provider-id", f"ccsetup-old-{name}")
        codex.say(f"session-{number:02}-begins")
        codex.say(f"session-{number + 3:02}-begins")
    codex.init("now")
    threads = codex.threads()
    assert codex.listed() == set()
    assert codex.cc("history", "join", "--json").json["result"]["sessions"] == 6
    assert codex.listed() == set(threads.values())
    last = "session-05-begins"
    prefix, said = codex.say("go on", "resume", "--last")
    assert (prefix, last in said) == ("/now/v1", True)
    for words, thread in threads.items():
        prefix, said = codex.say("and on", "resume", thread)
        assert prefix == "/now/v1"
        assert words in said
        if words == "session-02-begins":
            break
    continued = [w for w in threads if w == last] + list(threads)[: list(threads).index("session-02-begins") + 1]
    done = codex.cc("history", "undo", "--json").json["result"]
    assert done["sessions"] + done["kept"] == 6
    assert done["kept"] == len({*continued})
    assert codex.listed() == {threads[w] for w in continued}
