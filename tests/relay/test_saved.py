"""A relay whose upstreams are the saved profiles: it follows as they are saved, changed and removed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from support import cc, drill, waiting
from support.drill import PATHS, Streaming, Upstream, asking, understood
from support.led import Held, answered, soon, use
from support.relay import Relay, upstream

FAST = {"attempts": 4, "same": 0, "backoff": 0, "jitter": 0}


class Profiles(Relay):
    """A relay of saved profiles, in a home of its own."""

    def __init__(self, home: Path, *entries: dict[str, Any], **settings: Any) -> None:
        super().__init__(home, entries, **{"from": "profiles", **settings})
        if not entries:
            del self.settings["upstreams"]

    def ran(self, *argv: str, **more: Any) -> cc.Result:
        done = cc.run(self.home, *argv, **more)
        assert done.ok, done
        return done

    def save(self, up: Upstream, *more: str, client: str = "codex", model: str = "", key: str = "") -> None:
        url = up.url("anthropic" if client == "claude-code" else "responses")
        key = key or f"sk-{up.name}-0123456789abcdef"
        self.ran(
            "init", "-s", "-p", "custom", "-n", up.name, "-u", url, "-k", key, "-M", model or f"{up.name}-1",
            "-T", client, "--no-activate", *more,
        )  # fmt: skip

    def ids(self) -> dict[str, str]:
        """Return the models that clients can ask for, each with its owner."""
        return {one["id"]: one["owned_by"] for one in self.get("/v1/models").json["data"]}

    def names(self) -> list[str]:
        return [one["name"] for one in self.control("GET", "status")["upstreams"]]


def test_every_listed_model_of_five_profiles_is_answered_by_its_owner(tmp_path: Path) -> None:
    """In three formats, streaming and not."""
    relay = Profiles(tmp_path)
    with ExitStack() as stack:
        ups = {name: stack.enter_context(Upstream(name)) for name in ("a", "b", "c", "d", "e")}
        for name, up in ups.items():
            relay.save(up, client="claude-code" if name in "ab" else "codex")
        relay.ran("init", "-s", "-n", "a", "--haiku-model", "a-small", "-T", "claude-code", "--no-activate")
        stack.enter_context(relay)
        listed = relay.ids()
        assert listed == {"a-1": "a", "a-small": "a", "b-1": "b", "c-1": "c", "d-1": "d", "e-1": "e"}
        for model, owner in listed.items():
            for kind in PATHS:
                for stream in (False, True):
                    got = relay.post(PATHS[kind], asking(kind, model, stream=stream))
                    assert understood(kind, got.body, stream=stream).text == ups[owner].said.text
                    assert ups[owner].requests[-1].json["model"] == model
        use(relay, "tiers", "--opus", "c", "--sonnet", "b", "--haiku", "a/a-small")
        soon(relay, "c/c-1", "ccsetup-opus")
        assert answered(relay, "ccsetup-sonnet", "anthropic") == "b/b-1"
        assert answered(relay, "ccsetup-haiku", "anthropic", stream=True) == "a/a-small"


def test_a_profile_saved_changed_or_removed_later_is_taken_over(tmp_path: Path) -> None:
    """By the relay that runs, with its key; without any other command."""
    with Upstream("a") as a, Upstream("b") as b, Profiles(tmp_path) as relay:
        assert (relay.names(), relay.ids()) == ([], {})
        refused = relay.post(PATHS["chat"], asking("chat", "ccsetup-default"))
        assert refused.status == 404
        relay.save(a)
        soon(relay, "a/a-1")
        relay.save(b, client="claude-code")
        waiting.until(lambda: relay.names() == ["a", "b"])
        relay.save(a, model="a-9", key="sk-another-0123456789abcdef")
        waiting.until(lambda: "a-9" in relay.ids())
        assert answered(relay, "ccsetup-default") == "a/a-9"
        assert ("authorization", "Bearer sk-another-0123456789abcdef") in a.requests[-1].header_list
        relay.ran("profile", "rename", "b", "bee")
        waiting.until(lambda: relay.names() == ["a", "bee"])
        assert answered(relay, "bee/b-1", "anthropic") == "bee/b-1"
        relay.ran("profile", "rm", "a", "-y")
        waiting.until(lambda: relay.names() == ["bee"])
        assert relay.post(PATHS["chat"], asking("chat", "a-9")).status == 404
        relay.ran("undo")
        waiting.until(lambda: "a-9" in relay.ids())
        assert answered(relay, "a-9") == "/a-9"


@pytest.mark.parametrize("kind", PATHS)
def test_the_streams_of_a_removed_profile_end_and_others_go_on(tmp_path: Path, kind: str) -> None:
    """The client is told in its own format; what looks finished never was cut."""
    relay = Profiles(tmp_path)
    with Upstream("a") as a, Upstream("b") as b:
        relay.save(a)
        relay.save(b, client="claude-code")
        with relay:
            held = a.failure = b.failure = Held()
            streams = [
                Streaming(relay.url, PATHS[kind], asking(kind, f"{name}-1", stream=True), relay.key) for name in "ab"
            ]
            with streams[0] as cut, streams[1] as whole:
                for stream in (cut, whole):
                    stream.until(b"I am")
                relay.ran("profile", "rm", "a", "-y")
                ended = understood(kind, cut.rest(), stream=True)
                assert (ended.finished, "was removed" in ended.error) == (False, True), cut.read
                held.go.set()
                assert understood(kind, whole.rest(), stream=True).text == b.said.text
            rows = relay.rows(2)
            assert {(row["upstream"], row["error"]) for row in rows} == {("a", "removed"), ("b", "")}
            assert relay.get("/healthz").status == 200


@pytest.mark.parametrize("kind", PATHS)
def test_who_waits_for_a_removed_profile_is_told(tmp_path: Path, kind: str) -> None:
    """An answer that has not begun is an error, and never another account's."""
    relay = Profiles(tmp_path)
    with Upstream("a") as a, Upstream("b") as b:
        for up in (a, b):
            relay.save(up)
        with relay, ThreadPoolExecutor(2) as clients:
            a.failure = drill.BEFORE["silent"]
            waits = [
                clients.submit(relay.post, PATHS[kind], asking(kind, "a-1", stream=stream)) for stream in (True, False)
            ]
            waiting.until(lambda: len(a.requests) == 2)
            relay.ran("profile", "rm", "a", "-y")
            got = [one.result() for one in waits]
            a.closing.set()
        assert [(one.status, "was removed" in one.body.decode()) for one in got] == [(503, True)] * 2
        assert b.requests == []


def test_no_profile_answers_for_another_unless_the_file_says_so(tmp_path: Path) -> None:
    """Accounts may be private, or dear."""
    relay = Profiles(tmp_path, retry=FAST)
    with Upstream("a") as a, Upstream("b") as b, Upstream("c") as c:
        for up in (a, b, c):
            relay.save(up)
        with relay:
            a.failure = drill.status(500, "no")
            for model in ("a-1", "ccsetup-default", "claude-opus-9", "a/a-1"):
                assert relay.post(PATHS["chat"], asking("chat", model)).status == 500
            assert (b.requests, c.requests) == ([], [])
            relay.write(failover=["c"])
            waiting.until(lambda: relay.post(PATHS["chat"], asking("chat", "a-1")).status == 200)
            assert answered(relay, "a-1") == "c/c-1"
            assert answered(relay, "a/a-1") == "c/c-1"
            assert b.requests == []
            relay.write(failover=["b", "a"])
            waiting.until(lambda: answered(relay, "ccsetup-default") == "b/b-1")
            c.failure = drill.status(500, "no")
            assert answered(relay, "c-1") == "b/b-1"


def test_an_entry_of_the_file_comes_first_and_counts_instead(tmp_path: Path) -> None:
    with Upstream("a") as a, Upstream("b") as b, Upstream("x") as x:
        own = upstream("b", x.url("chat"), "chat", "sk-x-0123456789", default_model="x-1")
        relay = Profiles(tmp_path, own)
        for up in (a, b):
            relay.save(up)
        with relay:
            assert (relay.names(), relay.ids()) == (["b", "a"], {"x-1": "b", "a-1": "a"})
            assert answered(relay) == "b/x-1"
            assert relay.ran("relay", "use", "a").ok
            soon(relay, "a/a-1")
            relay.write(upstreams=[{**own, "enabled": False}])
            waiting.until(lambda: relay.ids() == {"a-1": "a"})


def test_what_is_no_upstream_is_not_taken(tmp_path: Path) -> None:
    """Profile relay, whatever leads to the relay, and what is for the relay alone; the rest with a line why."""
    relay = Profiles(tmp_path, listen={"port": 5999})
    with Upstream("a") as a:
        relay.save(a)
        more = (
            '[profiles.mine]\nprovider = "custom"\nkey_storage = "inline"\n[profiles.mine.codex]\n'
            'url = "http://localhost:5999/v1"\nprimary_model = "m"\n'
            '[profiles.apart]\nprovider = "siliconflow"\nkey_storage = "inline"\n'
            '[profiles.odd]\nprovider = "nobody-has-this"\nkey_storage = "inline"\n[profiles.odd.codex]\n'
            '[profiles.shell]\nprovider = "deepseek"\nkey_storage = "env"\nkey_env = "ONE_SHELL_KEY"\n'
            "[profiles.shell.codex]\n"
        )
        saved = tmp_path / ".config/ccsetup/profiles.toml"
        saved.write_text(saved.read_text() + "\n" + more)
        relay.write()
        checked = cc.run(tmp_path, "relay", "check", "--offline", "--json").json
        said = " ".join(note["text"] for note in checked["notes"])
        assert "profile 'odd' is no upstream" in said
        assert "ONE_SHELL_KEY, which a service does not see" in said
        assert {way["upstream"] for one in checked["result"]["ways"] for way in one["upstreams"]} == {"a", "shell"}
        del relay.settings["listen"]
        saved.write_text(saved.read_text().replace("[profiles.mine]", "[profiles.relay]").replace("mine.", "relay."))
        with relay:
            status = relay.control("GET", "status")
            assert relay.names() == ["a", "shell"]
            problems = " ".join(status["problems"])
            assert "profile 'odd' is no upstream" in problems
            assert "'shell'" in problems
            assert "ONE_SHELL_KEY" in problems
            assert "ONE_SHELL_KEY" in relay.output


@pytest.mark.parametrize("kind", PATHS)
def test_the_window_that_a_profile_says_of_its_model_holds(tmp_path: Path, kind: str) -> None:
    """Whoever changes to it in the middle of a long session is told to compact before anybody is asked."""
    relay = Profiles(tmp_path)
    with Upstream("a") as a, Upstream("b") as b:
        relay.save(a, "--context-window", "1000000", client="claude-code")
        relay.save(b, "--context-window", "128000")
        with relay:
            long = asking(kind, "ccsetup-default", "one two three four five six seven eight nine " * 30_000)
            assert relay.post(PATHS[kind], long).status == 200
            use(relay, "use", "b")
            soon(relay, "b/b-1")
            b.clear()
            for model in ("ccsetup-default", "b-1", "b/b-1"):
                assert relay.post(PATHS[kind], {**long, "model": model}).status == 400
            assert b.requests == []
            assert relay.post(PATHS[kind], {**long, "model": "a-1"}).status == 200


def test_profiles_that_cannot_be_read_change_nothing(tmp_path: Path) -> None:
    relay = Profiles(tmp_path)
    with Upstream("a") as a:
        relay.save(a)
        with relay:
            saved = tmp_path / ".config/ccsetup/profiles.toml"
            text = saved.read_text()
            saved.write_text("[profiles")
            waiting.until(lambda: "reload refused" in relay.output)
            assert answered(relay) == "a/a-1"
            saved.write_text(text.replace("a-1", "a-2"))
            soon(relay, "a/a-2")


def test_a_running_session_of_a_client_is_not_needed_for_a_new_profile(tmp_path: Path) -> None:
    """A client's key that is for some upstreams only is for no other one of these."""
    relay = Profiles(tmp_path)
    with Upstream("a") as a, Upstream("b") as b:
        relay.save(a)
        relay.add_key("few", "ccr-few0123456789abcdefghijklmnopqrstuvwxyz", upstreams=frozenset({"a"}))
        relay.add_key()
        with relay:
            relay.save(b)
            waiting.until(lambda: "b-1" in relay.ids())
            few = "ccr-few0123456789abcdefghijklmnopqrstuvwxyz"
            refused = relay.post(PATHS["chat"], asking("chat", "b-1"), key=few)
            assert (refused.status, b.requests) == (404, [])
            use(relay, "use", "--all", "b")
            soon(relay, "b/b-1")
            got = relay.post(PATHS["chat"], asking("chat", "ccsetup-opus"), key=few)
            assert (got.status, got.headers["x-relay-upstream"], got.headers.get("x-relay-all")) == (200, "a", None)
