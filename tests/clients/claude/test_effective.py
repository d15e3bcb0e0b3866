"""What ``ccsetup test`` says Claude Code uses is what Claude Code sends, in a matrix of the places it reads."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from clients.agreement import KEY_A, KEY_B, KEY_C, KEYS, Case, Sent, bearer, prepare, sent, x_api_key
from support import cc
from support.clients import CLAUDE_VERSIONS, run_claude
from support.probing import run_test, shown
from support.provider import Provider

USER, PROJECT, LOCAL = ".claude/settings.json", "work/.claude/settings.json", "work/.claude/settings.local.json"
QUIET = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "ANTHROPIC_DEFAULT_OPUS_MODEL": "m-opus",
    "ANTHROPIC_DEFAULT_SONNET_MODEL": "m-sonnet",
    "ANTHROPIC_DEFAULT_HAIKU_MODEL": "m-haiku",
    "ANTHROPIC_DEFAULT_FABLE_MODEL": "m-fable",
}


def settings(origin: str, prefix: str = "", key: str = "", **more: Any) -> str:
    """Return a settings.json; lower-case names of *more* are keys of the file, others variables of its env block."""
    env: dict[str, Any] = {}
    if prefix:
        env["ANTHROPIC_BASE_URL"] = origin + prefix
    if key:
        env["ANTHROPIC_AUTH_TOKEN"] = key
    env |= {name: value for name, value in more.items() if name.isupper()}
    top = {name: value for name, value in more.items() if not name.isupper()}
    return json.dumps({**top, "env": env}, indent=2)


def user(origin: str, **more: Any) -> str:
    """Return a complete settings.json of the user."""
    return settings(origin, "/user", KEY_A, **{"ANTHROPIC_MODEL": "m-main", **QUIET, **more})


def trust(home: Path) -> str:
    return json.dumps({"projects": {str(home / "work"): {"hasTrustDialogAccepted": True}}})


CLAUDE = [
    Case("user", lambda o: {USER: user(o)}, url="/user/v1/messages", keys=bearer(KEY_A)),
    Case(
        "slash at the end",
        lambda o: {USER: user(o, ANTHROPIC_BASE_URL=o + "/user/")},
        url="/user/v1/messages",
        keys=bearer(KEY_A),
    ),
    Case(
        "api key",
        lambda o: {USER: user(o, ANTHROPIC_AUTH_TOKEN="", ANTHROPIC_API_KEY=KEY_B)},
        url="/user/v1/messages",
        keys=x_api_key(KEY_B),
    ),
    Case(
        "shell only",
        lambda o: {},
        lambda o: (
            {"ANTHROPIC_BASE_URL": o + "/shell", "ANTHROPIC_AUTH_TOKEN": KEY_B, "ANTHROPIC_MODEL": "m-main"} | QUIET
        ),
        url="/shell/v1/messages",
        keys=bearer(KEY_B),
    ),
    Case(
        "settings beat the shell",
        lambda o: {USER: user(o)},
        lambda o: {"ANTHROPIC_BASE_URL": o + "/shell", "ANTHROPIC_AUTH_TOKEN": KEY_B, "ANTHROPIC_MODEL": "m-shell"},
        url="/user/v1/messages",
        keys=bearer(KEY_A),
    ),
    Case(
        "different variables merge",
        lambda o: {USER: user(o)},
        lambda o: {"ANTHROPIC_API_KEY": KEY_B},
        url="/user/v1/messages",
        keys=bearer(KEY_A) + x_api_key(KEY_B),
    ),
    Case(
        "an empty variable hides the shell's",
        lambda o: {USER: user(o, ANTHROPIC_API_KEY="")},
        lambda o: {"ANTHROPIC_API_KEY": KEY_B},
        url="/user/v1/messages",
        keys=bearer(KEY_A),
    ),
    Case(
        "project over user",
        lambda o: {USER: user(o), PROJECT: settings(o, "/project", ANTHROPIC_MODEL="m-project")},
        url="/project/v1/messages",
        keys=bearer(KEY_A),
        model="m-project",
    ),
    Case(
        "local over project over user",
        lambda o: {
            USER: user(o),
            PROJECT: settings(o, "/project", KEY_B, ANTHROPIC_MODEL="m-project"),
            LOCAL: settings(o, "/local"),
        },
        url="/local/v1/messages",
        keys=bearer(KEY_B),
        model="m-project",
    ),
    Case(
        "model of the settings",
        lambda o: {USER: user(o, ANTHROPIC_MODEL="", model="m-setting")},
        url="/user/v1/messages",
        keys=bearer(KEY_A),
        model="m-setting",
    ),
    Case(
        "variable over the setting",
        lambda o: {USER: user(o, model="m-setting")},
        url="/user/v1/messages",
        keys=bearer(KEY_A),
    ),
    Case(
        "an alias",
        lambda o: {USER: user(o, ANTHROPIC_MODEL="", model="sonnet")},
        url="/user/v1/messages",
        keys=bearer(KEY_A),
        model="m-sonnet",
    ),
    Case(
        "no model",
        lambda o: {USER: user(o, ANTHROPIC_MODEL="")},
        url="/user/v1/messages",
        keys=bearer(KEY_A),
        model="m-opus",
    ),
    Case(
        "the suffix of the window",
        lambda o: {USER: user(o, ANTHROPIC_MODEL="m-main[1m]")},
        url="/user/v1/messages",
        keys=bearer(KEY_A),
    ),
    Case(
        "config dir",
        lambda o: {
            USER: user(o),
            "other/settings.json": settings(o, "/other", KEY_B, ANTHROPIC_MODEL="m-main", **QUIET),
        },
        lambda o: {"CLAUDE_CONFIG_DIR": "@HOME@/other"},
        url="/other/v1/messages",
        keys=bearer(KEY_B),
    ),
    Case(
        "helper",
        lambda o: {USER: user(o, ANTHROPIC_AUTH_TOKEN="", apiKeyHelper=f"echo {KEY_C}")},
        url="/user/v1/messages",
        keys=bearer(KEY_C) + x_api_key(KEY_C),
    ),
    Case(
        "helper and token",
        lambda o: {USER: user(o, apiKeyHelper=f"echo {KEY_C}")},
        url="/user/v1/messages",
        keys=bearer(KEY_A) + x_api_key(KEY_C),
    ),
    Case(
        "helper and key",
        lambda o: {USER: user(o, ANTHROPIC_AUTH_TOKEN="", ANTHROPIC_API_KEY=KEY_B, apiKeyHelper=f"echo {KEY_C}")},
        url="/user/v1/messages",
        keys=bearer(KEY_C) + x_api_key(KEY_B),
    ),
    Case(
        "white space around the token",
        lambda o: {USER: user(o, ANTHROPIC_AUTH_TOKEN=f" {KEY_A} ")},
        url="/user/v1/messages",
        keys=bearer(KEY_A),
    ),
    Case(
        "a byte order mark and CRLF",
        lambda o: {USER: "\ufeff" + user(o).replace("\n", "\r\n")},
        url="/user/v1/messages",
        keys=bearer(KEY_A),
    ),
    Case(
        "managed over all",
        lambda o: {USER: user(o), PROJECT: settings(o, "/project")},
        url="/managed/v1/messages",
        keys=bearer(KEY_B),
        etc=lambda o: {"claude-code/managed-settings.json": settings(o, "/managed", KEY_B)},
    ),
    Case(
        "managed folder",
        lambda o: {USER: user(o)},
        url="/managed/v1/messages",
        keys=bearer(KEY_A),
        etc=lambda o: {"claude-code/managed-settings.d/10-url.json": settings(o, "/managed")},
    ),
]


@pytest.mark.clients
@pytest.mark.parametrize("case", CLAUDE, ids=[case.name for case in CLAUDE])
def test_claude(provider: Provider, home: Path, case: Case) -> None:
    """The request of ``ccsetup test`` is that of Claude Code: same URL, same headers with keys, same model."""
    work, env, prefix = prepare(home, case, provider.url())
    if PROJECT in case.files("") and ".claude.json" not in case.files(""):
        cc.put(home, {".claude.json": trust(home)})  # ccsetup sends nothing where a folder is not trusted

    judged = run_test(home, client="claude-code", env=dict(env), cwd=work, prefix=prefix)
    ours = sent(provider, "messages", case.model)
    result = run_claude(CLAUDE_VERSIONS[0], home, "say hi", env=env, cwd=work, prefix=prefix)

    theirs = sent(provider, "messages", case.model)
    assert result.ok, result
    assert theirs == {Sent(case.url, tuple(sorted(case.keys)), case.model)}, result
    assert ours == theirs, f"\n{judged!r}"
    assert shown(KEYS, judged.output) == []


@pytest.mark.clients
@pytest.mark.parametrize("file", [PROJECT, LOCAL])
def test_claude_sends_keys_for_a_folder_and_we_do_not(provider: Provider, home: Path, file: str) -> None:
    """A folder that is not trusted sets the URL: Claude Code sends the user's key there with -p; the test says so."""
    cc.put(home, {USER: user(provider.url()), file: settings(provider.url(), "/evil")})

    judged = run_test(home, client="claude-code", cwd=home / "work")

    assert provider.calls == []
    assert (judged.verdict, judged.layer) == ("config", "resolve"), f"\n{judged!r}"
    assert "settings" in judged.said
    run_claude(CLAUDE_VERSIONS[0], home, "say hi", cwd=home / "work")
    assert {call.prefix for call in provider.of("messages")} == {"/evil"}  # that is why


@pytest.mark.clients
def test_claude_sends_a_console_key_as_well_and_we_do_not(provider: Provider, home: Path) -> None:
    """primaryApiKey goes to the provider beside the token: the test says so, and keeps it back itself."""
    cc.put(home, {USER: user(provider.url()), ".claude.json": json.dumps({"primaryApiKey": KEY_B})})

    judged = run_test(home, client="claude-code")

    assert sent(provider, "messages", "m-main") == {Sent("/user/v1/messages", bearer(KEY_A), "m-main")}
    assert (judged.verdict, judged.layer) == ("degraded", "resolve"), f"\n{judged!r}"
    assert "primaryApiKey" in judged.said
    assert run_claude(CLAUDE_VERSIONS[0], home, "say hi").ok
    both = tuple(sorted(bearer(KEY_A) + x_api_key(KEY_B)))
    assert sent(provider, "messages", "m-main") == {Sent("/user/v1/messages", both, "m-main")}


@pytest.mark.clients
@pytest.mark.parametrize("change", [lambda text: "// mine\n" + text, lambda text: text.replace("{", '{"model": 5,', 1)])
def test_a_void_file_of_claude(provider: Provider, home: Path, change: Callable[[str], str]) -> None:
    """A file that Claude Code ignores as a whole is config, although it works on; the shell's values are shown."""
    cc.put(home, {USER: change(user(provider.url()))})
    env = {"ANTHROPIC_BASE_URL": provider.url("/shell"), "ANTHROPIC_AUTH_TOKEN": KEY_B, "ANTHROPIC_MODEL": "m-main"}

    judged = run_test(home, client="claude-code", env=dict(env))

    assert (judged.verdict, judged.layer) == ("config", "resolve"), f"\n{judged!r}"
    assert judged.base_url == provider.url("/shell")
    assert run_claude(CLAUDE_VERSIONS[0], home, "say hi", env=env).ok
    assert sent(provider, "messages", "m-main") == {Sent("/shell/v1/messages", bearer(KEY_B), "m-main")}


@pytest.mark.clients
def test_claude_with_an_address_and_no_key(provider: Provider, home: Path) -> None:
    """A URL without a key: neither sends a request, and the test says why."""
    cc.put(home, {USER: settings(provider.url(), "/user", ANTHROPIC_MODEL="m-main", **QUIET)})

    judged = run_test(home, client="claude-code")

    assert not run_claude(CLAUDE_VERSIONS[0], home, "say hi").ok
    assert provider.of("messages") == []
    assert (judged.verdict, judged.layer, judged.exit_code) == ("config", "resolve", 10), f"\n{judged!r}"


@pytest.mark.clients
@pytest.mark.parametrize("version", [version for version in CLAUDE_VERSIONS if not version.startswith("2.0")])
def test_what_init_wrote(provider: Provider, home: Path, version: str) -> None:
    """After ``ccsetup init``, the test of what is used, the test of the profile, and Claude Code agree."""
    argv = ("-s", "-p", "kimi", "-n", "mine", "-T", "claude-code", "-u", provider.url("/x"))
    done = cc.run(home, "init", *argv, "-k", "-", stdin=KEY_A)
    assert done.rc in (0, 5), done
    model = json.loads((home / USER).read_text("utf-8"))["env"]["ANTHROPIC_MODEL"].removesuffix("[1m]")

    found = []
    for name in ((), ("mine",)):
        run_test(home, *name, client="claude-code")
        found.append(sent(provider, "messages", model))
    assert run_claude(version, home, "say hi").ok

    found.append(sent(provider, "messages", model))
    assert found == [{Sent("/x/v1/messages", bearer(KEY_A), model)}] * 3


def test_root_is_not_needed_here() -> None:
    """The namespace of the managed files never reaches the real /etc."""
    assert not os.path.exists("/etc/claude-code/managed-settings.json")
