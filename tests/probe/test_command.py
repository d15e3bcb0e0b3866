"""``ccsetup test`` as a command: several targets, profiles, presets, interruption, the real client, report files."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from support import cc, waiting
from support.emulator import Emulator
from support.probing import MAIN, SMALL, shown, write_claude, write_codex


class Saved(NamedTuple):
    """Four providers, each saved as a profile p0 … p3 in a home of their own."""

    home: Path
    emulators: tuple[Emulator, ...]


@pytest.fixture(scope="module")
def saved_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Saved]:
    home = tmp_path_factory.mktemp("home")
    with ExitStack() as stack:
        emulators = tuple(stack.enter_context(Emulator()) for _ in range(4))
        for number, emulator in enumerate(emulators):
            argv = ("-s", "-p", "custom", "-n", f"p{number}", "-T", "claude-code", "-u", emulator.claude_url)
            done = cc.run(home, "init", *argv, "-M", MAIN, "-H", SMALL, "--no-activate", "-k", "-", stdin=emulator.key)
            assert done.rc in (0, 5), done
        yield Saved(home, emulators)


@pytest.fixture
def many(saved_once: Saved) -> Saved:
    for emulator in saved_once.emulators:
        emulator.play()
        emulator.clear()
    return saved_once


def test_all(many: Saved) -> None:
    """--all tests every profile, exits with the worst, and each key is sent to its own provider only."""
    many.emulators[1].play("rate-limited")
    many.emulators[2].play("bad-key")
    many.emulators[3].play("model-missing")

    done = cc.run(many.home, "test", "--all", "--json", "--timeout", "10")

    assert done.rc == 13, done
    verdicts = {target["label"]: target["verdict"] for target in done.json["result"]["targets"]}
    assert verdicts == {"p0": "ok", "p1": "quota", "p2": "key", "p3": "model"}
    assert done.json["result"]["verdict"] == "key"
    for emulator in many.emulators:
        assert emulator.calls
        assert {value for call in emulator.calls for _, value in call.credentials} == {f"Bearer {emulator.key}"}
    assert shown([many.emulators[0].key], done.stdout + done.stderr) == []


def test_all_as_text(many: Saved) -> None:
    """The table names every profile and its verdict; nothing of it needs a terminal."""
    many.emulators[2].play("server-error")

    done = cc.run(many.home, "test", "--all", "--timeout", "10")

    assert done.rc == 19, done
    for number in range(4):
        assert f"p{number}" in done.stdout
    assert "server" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr


def test_a_saved_profile(many: Saved) -> None:
    """``test NAME`` asks this profile's provider alone."""
    done = cc.run(many.home, "test", "p2", "--json")
    assert done.rc == 0, done
    assert [bool(emulator.calls) for emulator in many.emulators] == [False, False, True, False]


def test_an_unknown_profile(many: Saved) -> None:
    """A name that is not saved is an error that lists those that are; nothing is sent."""
    done = cc.run(many.home, "test", "p9", "--json")
    assert done.rc == 1, done
    assert "p0, p1, p2, p3" in done.stdout + done.stderr
    assert not any(emulator.calls for emulator in many.emulators)


def test_interrupted(many: Saved) -> None:
    """Ctrl-C ends it with 130 and prints what is known by then."""
    many.emulators[3].play("hang")
    process = cc.start(many.home, "test", "--all", "--json", "--timeout", "60")
    waiting.until(lambda: len(many.emulators[0].calls) >= 2 and many.emulators[3].calls, "all are asked")
    waiting.until(lambda: _waits(process.pid), "all answers but the last are read")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=waiting.LIMIT)
    assert process.returncode == 130, (out, err)
    assert b"Traceback" not in err
    targets = {target["label"]: target for target in json.loads(out)["result"]["targets"]}
    assert targets["p0"]["verdict"] == "ok"
    assert [step["layer"] for step in targets["p3"]["steps"] if step["verdict"] == "ok"][:2] == ["resolve", "reach"]


def _waits(pid: int) -> bool:
    """Tell whether every thread of *pid* sleeps, so that what has come for it was read."""
    tasks = list(Path(f"/proc/{pid}/task").iterdir())
    return all((task / "stat").read_text().rpartition(")")[2].split()[0] == "S" for task in tasks)


def test_both_clients_by_default(home: Path) -> None:
    """Without a name, what both clients use is tested; the exit code is that of the worse one."""
    with Emulator() as good, Emulator() as bad:
        bad.play("chat-only")
        write_claude(home, good.claude_url, good.key)
        write_codex(home, bad.codex_url, bad.key)
        done = cc.run(home, "test", "--json")
        assert done.rc == 16, done
        assert [t["verdict"] for t in done.json["result"]["targets"]] == ["ok", "wire"]


@pytest.mark.parametrize("level", ["--quick", "--deep"])
def test_levels(home: Path, level: str) -> None:
    """--quick sends no request that an answer would be charged for; --deep says what it cost."""
    with Emulator() as emulator:
        write_claude(home, emulator.claude_url, emulator.key)
        done = cc.run(home, "test", "-T", "claude-code", "--json", level)
        assert done.rc == 0, done
        answered = [call for call in emulator.claude_site.of("messages") if call.status == 200]
        (target,) = done.json["result"]["targets"]
        if level == "--quick":
            assert answered == []
            assert target["usage"] is None
        else:
            assert target["usage"]["input_tokens"] == 11 * len(answered)
            assert target["usage"]["output_tokens"] == 7 * len(answered)


def test_deep_costs_money_only_where_the_price_is_known(home: Path) -> None:
    """With a preset's prices the cost is estimated before and told after; the preset is the user's own here."""
    with Emulator("deepseek") as emulator:
        cc.put(home, {".config/ccsetup/presets/deepseek.yaml": emulator.preset_yaml})
        argv = ("test", "-p", "deepseek", "-k", "-", "--deep", "--json")
        done = cc.run(home, *argv, stdin=emulator.key)
        assert done.rc == 0, done
        (target,) = done.json["result"]["targets"]
        assert target["estimate"] > 0
        assert target["usage"]["cost"] > 0
        assert emulator.leaks == []


@pytest.mark.parametrize("ending", ["html", "svg"])
def test_a_report_file(many: Saved, ending: str) -> None:
    """-o writes a file that stands alone: every profile in it, no key, nothing that a browser would fetch or run."""
    many.emulators[1].play("key-echo")
    done = cc.run(many.home, "test", "--all", "-o", f"out.{ending}", "--timeout", "10")
    text = (many.home / f"out.{ending}").read_text("utf-8")
    assert done.rc == 13, done
    assert all(f"p{number}" in text for number in range(4))
    assert shown([emulator.key for emulator in many.emulators], text) == []
    lower = text.lower()
    assert "<script" not in lower
    assert "src=" not in lower


@pytest.mark.clients
@pytest.mark.parametrize(("scenario", "code"), [("good", 0), ("bad-key", 13)])
@pytest.mark.parametrize("client", ["claude-code", "codex"])
def test_with_the_real_client(home: Path, scenario: str, code: int, client: str, tmp_path: Path) -> None:
    """--client runs the real program once and says whether it got its answer."""
    from support import client_install
    from support.clients import CLAUDE_VERSIONS, CODEX_VERSIONS

    version = (CODEX_VERSIONS if client == "codex" else CLAUDE_VERSIONS)[0]
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / ("codex" if client == "codex" else "claude")
    words = " ".join(f"'{word}'" for word in client_install.command(client, version))
    program.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
    program.chmod(0o755)
    with Emulator() as emulator:
        emulator.play(scenario)
        if client == "codex":
            write_codex(home, emulator.codex_url, emulator.key)
        else:
            write_claude(home, emulator.claude_url, emulator.key)
        env: dict[str, Any] = {"PATH": f"{folder}:{cc.environment(home)['PATH']}"}
        done = cc.run(home, "test", "-T", client, "--client", "--json", env=env)
        assert done.rc == code, done
        (target,) = done.json["result"]["targets"]
        steps = {step["layer"]: step for step in target["steps"]}
        if scenario == "good":
            assert steps["client"]["verdict"] == "ok", target
            # The client's own request came, in addition to ours.
            kind: Any = "responses" if client == "codex" else "messages"
            agents = {call.headers.get("user-agent", "") for call in emulator.claude_site.of(kind)}
            assert any("ccsetup" not in agent for agent in agents)
        assert shown([emulator.key], done.stdout + done.stderr) == []
