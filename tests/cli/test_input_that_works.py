"""Input that could never work is refused before anything is written, whichever way it comes; the rest is left alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support import cc

KEY = "test-key-0123456789abcdef"
ANTHROPIC = "sk-ant-api03-0f3a9b27c4d81e56f0a7"
OPENROUTER = "sk-or-v1-0f3a9b27c4d81e56f0a7b3c9"
GROQ = "gsk_0f3a9b27c4d81e56f0a7b3c9"
GLM = ("init", "-s", "-p", "glm")
CUSTOM = ("init", "-s", "-p", "custom", "-u", "http://127.0.0.1:9", "-M", "m")


def env(home: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads((home / ".claude/settings.json").read_text())["env"]
    return found


def document(key: str, provider: str = "glm", **part: str) -> str:
    entry = {"name": "a", "provider": provider, "key": {"inline": key}, "claude-code": part}
    return json.dumps({"ccsetup": 1, "profiles": [entry]})


def ways(home: Path, key: str) -> list[tuple[tuple[str, ...], dict[str, str], bytes]]:
    """Return every way in which a key reaches a profile of GLM: arguments, variables, standard input."""
    file = home.parent / "key"
    file.write_text(key + "\n")
    return [
        ((*GLM, "-k", key), {}, b""),
        ((*GLM, "-k", "-"), {}, key.encode()),
        ((*GLM, "--api-key-file", str(file)), {}, b""),
        ((*GLM, "--api-key-env", "MINE"), {"MINE": key}, b""),
        (GLM, {"CCSETUP_API_KEY": key}, b""),
        (("init", "-s", "--api-configs", json.dumps([{"provider": "glm", "key": key}])), {}, b""),
        (("init", "-s", "--api-configs", '[{"provider": "glm", "keyEnv": "MINE"}]'), {"MINE": key}, b""),
        (("init", "-s", "--api-configs", json.dumps([{"provider": "glm", "keyFile": str(file)}])), {}, b""),
        (("apply", "-"), {}, document(key).encode()),
        ((*GLM, "-k", key, "--no-activate"), {}, b""),
        ((*GLM, "-k", key, "-T", "codex", "--via-relay", "--dry-run"), {}, b""),
    ]


@pytest.mark.parametrize(
    "key",
    [
        "${API_KEY}",
        "sk-****abcd",
        ANTHROPIC,
        GROQ,
        "sk-xxxxxxxx",
        "EMPTY",
        "~/.keys/glm",
        "https://a.example/v1",
        "env:GLM_KEY",
    ],
)
def test_every_way_refuses_what_is_no_key_of_the_provider(
    home: Path, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit 2, nothing written, and the key is not in the output."""
    for argv, variables, stdin in ways(home, key):
        with monkeypatch.context() as patch:
            for name, value in variables.items():
                patch.setenv(name, value)
            done = cc.main(*argv, stdin=stdin)
        assert done.rc == 2, done
        assert key not in done.stdout + done.stderr or key == "EMPTY"
    assert not cc.files(home)


@pytest.mark.parametrize("key", ["${API_KEY}", ANTHROPIC])
def test_another_key_is_held_to_the_same(home: Path, key: str) -> None:
    """``key set`` and a second ``init`` leave the saved key as it is; the second kind can be insisted on."""
    assert cc.main(*GLM, "-k", KEY).ok
    before = cc.files(home)
    for argv in (("key", "set", "glm", "-k", key), (*GLM, "-k", key), ("init", "-s", "-n", "glm", "-k", key)):
        assert cc.main(*argv).rc == 2
    assert cc.files(home) == before
    assert cc.main("key", "set", "glm", "-k", key, "--force-key").rc == (0 if key == ANTHROPIC else 2)


def test_a_key_that_looks_wrong_can_be_insisted_on(home: Path) -> None:
    """``--force-key`` takes another vendor's key, and what stands in for one."""
    for key in (ANTHROPIC, "EMPTY"):
        assert cc.main(*GLM, "-k", key, "--force-key").ok
        assert env(home)["ANTHROPIC_AUTH_TOKEN"] == key
    assert cc.main("apply", "-", "--force-key", stdin=document(OPENROUTER).encode()).ok


@pytest.mark.parametrize("key", ["EMPTY", "ollama", "123", "sk-xxxx", ANTHROPIC, OPENROUTER, GROQ, "AIzaSyA0123456789"])
def test_servers_of_ones_own_take_any_key(home: Path, key: str) -> None:
    """Nothing is held against a key for a custom address, a local server, or a provider's preset at another host."""
    for where in (
        ("-p", "custom", "-u", "http://127.0.0.1:9", "-M", "m"),
        ("-p", "custom", "-u", "https://gateway.example", "-M", "m"),
        ("-p", "ollama", "-M", "m"),
        ("-p", "glm", "-u", "https://gateway.example"),
    ):
        assert cc.main("init", "-s", *where, "-k", key, "-n", "own").ok, where
        assert env(home)["ANTHROPIC_AUTH_TOKEN"] == key
        assert cc.main("profile", "rm", "own", "-y").ok


@pytest.mark.parametrize(("provider", "key"), [("anthropic", ANTHROPIC), ("openrouter", OPENROUTER)])
def test_a_providers_own_keys_are_taken(home: Path, provider: str, key: str) -> None:
    assert cc.main("init", "-s", "-p", provider, "-k", key).ok


def test_a_quoted_key_is_taken_apart_and_said(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As ``docker run --env-file`` gives it."""
    monkeypatch.setenv("CCSETUP_API_KEY", f'"{KEY}"')
    done = cc.main(*CUSTOM)
    monkeypatch.delenv("CCSETUP_API_KEY")
    assert env(home)["ANTHROPIC_AUTH_TOKEN"] == KEY
    assert "CCSETUP_API_KEY: quotes" in done.stderr
    done = cc.main(*CUSTOM, "-k", "-", "--json", stdin=f"ANTHROPIC_API_KEY='{KEY}'\n".encode())
    assert [n["level"] for n in done.json["notes"]] == ["info"]


@pytest.mark.parametrize(
    ("client", "given", "kept"),
    [
        ("cc", "/v1/chat/completions", ""),
        ("cc", "/v1/responses", ""),
        ("cc", "/v1/messages", ""),
        ("cc", "/v1", ""),
        ("cc", "/api/messages", "/api"),
        ("cx", "/v1/messages", "/v1"),
        ("cx", "/v1/chat/completions/", "/v1"),
        ("cx", "/v1/responses", "/v1"),
    ],
)
def test_the_path_of_a_request_is_corrected_and_said(home: Path, client: str, given: str, kept: str) -> None:
    """In an address for either client, by option, in --api-configs and in a document."""
    base = "https://gateway.example"
    url, id_ = base + given, {"cc": "claude-code", "cx": "codex"}[client]
    entry = {"provider": "custom", "name": "a", "key": KEY, "url": url, "primaryModel": "m", "codeType": client}
    profile = {"name": "a", "provider": "custom", "key": {"inline": KEY}, id_: {"url": url, "primary_model": "m"}}
    for argv, stdin in (
        (("init", "-s", "-p", "custom", "-n", "a", "-T", client, "-M", "m", "-k", KEY, "-u", url), b""),
        (("init", "-s", "--api-configs", json.dumps([entry])), b""),
        (("apply", "-"), json.dumps({"ccsetup": 1, "profiles": [profile]}).encode()),
    ):
        done = cc.main(*argv, stdin=stdin)
        assert done.ok
        assert f"adds the path of its requests itself: the address is {base}{kept}." in done.stderr
        saved = (home / ".config/ccsetup/profiles.toml").read_text()
        assert f'url = "{base}{kept}"\n' in saved
        assert cc.main("profile", "rm", "a", "-y").ok


def test_an_address_that_is_right_is_not_commented(home: Path) -> None:
    done = cc.main("init", "-s", "-p", "custom", "-k", KEY, "-M", "m", "-u", "https://gateway.example/api/")
    assert "adds the path" not in done.stderr


@pytest.mark.parametrize("option", ["-M", "-H", "-S", "-O", "--fable-model", "--subagent-model"])
def test_a_model_has_no_spaces(home: Path, option: str) -> None:
    """By any option, in --api-configs and in a document; nothing is written."""
    done = cc.main(*GLM, "-k", KEY, option, "glm 5")
    assert done.rc == 2
    assert "A model id has no spaces" in done.stderr
    assert (
        cc.main("init", "-s", "--api-configs", json.dumps([{"provider": "glm", "key": KEY, "fastModel": "a b"}])).rc
        == 2
    )
    done = cc.main("apply", "-", stdin=document(KEY, primary_model="glm 5").encode())
    assert done.rc == 2
    assert "standard input:1:" in done.stderr
    assert not cc.files(home)


def test_a_key_is_not_thrown_away(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a variable of the user's has the key, another one is refused; the same one is no contradiction."""
    variable = ("--key-storage", "env", "--key-env-name", "MINE")
    assert cc.main(*GLM, *variable, "-k", KEY).rc == 2
    assert not cc.files(home)
    monkeypatch.setenv("MINE", KEY)
    assert cc.main(*GLM, "--key-storage", "env", "--api-key-env", "MINE").ok
    assert 'key_env = "MINE"' in (home / ".config/ccsetup/profiles.toml").read_text()
    monkeypatch.delenv("MINE")
    before = cc.files(home)
    for argv in ((*GLM, "-k", KEY), ("init", "-s", "-n", "glm", "-k", KEY), ("key", "set", "glm", "-k", KEY)):
        done = cc.main(*argv)
        assert done.rc == 2
        assert "variable MINE: change it there" in done.stderr
    assert cc.files(home) == before
    assert cc.main(*GLM, "-k", KEY, "--key-storage", "inline").ok
    assert env(home)["ANTHROPIC_AUTH_TOKEN"] == KEY


@pytest.mark.parametrize("client", ["cc", "cx"])
def test_a_local_profile_keeps_its_model(home: Path, client: str) -> None:
    """When it is written again without -M, at the same server."""
    assert cc.main("init", "-s", "-p", "ollama", "-T", client, "-M", "qwen3", "--context-window", "32768").ok
    before = cc.files(home)
    assert cc.main("init", "-s", "-p", "ollama", "-T", client).ok
    assert cc.files(home) == before
    assert cc.main("init", "-s", "-p", "ollama", "-T", client, "-M", "other").ok
    assert '"other"' in (home / ".config/ccsetup/profiles.toml").read_text()


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (f'"{KEY}"', "holds more than the key"),
        ("YOUR_KEY", "a placeholder, not a key"),
        ("${OTHER}", "a placeholder, not a key"),
        (ANTHROPIC, "This is no key of GLM"),
    ],
)
def test_a_variable_that_the_client_reads_holds_a_key(
    home: Path, monkeypatch: pytest.MonkeyPatch, value: str, said: str
) -> None:
    """What is set here is looked at; where it is not set, nothing is known."""
    argv = (*GLM, "--key-storage", "env", "--key-env-name", "MINE")
    monkeypatch.setenv("MINE", value)
    done = cc.main(*argv)
    assert done.rc == 2
    assert said in done.stderr
    assert not cc.files(home)
    monkeypatch.delenv("MINE")
    assert cc.main(*argv).ok


def test_white_space_around_a_model_goes(home: Path) -> None:
    assert cc.main(*GLM, "-k", KEY, "-M", " glm-5 ").ok
    assert env(home)["ANTHROPIC_MODEL"] == "glm-5"
