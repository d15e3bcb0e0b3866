"""What ``ccsetup test`` says Codex uses is what Codex sends, in a matrix of the places it reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from clients.agreement import KEY_A, KEY_B, KEY_C, KEYS, Case, Sent, bearer, prepare, sent
from support import cc
from support.clients import CODEX_VERSIONS, run_codex
from support.probing import run_test, shown
from support.provider import Provider

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


def login(**more: object) -> str:
    """Return auth.json with a ChatGPT login, whose tokens have the form that Codex wants."""
    tokens = {
        "id_token": "eyJhbGciOiJub25lIn0.eyJlbWFpbCI6ImFAYi5jIn0.x",
        "access_token": KEY_A,
        "refresh_token": "r",
        "account_id": "a",
    }
    said = {"auth_mode": "chatgpt", "OPENAI_API_KEY": None, "tokens": tokens, "last_refresh": "2126-11-26T00:00:00Z"}
    return json.dumps({**said, **more})


ACCOUNT = "requires_openai_auth = true"
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
        "a login beside a key in auth.json",
        lambda o: {CONFIG: toml(o, ACCOUNT), ".codex/auth.json": login(OPENAI_API_KEY=KEY_B)},
        url="/user/responses",
        keys=bearer(KEY_A),
    ),
    Case(
        "a login beats a header",
        lambda o: {
            CONFIG: toml(o, ACCOUNT, table=f'http_headers = {{ "Authorization" = "Bearer {KEY_C}" }}'),
            ".codex/auth.json": login(),
        },
        url="/user/responses",
        keys=bearer(KEY_A),
    ),
    Case(
        "a key of auth.json without a mode beats its tokens",
        lambda o: {CONFIG: toml(o, ACCOUNT), ".codex/auth.json": login(auth_mode=None, OPENAI_API_KEY=KEY_B)},
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
