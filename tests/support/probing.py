"""Configurations written by hand, as a user of an emulator has them, and ``ccsetup test`` run on them.

The files are what the clients are known to accept, independent of what ccsetup writes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Optional, cast
from unittest import mock

from support import cc
from support.emulator import Emulator

CLIENTS = ("claude-code", "codex")
MAIN, SMALL = "glm-5.3", "glm-5.3-flash"


def claude_env(base_url: str, key: str, *, main: str = MAIN, small: str = SMALL) -> dict[str, str]:
    """Return the env block of settings.json that sends everything to *base_url*."""
    return {
        "ANTHROPIC_BASE_URL": base_url,
        "ANTHROPIC_AUTH_TOKEN": key,
        "ANTHROPIC_API_KEY": "",
        "ANTHROPIC_MODEL": main,
        "ANTHROPIC_DEFAULT_OPUS_MODEL": main,
        "ANTHROPIC_DEFAULT_SONNET_MODEL": main,
        "ANTHROPIC_DEFAULT_HAIKU_MODEL": small,
        "ANTHROPIC_DEFAULT_FABLE_MODEL": main,
        "ANTHROPIC_SMALL_FAST_MODEL": small,
        "CLAUDE_CODE_SUBAGENT_MODEL": main,
        "CLAUDE_CODE_MAX_CONTEXT_TOKENS": "200000",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS": "1",
        "CLAUDE_CODE_ATTRIBUTION_HEADER": "0",
    }


def write_claude(home: Path, base_url: str, key: str, **more: str) -> None:
    """Write settings.json; *more* are further variables."""
    settings = {"env": claude_env(base_url, key) | more}
    cc.put(home, {".claude/settings.json": json.dumps(settings, indent=2)})


def codex_toml(base_url: str, key: str, *, main: str = MAIN, quiet: bool = True) -> str:
    """Return a config.toml for Codex 0.145 and newer; *quiet* switches the tools off that are not functions."""
    return f"""\
model = "{main}"
model_provider = "emulator"
model_context_window = 200000
{'web_search = "disabled"' if quiet else ""}

[model_providers.emulator]
name = "Emulator"
base_url = "{base_url}"
experimental_bearer_token = "{key}"
wire_api = "responses"
request_max_retries = 0
stream_max_retries = 0

[features]
unbounded_connection_retries = false
{
        '''
[agents]
enabled = false
'''
        if quiet
        else ""
    }"""


def write_codex(home: Path, base_url: str, key: str, *, quiet: bool = True) -> None:
    cc.put(home, {".codex/config.toml": codex_toml(base_url, key, quiet=quiet)})


def write(home: Path, client: str, emulator: Emulator) -> None:
    """Configure *client* for *emulator* as it is reached now."""
    if client == "codex":
        write_codex(home, emulator.codex_url, emulator.key)
    else:
        write_claude(home, emulator.claude_url, emulator.key)


class Judgement(NamedTuple):
    """What ``ccsetup test`` said of one client."""

    verdict: str
    layer: str
    """Of the first step that is not ok, skipped or unknown; "" when there is none."""
    hint: str
    said: str
    """All text of that step."""
    exit_code: int
    steps: tuple[Mapping[str, Any], ...]
    output: str
    """Everything that was printed."""
    base_url: str

    def __repr__(self) -> str:
        lines = [f"{self.verdict} ({self.exit_code}) at {self.layer}"]
        for step in self.steps:
            lines.append(f"  {step['layer']}: {step['verdict']} {step['seconds']:.2f}s {step['summary']}")
            lines += [f"      {step[name]}" for name in ("hint", "evidence", "details") if step.get(name)]
        return "\n".join(lines)


def judgement(target: Mapping[str, Any], exit_code: int, output: str) -> Judgement:
    """Return what a target of the JSON output says."""
    steps = tuple(target["steps"])
    bad = next((s for s in steps if s["verdict"] not in ("ok", "skipped", "unknown")), None)
    said = json.dumps(bad, ensure_ascii=False) if bad else ""
    return Judgement(
        target["verdict"],
        bad["layer"] if bad else "",
        bad["hint"] if bad else "",
        said,
        exit_code,
        steps,
        output,
        target["base_url"],
    )


def run_test(
    home: Path,
    *argv: str,
    client: Optional[str] = None,
    env: Optional[Mapping[str, Optional[str]]] = None,
    cwd: Optional[Path] = None,
    prefix: tuple[str, ...] = (),
) -> Judgement:
    """Run ``ccsetup test --json *argv`` as a process, in an empty folder or in *cwd*, and return what it said.

    There has to be exactly one target.
    """
    chosen = ("-T", client) if client else ()
    if cwd is None:
        cwd = home / "empty"
        cwd.mkdir(exist_ok=True)
    done = cc.run(home, "test", "--json", *chosen, *argv, env=env, cwd=cwd, prefix=prefix)
    assert "Traceback" not in done.stderr, done
    try:
        targets = done.json["result"]["targets"]
    except (ValueError, KeyError, TypeError):
        raise AssertionError(f"no result: {done!r}") from None
    assert len(targets) == 1, done
    return judgement(targets[0], done.rc, done.stdout + done.stderr)


def judge(home: Path, client: str, emulator: Emulator, *, level: str = "normal", timeout: float = 10) -> Judgement:
    """Test, in this process, what *client* would use in an empty folder."""
    from ccsetup import paths
    from ccsetup.clients import CLIENTS
    from ccsetup.clients.claude import effective as effective_claude
    from ccsetup.clients.codex import effective as effective_codex
    from ccsetup.probe import run
    from ccsetup.probe.verdict import EXIT

    environ = cc.environment(home, emulator.env)
    empty = home / "empty"
    empty.mkdir(exist_ok=True)
    here = paths.from_environ(environ)._replace(cwd=str(empty))
    etc = str(home / "no-etc")
    target = (
        effective_claude.target(here, list, CLIENTS["claude-code"].newest, etc=etc)
        if client == "claude-code"
        else effective_codex.target(here, lambda: (0, 169, 0), list, etc=etc)
    )
    assert target is not None
    target = CLIENTS[client].signed(target, CLIENTS[client].newest)  # type: ignore[index]
    with mock.patch.dict(os.environ, emulator.env):  # OpenSSL reads SSL_CERT_FILE there
        (report,), interrupted = run.probe([target], run.ProbeOptions(level=cast(Any, level), timeout=timeout))
    assert not interrupted
    said = report.json()
    return judgement(said, EXIT[said["verdict"]], json.dumps(said, ensure_ascii=False) + repr(report))


def pieces(key: str, size: int = 8) -> list[str]:
    """Return what no output may hold of *key*: any eight characters in a row of its random part."""
    tail = key[-16:]
    return [tail[i : i + size] for i in range(len(tail) - size + 1)]


def shown(keys: Iterable[str], text: str) -> list[str]:
    """Return the keys of which *text* shows a piece."""
    return [key for key in keys if key and any(piece in text for piece in pieces(key))]
