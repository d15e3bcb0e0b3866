"""What ``ccsetup test`` says a client uses is what the real client sends, in a matrix of the places it reads.

Both run with the same files, variables and folder against the same provider, which takes every path and key.
Equal have to be: the URL, every header that carries a key, and the main model.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Optional

import pytest
from support import cc
from support.clients import CLAUDE_VERSIONS, CODEX_VERSIONS, run_claude, run_codex
from support.probing import run_test, shown
from support.provider import Provider

KEY_A, KEY_B, KEY_C = "sk-a-5f4dcc3b5aa765d61d83", "sk-b-27deb882cf995ef0a1b2", "sk-c-098f6bcd4621d373cade"
KEYS = (KEY_A, KEY_B, KEY_C)


class Sent(NamedTuple):
    """What a request shows of the configuration behind it."""

    url: str
    credentials: tuple[tuple[str, str], ...]
    model: Optional[str]


def sent(provider: Provider, kind: Any, model: Optional[str] = None) -> set[Sent]:
    """Return the different requests of *kind* (to *model* alone, when given); the record is emptied."""
    found = {
        Sent(call.request.target.partition("?")[0], tuple(sorted(call.credentials)), call.model)
        for call in provider.of(kind)
        if call.model and (model is None or call.model == model)
    }
    provider.clear()
    return found


class Case(NamedTuple):
    name: str
    files: Callable[[str], Mapping[str, str]]
    """The provider's origin to files below the home; ``work/`` is the folder that both run in."""
    env: Callable[[str], Mapping[str, str]] = lambda origin: {}
    url: str = ""
    """The expected path, so that a case cannot pass for being wrong on both sides."""
    keys: tuple[tuple[str, str], ...] = ()
    """The expected headers."""
    model: str = "m-main"
    versions: tuple[str, ...] = ()
    etc: Callable[[str], Mapping[str, str]] = lambda origin: {}
    """Files below /etc."""
    profile: str = ""


def bearer(key: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {key}"),)


def x_api_key(key: str) -> tuple[tuple[str, str], ...]:
    return (("x-api-key", key),)


# Claude Code

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


def etc_prefix(home: Path, files: Mapping[str, str]) -> tuple[str, ...]:
    """Return a command prefix under which /etc has *files* in addition, or skip; nobody else sees them."""
    if not files:
        return ()
    lower, work = home / "etc-upper", home / "etc-work"
    cc.put(lower, files, mode=0o644)
    work.mkdir(exist_ok=True)
    # On tmpfs: an overlay on an overlay is refused by many kernels.
    script = (
        'set -e; t=$(mktemp -d); mount -t tmpfs none "$t"; cp -a /etc/. "$t"; cp -r "$0"/. "$t"; '
        'mount --bind "$t" /etc; exec "$@"'
    )
    prefix = ("unshare", "-m", "sh", "-c", script, str(lower))
    tried = subprocess.run([*prefix, "true"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        pytest.skip(f"no private mount namespace here: {tried.stderr.strip()}")
    return prefix


def prepare(home: Path, case: Case, origin: str) -> tuple[Path, dict[str, str], tuple[str, ...]]:
    """Write the case's files; return the folder to run in, the variables, and the prefix."""
    cc.put(home, case.files(origin))
    work = home / "work"
    work.mkdir(exist_ok=True)
    env = {name: value.replace("@HOME@", str(home)) for name, value in case.env(origin).items()}
    return work, env, etc_prefix(home, case.etc(origin))


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


# Codex

CONFIG = ".codex/config.toml"
WORK_CONFIG = "work/.codex/config.toml"


def toml(origin: str, auth: str, *, prefix: str = "/user", top: str = "", table: str = "", end: str = "") -> str:
    return f"""\
model = "m-main"
model_provider = "p"
model_context_window = 200000
web_search = "disabled"
{top}

[model_providers.p]
name = "P"
base_url = "{origin}{prefix}"
wire_api = "responses"
{auth}
{table}

{end}
"""


def trusted_work(home: str) -> str:
    return f'[projects."{home}/work"]\ntrust_level = "trusted"\n'


TOKEN = f'experimental_bearer_token = "{KEY_A}"'
CODEX = [
    Case("bearer token", lambda o: {CONFIG: toml(o, TOKEN)}, url="/user/responses", keys=bearer(KEY_A)),
    Case(
        "slash at the end",
        lambda o: {CONFIG: toml(o, TOKEN, prefix="/user/")},
        url="/user/responses",
        keys=bearer(KEY_A),
    ),
    Case(
        "variable of the shell",
        lambda o: {CONFIG: toml(o, 'env_key = "P_KEY"')},
        lambda o: {"P_KEY": KEY_B},
        url="/user/responses",
        keys=bearer(KEY_B),
    ),
    Case(
        "variable of .env",
        lambda o: {CONFIG: toml(o, 'env_key = "P_KEY"'), ".codex/.env": f"P_KEY='{KEY_B}'\n"},
        url="/user/responses",
        keys=bearer(KEY_B),
    ),
    Case(
        ".env beats the shell",
        lambda o: {CONFIG: toml(o, 'env_key = "P_KEY"'), ".codex/.env": f"export P_KEY={KEY_B} # mine\n"},
        lambda o: {"P_KEY": KEY_C},
        url="/user/responses",
        keys=bearer(KEY_B),
    ),
    Case(
        ".env of the folder does not count",
        lambda o: {CONFIG: toml(o, 'env_key = "P_KEY"'), "work/.env": f"P_KEY={KEY_B}\n"},
        lambda o: {"P_KEY": KEY_C},
        url="/user/responses",
        keys=bearer(KEY_C),
    ),
    Case(
        "variable beats the token",
        lambda o: {CONFIG: toml(o, TOKEN + '\nenv_key = "P_KEY"')},
        lambda o: {"P_KEY": KEY_B},
        url="/user/responses",
        keys=bearer(KEY_B),
    ),
    Case(
        "auth.json",
        lambda o: {
            CONFIG: toml(o, "requires_openai_auth = true"),
            ".codex/auth.json": json.dumps({"auth_mode": "apikey", "OPENAI_API_KEY": KEY_B}),
        },
        url="/user/responses",
        keys=bearer(KEY_B),
    ),
    Case(
        "no key at all",
        lambda o: {CONFIG: toml(o, ""), ".codex/auth.json": json.dumps({"OPENAI_API_KEY": KEY_B})},
        lambda o: {"OPENAI_API_KEY": KEY_C},
        url="/user/responses",
    ),
    Case(
        "headers",
        lambda o: {CONFIG: toml(o, "", table=f'http_headers = {{ "Authorization" = "Bearer {KEY_C}" }}')},
        url="/user/responses",
        keys=bearer(KEY_C),
    ),
    Case(
        "a header from a variable",
        lambda o: {CONFIG: toml(o, "", table='env_http_headers = { "api-key" = "P_KEY" }')},
        lambda o: {"P_KEY": KEY_C},
        url="/user/responses",
        keys=(("api-key", KEY_C),),
    ),
    Case(
        "command",
        lambda o: {
            CONFIG: toml(o, "", end=f'[model_providers.p.auth]\ncommand = "echo"\nargs = ["{KEY_B}"]\n'),
        },
        url="/user/responses",
        keys=bearer(KEY_B),
    ),
    Case(
        "CODEX_HOME",
        lambda o: {CONFIG: toml(o, TOKEN), "other/config.toml": toml(o, TOKEN.replace(KEY_A, KEY_B), prefix="/other")},
        lambda o: {"CODEX_HOME": "@HOME@/other"},
        url="/other/responses",
        keys=bearer(KEY_B),
    ),
    Case(
        "a trusted folder chooses the model, not the provider",
        lambda o: {
            CONFIG: toml(o, TOKEN, end=trusted_work("@HOME@")),
            WORK_CONFIG: 'model = "m-project"\nmodel_provider = "openai"\n',
        },
        url="/user/responses",
        keys=bearer(KEY_A),
        model="m-project",
    ),
    Case(
        "a folder that is not trusted chooses nothing",
        lambda o: {CONFIG: toml(o, TOKEN), WORK_CONFIG: 'model = "m-project"\n'},
        url="/user/responses",
        keys=bearer(KEY_A),
    ),
    Case(
        "system below user",
        lambda o: {CONFIG: toml(o, TOKEN)},
        url="/user/responses",
        keys=bearer(KEY_A),
        etc=lambda o: {"codex/config.toml": toml(o, TOKEN.replace(KEY_A, KEY_B), prefix="/system")},
    ),
    Case(
        "system alone",
        lambda o: {".codex/empty": ""},
        url="/system/responses",
        keys=bearer(KEY_B),
        etc=lambda o: {"codex/config.toml": toml(o, TOKEN.replace(KEY_A, KEY_B), prefix="/system")},
    ),
    Case(
        "managed over all",
        lambda o: {CONFIG: toml(o, TOKEN)},
        url="/user/responses",
        keys=bearer(KEY_A),
        model="m-managed",
        etc=lambda o: {"codex/managed_config.toml": 'model = "m-managed"\n'},
    ),
]


@pytest.mark.clients
@pytest.mark.parametrize("case", CODEX, ids=[case.name for case in CODEX])
def test_codex(provider: Provider, home: Path, case: Case) -> None:
    """The request of ``ccsetup test`` is that of Codex: same URL, same headers with keys, same model."""
    origin = provider.url()
    bound = case._replace(
        files=lambda o: {name: text.replace("@HOME@", str(home)) for name, text in case.files(o).items()}
    )
    work, env, prefix = prepare(home, bound, origin)

    judged = run_test(home, client="codex", env=dict(env), cwd=work, prefix=prefix)
    ours = sent(provider, "responses", case.model)
    result = run_codex(CODEX_VERSIONS[0], home, "say hi", env=env, cwd=work, prefix=prefix)

    theirs = sent(provider, "responses", case.model)
    assert result.ok, result
    assert theirs == {Sent(case.url, tuple(sorted(case.keys)), case.model)}, result
    assert ours == theirs, f"\n{judged!r}"
    assert shown(KEYS, judged.output) == []


REFUSED = [
    Case("no variable", lambda o: {CONFIG: toml(o, 'env_key = "P_KEY"')}),
    Case(
        "an empty variable in .env",
        lambda o: {CONFIG: toml(o, 'env_key = "P_KEY"'), ".codex/.env": "P_KEY=\n"},
        lambda o: {"P_KEY": KEY_A},
    ),
    Case("no name", lambda o: {CONFIG: toml(o, TOKEN).replace('name = "P"', "")}),
    Case("chat", lambda o: {CONFIG: toml(o, TOKEN).replace('"responses"', '"chat"')}),
    Case("no table", lambda o: {CONFIG: toml(o, TOKEN).replace("model_providers.p]", "model_providers.q]")}),
    Case("broken TOML", lambda o: {CONFIG: toml(o, TOKEN) + "\n= broken\n"}),
    Case("a legacy profile", lambda o: {CONFIG: toml(o, TOKEN, top='profile = "x"')}),
    Case("a wrong type", lambda o: {CONFIG: toml(o, TOKEN, top="model_reasoning_effort = 5")}),
    Case("no catalogue", lambda o: {CONFIG: toml(o, TOKEN, top='model_catalog_json = "nowhere.json"')}),
    Case("command and token", lambda o: {CONFIG: toml(o, TOKEN, end='[model_providers.p.auth]\ncommand = "echo"\n')}),
]


@pytest.mark.clients
@pytest.mark.parametrize("case", REFUSED, ids=[case.name for case in REFUSED])
def test_codex_refuses_its_configuration(provider: Provider, home: Path, case: Case) -> None:
    """What keeps Codex from starting is config at resolve; neither sends anything."""
    work, env, _ = prepare(home, case, provider.url())

    judged = run_test(home, client="codex", env=dict(env), cwd=work)

    assert not run_codex(CODEX_VERSIONS[0], home, "say hi", env=env, cwd=work).ok
    assert provider.of("responses") == []
    assert (judged.verdict, judged.layer, judged.exit_code) == ("config", "resolve", 10), f"\n{judged!r}"
    assert judged.hint


# Saved profiles


@pytest.mark.clients
@pytest.mark.parametrize("version", CODEX_VERSIONS)
def test_codex_profile(provider: Provider, home: Path, version: str) -> None:
    """``ccsetup test NAME`` sends what ``codex --profile NAME`` sends, although another profile is active."""
    for name, key in (("one", KEY_A), ("two", KEY_B)):
        argv = (
            "-s",
            "-p",
            "glm",
            "-n",
            name,
            "-T",
            "codex",
            "-u",
            provider.url(f"/{name}"),
            "--codex-version",
            version,
        )
        done = cc.run(home, "init", *argv, "-k", "-", stdin=key)
        assert done.rc in (0, 5), done

    judged = run_test(home, "one", client="codex")
    ours = {call[:2] for call in sent(provider, "responses")}
    result = run_codex(version, home, "say hi", profile="one")

    assert result.ok, result
    theirs = {call[:2] for call in sent(provider, "responses")}
    assert theirs == {("/one/responses", bearer(KEY_A))}
    assert ours == theirs, f"\n{judged!r}"


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
