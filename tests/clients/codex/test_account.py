"""``config-switch official`` for Codex: its own account is used afterwards, or what is in the way is named."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from support import cc

from ccsetup import bounded

KEY = "test-key-0123456789abcdef"
CONFIG, AUTH = ".codex/config.toml", ".codex/auth.json"
TOKENS = {"access_token": "T-0123456789", "refresh_token": "R"}


def official(home: Path, rc: int = 0) -> cc.Result:
    done = cc.main("config-switch", "official", "-T", "codex")
    assert done.rc == rc, done
    return done


@pytest.mark.parametrize(
    "line",
    [
        'openai_base_url = "https://third.example/v1"',
        'openai_base_url = "http://127.0.0.1:9/v1"',
        'chatgpt_base_url = "https://third.example/backend-api"',
        'model_catalog_json = "gone.json"',
        'model_catalog_json = "/nowhere/ccr-model-catalog.json"',
    ],
)
def test_what_moves_or_stops_its_own_provider_goes_and_comes_back(home: Path, line: str) -> None:
    """The line is taken out and said; undo puts it back, byte for byte; a second run changes nothing."""
    text = f'{line}\nmodel_verbosity = "low"\n'
    cc.put(home, {CONFIG: text})
    done = official(home)
    assert line.split()[0] + " was taken out" in done.stdout + done.stderr
    assert (home / CONFIG).read_text() == 'model_verbosity = "low"\n'
    assert "unchanged" in official(home).stdout
    assert cc.main("undo").ok
    assert (home / CONFIG).read_text() == text


@pytest.mark.parametrize(
    "line",
    [
        'openai_base_url = "https://eu.api.openai.com/v1"',
        'chatgpt_base_url = "https://chatgpt.com/backend-api/"',
        'model = "gpt-6.2-sol"',
    ],
)
def test_what_is_its_own_stays(home: Path, line: str) -> None:
    cc.put(home, {CONFIG: line + "\n"})
    assert "unchanged" in official(home).stdout
    assert (home / CONFIG).read_text() == line + "\n"


@pytest.mark.parametrize("key", [KEY, "PROXY_MANAGED", "sk-..."])
def test_the_key_of_a_relay_leaves_auth_json_and_the_login_stays(home: Path, key: str) -> None:
    assert cc.main("init", "-s", "-p", "glm", "-k", KEY, "-T", "codex").ok
    auth = {"auth_mode": "chatgpt", "OPENAI_API_KEY": key, "tokens": TOKENS}
    cc.put(home, {AUTH: json.dumps(auth)})
    done = official(home)
    assert json.loads((home / AUTH).read_text()) == {"auth_mode": "chatgpt", "tokens": TOKENS}
    assert KEY not in done.stdout + done.stderr


def test_the_key_of_an_own_endpoint_at_openai_stays(home: Path) -> None:
    """It is OpenAI's, whatever preset it was saved with."""
    argv = ("init", "-s", "-p", "custom", "-u", "https://api.openai.com/v1", "-M", "gpt-6.2-sol", "-T", "codex")
    assert cc.main(*argv, "-k", KEY).ok
    auth = json.dumps({"auth_mode": "apikey", "OPENAI_API_KEY": KEY})
    cc.put(home, {AUTH: auth})
    official(home)
    assert (home / AUTH).read_text() == auth


def test_a_model_of_openais_stays_though_a_profile_has_it_too(home: Path) -> None:
    argv = ("init", "-s", "-p", "custom", "-u", "https://gateway.example/v1", "-M", "gpt-6.2-sol", "-T", "codex")
    assert cc.main(*argv, "-k", KEY, "--no-activate").ok
    cc.put(home, {CONFIG: 'model = "gpt-6.2-sol"\n'})
    assert "unchanged" in official(home).stdout
    assert (home / CONFIG).read_text() == 'model = "gpt-6.2-sol"\n'


@pytest.mark.parametrize("url", ["http://[::1", "http://[::1/v1", "https://[x]/", "http://a:b:c/"])
def test_an_address_that_is_none_is_told_and_stops_no_command(home: Path, url: str) -> None:
    cc.put(home, {CONFIG: f'openai_base_url = "{url}"\n', AUTH: json.dumps({"auth_mode": "chatgpt", "tokens": TOKENS})})
    for argv in (("list",), ("doctor",), ("test", "-T", "codex", "--quick")):
        done = cc.main(*argv)
        assert "bug" not in done.stdout + done.stderr, done
    assert "openai_base_url" in cc.main("doctor").stdout
    official(home)
    assert (home / CONFIG).read_text() == ""


def test_a_key_that_nobody_knows_stays(home: Path) -> None:
    assert cc.main("init", "-s", "-p", "glm", "-k", KEY, "-T", "codex").ok
    cc.put(home, {AUTH: json.dumps({"OPENAI_API_KEY": "sk-proj-of-the-user-0123456789"})})
    official(home)
    assert json.loads((home / AUTH).read_text()) == {"OPENAI_API_KEY": "sk-proj-of-the-user-0123456789"}


def test_a_file_that_holds_nothing_but_a_providers_key_goes(home: Path) -> None:
    """Codex takes an empty auth.json for a login."""
    assert cc.main("init", "-s", "-p", "glm", "-k", KEY, "-T", "codex").ok
    cc.put(home, {AUTH: json.dumps({"OPENAI_API_KEY": KEY})})
    official(home)
    assert not (home / AUTH).exists()


def test_the_model_of_a_former_provider_goes(home: Path) -> None:
    assert cc.main("init", "-s", "-p", "glm", "-k", KEY, "-T", "codex").ok
    model = tomllib.loads((home / CONFIG).read_text())["model"]
    official(home)
    cc.put(home, {CONFIG: f'model = "{model}"\n'})
    official(home)
    assert tomllib.loads((home / CONFIG).read_text()) == {}


def test_what_is_in_the_way_is_named(home: Path) -> None:
    """A file of the user's that is gone, and the shell's key, are not ours: exit 5, and no claim of its own account."""
    cc.put(home, {CONFIG: 'model_instructions_file = "gone.md"\n'})
    done = official(home, 5)
    assert "model_instructions_file" in done.stdout + done.stderr
    assert "does not use its own account yet" in done.stdout


CATALOGUE = '{"models": [{"slug": "relay/m"}]}'


def test_the_catalogue_of_a_provider_goes_with_it(home: Path) -> None:
    """With it Codex would ask its own account for the provider's models."""
    table = '[model_providers.r]\nname = "R"\nbase_url = "http://127.0.0.1:9/v1"\n'
    text = f'model_provider = "r"\nmodel = "relay/m"\nmodel_catalog_json = "r.json"\n{table}'
    cc.put(home, {CONFIG: text, ".codex/r.json": CATALOGUE})
    official(home)
    assert (home / CONFIG).read_text() == table
    assert cc.main("undo").ok
    assert (home / CONFIG).read_text() == text


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({CONFIG: 'model_catalog_json = "r.json"\n', ".codex/r.json": CATALOGUE}, "names none of OpenAI's models"),
        ({AUTH: '{"auth_mode": "apikey"}'}, "~/.codex/auth.json holds no login"),
        ({AUTH: json.dumps({"auth_mode": "apikey", "tokens": TOKENS})}, "~/.codex/auth.json holds no login"),
        ({AUTH: '{"auth_mode": "apikey", "OPENAI_API_KEY": "PROXY_MANAGED"}'}, "~/.codex/auth.json holds no login"),
    ],
)
def test_what_nobody_can_take_out_is_named(home: Path, files: dict[str, str], said: str) -> None:
    """Exit 5, and no word of the own account, until it is set right."""
    cc.put(home, files)
    done = official(home, 5)
    assert said in done.stdout + done.stderr
    assert "its own account; no provider" not in done.stdout


def test_a_key_that_only_our_record_knows_leaves_auth_json(home: Path) -> None:
    """A profile's former key, which a tool copied into auth.json, is no key of OpenAI's."""
    assert cc.main("init", "-s", "-p", "glm", "-k", KEY, "-T", "codex").rc in (0, 5)
    cc.put(home, {AUTH: json.dumps({"auth_mode": "chatgpt", "OPENAI_API_KEY": KEY, "tokens": TOKENS})})
    for path in (home / ".config/ccsetup").rglob("*key*/*"):
        path.write_text("another-key-0123456789abcdef")
    official(home)
    assert json.loads((home / AUTH).read_text()) == {"auth_mode": "chatgpt", "tokens": TOKENS}


def test_the_administrators_files_are_read_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cc.put(home, {CONFIG: 'openai_base_url = "https://third.example/v1"\n'})
    read: list[str] = []
    found = bounded.found
    monkeypatch.setattr(bounded, "found", lambda path, *more: (read.append(path), found(path, *more))[1])
    official(home)
    assert [p for p in read if p.startswith("/etc/codex/")] == [
        "/etc/codex/config.toml",
        "/etc/codex/managed_config.toml",
    ]
