"""``ccsetup list`` says of Codex what is so, and not what one file says alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support import cc

CONFIG = ".codex/config.toml"
TABLE = '[model_providers.p]\nname = "P"\nbase_url = "{url}"\nwire_api = "responses"\n'
LOGIN = {".codex/auth.json": json.dumps({"auth_mode": "chatgpt", "tokens": {"access_token": "T"}})}


OWN = "requires_openai_auth = true\n"
KEPT = 'cli_auth_credentials_store = "keyring"\n'
MAYBE = "If a ChatGPT login is in the keyring, where Codex looks for it, {} sends it to https://x.example."


def provider(
    url: str = "https://x.example/v1", more: str = 'experimental_bearer_token = "k-0123456789abcdef"\n'
) -> str:
    return 'model_provider = "p"\nmodel = "m"\n' + TABLE.format(url=url) + more


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ("", "its own account (no provider set)"),
        ('model_provider = "openai"\n', "its own account (no provider set)"),
        (
            'model_provider = "custom"\nmodel = "x"\n',
            "There is no provider 'custom' in the file: Codex does not start.",
        ),
        ('model_provider = "oss"\n', "There is no provider 'oss' in the file: Codex does not start."),
        (provider().replace("providers.p]", "providers.P]"), "There is no provider 'p' in the file"),
        ('model_provider = "ollama"\n', "its own provider 'ollama' (not set up by ccsetup)"),
        (
            'profile = "x"\n[profiles.x]\nmodel = "m"\n',
            "a top-level 'profile' stops every codex command since 0.134.0.",
        ),
        ('model_catalog_json = "gone.json"\n', "model_catalog_json names a file that is not there"),
        ('model_catalog_json = "~/gone.json"\n' + provider(), "model_catalog_json names a file that is not there"),
        ('openai_base_url = "https://x.example/v1"\n', "https://x.example/v1 (not set up by ccsetup)"),
        ('openai_base_url = "https://eu.api.openai.com/v1"\n', "its own account (no provider set)"),
        (provider(), "https://x.example/v1 (not set up by ccsetup)"),
    ],
)
def test_what_codex_uses(home: Path, config: str, expected: str) -> None:
    """What keeps Codex from starting is said in the place of an address, and an address in that of an account."""
    cc.put(home, {CONFIG: config})

    shown = next(line for line in cc.main("list").stdout.splitlines() if line.startswith("Codex: "))

    assert shown.startswith("Codex: " + expected)


@pytest.mark.parametrize(
    ("config", "files", "expected"),
    [
        (provider(more="requires_openai_auth = true\n"), LOGIN, "sends your ChatGPT login to a third party"),
        (provider("http://127.0.0.1:9/v1", "requires_openai_auth = true\n"), LOGIN, "to a program on this machine"),
        ('openai_base_url = "https://x.example/v1"\n', LOGIN, "openai_base_url sends your ChatGPT login"),
        (KEPT + provider(more="requires_openai_auth = true\n"), {}, MAYBE.format("requires_openai_auth")),
        (
            KEPT.replace("keyring", "auto") + 'openai_base_url = "https://x.example/v1"\n',
            {},
            MAYBE.format("openai_base_url"),
        ),
        (KEPT + 'openai_base_url = "https://x.example/v1"\n', LOGIN, MAYBE.format("openai_base_url")),
        (
            KEPT.replace("keyring", "auto") + 'openai_base_url = "https://x.example/v1"\n',
            LOGIN,
            "sends your ChatGPT login",
        ),
        (KEPT.replace("keyring", "ephemeral") + 'openai_base_url = "https://x.example/v1"\n', {}, "asks for a login"),
        ('chatgpt_base_url = "https://x.example/"\n', LOGIN, "chatgpt_base_url sends your ChatGPT login"),
        (provider(more="requires_openai_auth = true\n"), {}, "asks for a login: none is in ~/.codex/auth.json"),
        (provider(more=""), LOGIN, "Codex sends no key to x.example: none is set in ~/.codex/config.toml"),
        (provider("http://localhost:9/v1", ""), {}, ""),
        (provider(), LOGIN, ""),
        ("", LOGIN, ""),
    ],
)
def test_what_is_wrong_with_its_credential(home: Path, config: str, files: dict[str, str], expected: str) -> None:
    """A login that goes elsewhere is said, and a key that is nowhere, with where it would stand."""
    cc.put(home, {CONFIG: config, **files})

    notes = [n["text"] for n in cc.main("list", "--json").json["notes"]]

    assert [expected in text for text in notes] == ([True] if expected else [])


def test_a_folder_that_is_trusted_decides_the_model(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model is that of the folder where Codex trusts it, the provider never is."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    trusted = f'[projects."{work}"]\ntrust_level = "trusted"\n'
    cc.put(work, {CONFIG: 'model = "folder"\nmodel_provider = "none"\n'})
    for config, model in ((provider() + trusted, "folder"), (provider(), "m")):
        cc.put(home, {CONFIG: config})
        state = cc.main("list", "--json").json["result"]["clients"]["codex"]
        assert (state["model"], state["problem"]) == (model, "")


def test_a_provider_of_its_own_is_not_its_account(home: Path) -> None:
    """``test`` says that it does not ask what Codex knows without a table, and never that no provider is set."""
    cc.put(home, {CONFIG: 'model_provider = "ollama"\nmodel = "m"\n'})

    done = cc.main("test", "-T", "codex")

    assert done.rc == 10
    assert "~/.codex/config.toml:1: Codex uses its own provider 'ollama'" in done.stdout
    assert "its own account" not in done.stdout + done.stderr


@pytest.mark.parametrize("store", ["keyring", "auto"])
@pytest.mark.parametrize(
    ("config", "key"),
    [
        (provider(more="requires_openai_auth = true\n"), "requires_openai_auth"),
        (provider("http://127.0.0.1:9/v1", "requires_openai_auth = true\n"), "requires_openai_auth"),
        ('openai_base_url = "https://x.example/v1"\n', "openai_base_url"),
    ],
)
def test_a_login_in_the_keyring_may_be_there(home: Path, store: str, config: str, key: str) -> None:
    """The keyring is asked for nothing: what may be sent is a warning, and ``test`` says what it does not know."""
    cc.put(home, {CONFIG: KEPT.replace("keyring", store) + config})
    (home / CONFIG).chmod(0o600)

    tested = cc.main("test", "-T", "codex", "--json").json["result"]["targets"][0]
    doctor = cc.main("doctor", "--json")

    assert tested["verdict"] == "config"
    said = json.dumps(tested)
    assert "~/.codex/config.toml:1: Codex takes its login or key from the system's keyring" in said
    assert f"If a ChatGPT login is in the keyring, where Codex looks for it, {key} sends it" in said
    found = [f for check in doctor.json["result"]["checks"] for f in check["findings"] if "keyring" in f["text"]]
    assert [f["level"] for f in found] == ["warning"]


@pytest.mark.parametrize("auth", [LOGIN, {".codex/auth.json": '{"OPENAI_API_KEY": "sk-0123456789abcdef"}'}])
def test_the_keyring_goes_before_the_file(home: Path, auth: dict[str, str]) -> None:
    """Observed with 0.133.0 to 0.171.0 and ``auto``: ``test`` says that it goes by the file, and only there."""
    said = {}
    for store in ("auto", "keyring", "file"):
        cc.put(home, {CONFIG: KEPT.replace("keyring", store) + provider("http://127.0.0.1:9/v1", OWN), **auth})
        said[store] = "Codex takes what the system's keyring holds before" in cc.main("test", "-T", "codex").stdout
    assert said == {"auto": True, "keyring": False, "file": False}


@pytest.mark.parametrize("text", ["\ufeff{}", "// mine\n{}"])
def test_a_login_that_codex_cannot_read_goes_nowhere(home: Path, text: str) -> None:
    """Codex sends none of it (observed with 0.171.0): list, test and doctor agree, and the repair makes it readable."""
    cc.put(home, {CONFIG: provider(more=OWN)})
    (home / ".codex/auth.json").write_text(text.replace("{}", LOGIN[".codex/auth.json"]), "utf-8")
    (home / ".codex/auth.json").chmod(0o600)

    for argv in (("list",), ("test", "-T", "codex"), ("doctor",)):
        result = cc.main(*argv)
        assert "third party" not in result.stdout + result.stderr
        assert "asks for a login" in " ".join((result.stdout + result.stderr).split())

    assert "Write it as plain JSON" in cc.main("doctor").stdout
    assert cc.main("doctor", "--fix", "--yes").ok
    assert "requires_openai_auth" not in (home / CONFIG).read_text()  # which would now send it there
    assert json.loads((home / ".codex/auth.json").read_bytes()) == json.loads(LOGIN[".codex/auth.json"])
