"""One list of what is wrong with Claude Code's settings: ``doctor`` and ``test`` agree about what stops the client."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from clients.agreement import etc_prefix
from support import cc
from support.clients import CLAUDE_VERSIONS, run_claude
from support.provider import Provider

URL, KEY = "http://127.0.0.1:9/x", "sk-a-5f4dcc3b5aa765d61d83"
USER, PROJECT, MANAGED = ".claude/settings.json", "work/.claude/settings.json", "managed"
ENV = {"ANTHROPIC_BASE_URL": URL, "ANTHROPIC_AUTH_TOKEN": KEY, "ANTHROPIC_MODEL": "m1"}
SHELL = {"ANTHROPIC_BASE_URL": URL, "ANTHROPIC_AUTH_TOKEN": KEY}


def text(env: dict[str, Any] | None = None, **more: Any) -> str:
    """Return a settings.json that works, with changes; None takes a variable out."""
    block = {n: v for n, v in {**ENV, **(env or {})}.items() if v is not None}
    return json.dumps({**more, "env": block}, indent=2)


class Case(NamedTuple):
    stops: bool
    """Claude Code reaches no provider, or not this one (observed with 2.1.332)."""
    user: str | bytes = text()
    env: Mapping[str, str] = {}
    files: Mapping[str, str] = {}
    managed: str = ""
    says: str = ""
    """A word of what ``doctor`` says of it; empty: nothing of weight."""


TOKEN = "ANTHROPIC_AUTH_TOKEN"
CASES: dict[str, Case] = {
    "works": Case(False),
    "no provider": Case(False, "{}"),
    "byte order mark": Case(False, "\ufeff" + text()),
    "UTF-16 with its mark": Case(False, text().encode("utf-16"), says="UTF-16"),
    "UTF-16 without": Case(True, text().encode("utf-16-le"), says="UTF-16"),
    "UTF-16 of the other order": Case(True, b"\xfe\xff" + text().encode("utf-16-be"), says="UTF-16"),
    "not UTF-8": Case(True, b'{"a": "\xff"}', says="UTF-8"),
    "a comment": Case(True, "// mine\n" + text(), says="comment"),
    "a comma": Case(True, text()[:-2] + ",}", says="comma"),
    "cut off": Case(True, text()[:-1], says="ignores"),
    "a list": Case(True, "[]", says="ignores"),
    "empty": Case(False, "\n"),
    "env is a list": Case(True, '{"env": []}', says="'env'"),
    "env is null": Case(True, '{"env": null}', says="'env'"),
    "a value of env is an object": Case(False, text({"X": {}})),
    "model is a number": Case(True, text(model=5), says="'model'"),
    "a text for a truth": Case(True, text(includeCoAuthoredBy="true"), says="includeCoAuthoredBy"),
    "a text for a number": Case(True, text(cleanupPeriodDays="30"), says="cleanupPeriodDays"),
    "no days at all": Case(True, text(cleanupPeriodDays=0), says="cleanupPeriodDays"),
    "allow is a text": Case(True, text(permissions={"allow": "Bash"}), says="permissions.allow"),
    "a number among what is denied": Case(False, text(permissions={"deny": [1]})),
    "a mode that does not exist": Case(True, text(permissions={"defaultMode": "x"}), says="defaultMode"),
    "a channel that does not exist": Case(True, text(autoUpdatesChannel="x"), says="autoUpdatesChannel"),
    "sandbox.enabled is a text": Case(True, text(sandbox={"enabled": "x"}), says="sandbox.enabled"),
    "a number among the models": Case(True, text(availableModels=[1]), says="availableModels"),
    "hooks of a wrong type": Case(False, text(hooks=[])),
    "a theme of a wrong type": Case(False, text(theme=1)),
    "a key that nobody knows": Case(False, text(whatever=[1])),
    "a broken file of the project": Case(False, files={PROJECT: "{//"}, says="ignores"),
    "a broken file of the administrator": Case(True, managed="{//", says="ignores"),
    "a wrong type of the administrator's": Case(False, managed='{"model": 5}'),
    "the administrator wants a login": Case(True, managed='{"forceLoginMethod": "console"}', says="requires a login"),
    "the user wants a login": Case(False, text(forceLoginMethod="claudeai")),
    "no key": Case(True, text({TOKEN: None}), says="without a key"),
    "an empty key": Case(True, text({TOKEN: " "}), says="without a key"),
    "a key in the shell": Case(False, text({TOKEN: None}), {"ANTHROPIC_API_KEY": KEY}, says="of this shell"),
    "the shell alone": Case(False, "{}", SHELL, says="of this shell"),
    "a variable in braces": Case(True, text({TOKEN: "${MY_KEY}"}), {"MY_KEY": KEY}, says="as it stands"),
    "a variable with a default": Case(True, text({TOKEN: "${MY_KEY:-none}"}), says="as it stands"),
    "a variable": Case(True, text({TOKEN: "$MY_KEY"}), says="as it stands"),
    "a variable of Windows": Case(True, text({TOKEN: "%MY_KEY%"}), says="as it stands"),
    "a variable of another tool": Case(True, text({TOKEN: "{env:MY_KEY}"}), says="as it stands"),
    "a page's words for a key": Case(False, text({TOKEN: "<your-api-key>"}), says="where the key belongs"),
    "a shortened key": Case(False, text({TOKEN: "sk-****abcd"}), says="where the key belongs"),
    "a key with a dollar": Case(False, text({TOKEN: "pa$$word-of-mine"})),
    "a key that is no ASCII": Case(True, text({TOKEN: "密钥"}), says="no header"),
    "Bedrock": Case(True, text({"CLAUDE_CODE_USE_BEDROCK": "1"}), says="USE_BEDROCK"),
    "Bedrock, a number": Case(True, text({"CLAUDE_CODE_USE_BEDROCK": 1}), says="USE_BEDROCK"),
    "Vertex, written large": Case(True, text({"CLAUDE_CODE_USE_VERTEX": "TRUE"}), says="USE_VERTEX"),
    "Foundry in the shell": Case(True, env={"CLAUDE_CODE_USE_FOUNDRY": "yes"}, says="USE_FOUNDRY"),
    "Mantle of the administrator": Case(
        True, managed='{"env": {"CLAUDE_CODE_USE_MANTLE": "on"}}', says="CLAUDE_CODE_USE_MANTLE"
    ),
    "Bedrock off": Case(False, text({"CLAUDE_CODE_USE_BEDROCK": "0"})),
    "Bedrock is 2": Case(False, text({"CLAUDE_CODE_USE_BEDROCK": "2"})),
    "Bedrock of the shell, silenced": Case(
        False, text({"CLAUDE_CODE_USE_BEDROCK": ""}), {"CLAUDE_CODE_USE_BEDROCK": "1"}
    ),
    "a gateway": Case(False, text({"CLAUDE_CODE_USE_GATEWAY": "1"})),
    "a gateway in the shell": Case(False, env={"CLAUDE_CODE_USE_GATEWAY": "1"}),
    "a socket": Case(True, env={"ANTHROPIC_UNIX_SOCKET": "/run/x"}, says="UNIX_SOCKET"),
    "an empty socket": Case(False, env={"ANTHROPIC_UNIX_SOCKET": ""}),
    "a socket in the settings": Case(False, text({"ANTHROPIC_UNIX_SOCKET": "/run/x"})),
    "a socket that the settings would silence": Case(
        True, text({"ANTHROPIC_UNIX_SOCKET": ""}), {"ANTHROPIC_UNIX_SOCKET": "/run/x"}, says="UNIX_SOCKET"
    ),
    "an empty folder variable": Case(True, env={"CLAUDE_CONFIG_DIR": ""}, says="CLAUDE_CONFIG_DIR"),
    "an empty folder variable and a file": Case(
        False, env={"CLAUDE_CONFIG_DIR": ""}, files={"work/settings.json": text()}, says="CLAUDE_CONFIG_DIR"
    ),
    "an empty folder variable in the settings": Case(False, text({"CLAUDE_CONFIG_DIR": ""})),
    "a folder that is not trusted": Case(
        True, files={PROJECT: json.dumps({"env": {"ANTHROPIC_BASE_URL": URL + "/y"}})}, says="not trusted"
    ),
    "a model that is shut out": Case(False, text(availableModels=["m2"]), says="availableModels"),
    "no model allowed": Case(False, text(availableModels=[]), says="availableModels"),
    "a model named by its alias alone": Case(
        False, text({"ANTHROPIC_DEFAULT_OPUS_MODEL": "m1"}, availableModels=["opus"]), says="availableModels"
    ),
    "a model that is let through": Case(False, text(availableModels=["M1[1m]"])),
    "a model that the project lets through": Case(
        False, text(availableModels=["m2"]), files={PROJECT: '{"availableModels": ["m1"]}'}
    ),
    "the administrator shuts it out": Case(
        False, text(availableModels=["m1"]), managed='{"availableModels": ["m2"]}', says="availableModels"
    ),
    "the administrator lets it through": Case(
        False, text(availableModels=["m2"]), managed='{"availableModels": ["m1"]}'
    ),
    "no certificate is checked": Case(False, text({"NODE_TLS_REJECT_UNAUTHORIZED": "0"}), says="certificate"),
    "certificates are checked": Case(False, text({"NODE_TLS_REJECT_UNAUTHORIZED": "1"})),
    "two keys": Case(False, text({"ANTHROPIC_API_KEY": KEY + "x"}), says="both are sent"),
    "an address that only looks official": Case(
        True, text({"ANTHROPIC_BASE_URL": "https://x.example/?//api.anthropic.com", TOKEN: None}), says="without a key"
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_doctor_and_test_agree(case: Case, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stops the client is said by both, what does not by neither, and each by its name; no key is shown."""
    from ccsetup import disk, paths
    from ccsetup.change.draft import Draft
    from ccsetup.clients import CLIENTS
    from ccsetup.clients.claude import advice, effective
    from ccsetup.clients.claude.checks import CHECKS
    from ccsetup.clients.house import RelayState
    from ccsetup.doctor import look
    from ccsetup.doctor.checks import examine
    from ccsetup.doctor.repair import view

    etc = tmp_path / "etc"
    cc.put(home, {".claude.json": '{"hasCompletedOnboarding": true}', **case.files})
    (home / USER).parent.mkdir(exist_ok=True)
    (home / USER).write_bytes(case.user if isinstance(case.user, bytes) else case.user.encode())
    (home / "work").mkdir(exist_ok=True)
    if case.managed:
        cc.put(etc, {"claude-code/managed-settings.json": case.managed})
    monkeypatch.chdir(home / "work")
    here = paths.from_environ({"HOME": str(home), "PATH": "", **case.env})

    facts = look.facts(
        here, etc=str(etc), keyring=lambda _name: None, relay=RelayState(lambda _url: ("", ""), lambda: ("", 0))
    )
    house = view(facts, Draft(lambda p: disk.snapshot([p])[p], here.short))
    found = [f for outcome in examine(house, CHECKS) for f in outcome.findings]
    target = effective.target(here, list, CLIENTS["claude-code"].newest, etc=str(etc))

    blocked = [n.text for n in target.findings if n.level == "blocked"] if target else []
    assert bool(blocked) == case.stops, blocked
    assert any(f.level == "stops" for f in found) == case.stops, found
    weighty = [f for f in found if f.fix and "No model is set" not in f.text]
    assert bool(weighty) == bool(case.says), weighty
    assert any(case.says in f.text for f in weighty) or not case.says, weighty
    assert advice.sources(house).paths is here
    assert KEY not in repr([found, blocked])


APART = ("no provider", "empty", "a folder that is not trusted", "an address that only looks official")
APART += ("a page's words for a key", "a shortened key")
"""Where the client reaches nothing, or somebody else, and that is no fault of the settings, or for another test."""
REAL = {n: c for n, c in CASES.items() if n not in APART}


@pytest.mark.clients
@pytest.mark.parametrize("case", REAL.values(), ids=REAL)
def test_what_stops_the_client(case: Case, home: Path, provider: Provider) -> None:
    """The real client sends its request to the provider if and only if nothing is said to stop it."""

    def here(text: str) -> str:
        return text.replace(URL, provider.url("/x"))

    user = case.user
    if isinstance(user, str):
        user = here(user).encode()
    else:
        coding = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16-be", b'{"': "latin-1"}.get(user[:2], "utf-16-le")
        user = (
            user[:2] + here(user[2:].decode("utf-16-be")).encode("utf-16-be")
            if coding == "utf-16-be"
            else (here(user.decode(coding)).encode(coding))
        )
    cc.put(home, {n: here(t) for n, t in case.files.items()})
    (home / USER).parent.mkdir(exist_ok=True)
    (home / USER).write_bytes(user)
    (home / "work").mkdir(exist_ok=True)
    env = {n: here(v) for n, v in case.env.items()} | {"CLAUDE_CODE_MAX_RETRIES": "0"}
    prefix = etc_prefix(home, {"claude-code/managed-settings.json": here(case.managed)} if case.managed else {})
    result = run_claude(CLAUDE_VERSIONS[0], home, "say hi", env=env, cwd=home / "work", prefix=prefix)
    good = [c for c in provider.of("messages") if dict(c.credentials).get("authorization", KEY).endswith((KEY, "mine"))]
    assert bool(good) != case.stops, result
