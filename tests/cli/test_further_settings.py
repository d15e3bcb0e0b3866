"""What a person sets besides address, key and models: by option, or by hand in our table of Codex's settings."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from support import cc

KEY = "test-key-0123456789abcdef"
BY_HAND = (
    'request_max_retries = 4\nhttp_headers = { "X-Team" = "team-value-31415926" }\n'
    'query_params = { "v" = "preview-27182818" }\n'
)
HIDDEN = ("team-value-31415926", "preview-27182818")


def table(home: Path, file: str = "config.toml", id_: str = "ccsetup") -> dict[str, Any]:
    path = home / ".codex" / file
    found: dict[str, Any] = tomllib.loads(path.read_text())["model_providers"][id_]
    return found


def added(table: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in table.items() if k in ("request_max_retries", "http_headers", "query_params")}


@pytest.fixture
def edited(home: Path) -> dict[str, Any]:
    """Add members to the table of the active profile by hand; return them."""
    for provider, more in (("glm", ()), ("kimi", ("--no-activate",))):
        assert cc.main("init", "-s", "-p", provider, "-k", KEY + provider, "-T", "codex", *more).ok
    path = home / ".codex/config.toml"
    head = "[model_providers.ccsetup]\n"
    path.write_text(path.read_text().replace(head, head + BY_HAND))
    return added(table(home))


WAYS: list[tuple[tuple[tuple[str, ...], ...], str, str]] = [
    # what is done, and in which file and table the members are then
    ((("config-switch", "kimi"), ("config-switch", "glm")), "config.toml", "ccsetup"),
    ((("config-switch", "official"), ("config-switch", "glm")), "config.toml", "ccsetup"),
    (
        (("config-switch", "kimi"), ("config-switch", "official"), ("config-switch", "glm")),
        "config.toml",
        "ccsetup",
    ),
    ((("config-switch", "kimi"),), "glm.config.toml", "ccsetup-glm"),
    ((("key", "set", "glm", "-k", KEY),), "config.toml", "ccsetup"),
    ((("init", "-s", "-p", "glm", "-k", KEY, "-T", "codex"),), "config.toml", "ccsetup"),
    ((("init", "-s", "-n", "glm", "--key-storage", "command"),), "config.toml", "ccsetup"),
    ((("profile", "rename", "glm", "new"),), "config.toml", "ccsetup"),
    (
        (("config-switch", "kimi"), ("profile", "rename", "glm", "new"), ("config-switch", "new")),
        "config.toml",
        "ccsetup",
    ),
    ((("profile", "copy", "glm", "new"), ("config-switch", "new")), "config.toml", "ccsetup"),
    ((("config-switch", "kimi"), ("profile", "copy", "glm", "new")), "new.config.toml", "ccsetup-new"),
    ((("config-switch", "kimi"), ("undo",)), "config.toml", "ccsetup"),
]


@pytest.mark.parametrize("other", ["kimi", "twin"])
@pytest.mark.parametrize("recorded", [True, False])
def test_what_was_added_to_one_profile_never_reaches_another(
    home: Path, edited: dict[str, Any], other: str, recorded: bool
) -> None:
    """Both stand in config.toml under one id, in turn: also at one address, and where our record is lost."""
    assert cc.main("init", "-s", "-p", "glm", "-n", "twin", "-k", KEY + "twin", "-T", "codex", "--no-activate").ok
    if not recorded:
        (home / ".local/state/ccsetup/state.json").unlink()
    assert cc.main("config-switch", other, "-T", "codex").ok
    assert set(tomllib.loads((home / ".codex/config.toml").read_text())["model_providers"]) == {"ccsetup"}
    assert table(home)["experimental_bearer_token"] == KEY + other
    assert added(table(home)) == {} == added(table(home, f"{other}.config.toml", f"ccsetup-{other}"))
    assert cc.main("config-switch", "glm", "-T", "codex").ok
    assert added(table(home)) == (edited if recorded else {})


@pytest.mark.parametrize(("commands", "file", "id_"), WAYS)
def test_what_was_added_by_hand_stays(
    home: Path, edited: dict[str, Any], commands: tuple[tuple[str, ...], ...], file: str, id_: str
) -> None:
    """With the profile, wherever it goes; values of headers and parameters are in no output."""
    for argv in commands:
        done = cc.main(*argv)
        assert done.ok, done
        assert not any(h in done.stdout + done.stderr for h in HIDDEN)
    assert added(table(home, file, id_)) == edited


def test_what_was_added_for_one_host_goes_to_no_other(home: Path, edited: dict[str, Any]) -> None:
    """Headers and parameters stay behind; a number of retries goes nowhere."""
    assert cc.main("init", "-s", "-p", "glm", "--region", "intl", "-k", KEY, "-T", "codex").ok
    assert added(table(home)) == {"request_max_retries": 4}
    for argv in (("config-switch", "kimi", "--dry-run"), ("export", "--with-keys"), ("profile", "show", "glm")):
        done = cc.main(*argv)
        assert not any(h in done.stdout + done.stderr for h in HIDDEN)


def test_a_dry_run_hides_values_of_headers(home: Path, edited: dict[str, Any]) -> None:
    shown = cc.main("config-switch", "kimi", "--dry-run").stdout
    assert "X-Team" in shown
    assert not any(h in shown for h in HIDDEN)


SETTINGS = ("--set", "request_max_retries=4", "--set", "supports_websockets=false", "--set", "model_verbosity=low")
ENV = ("--env", "CLAUDE_CODE_MAX_OUTPUT_TOKENS=32000", "--env", "API_TIMEOUT_MS=600000")


def check(home: Path) -> None:
    config = tomllib.loads((home / ".codex/config.toml").read_text())
    assert (table(home)["request_max_retries"], table(home)["supports_websockets"]) == (4, False)
    assert config["model_verbosity"] == "low"
    env = json.loads((home / ".claude/settings.json").read_text())["env"]
    assert (env["CLAUDE_CODE_MAX_OUTPUT_TOKENS"], env["API_TIMEOUT_MS"]) == ("32000", "600000")


def test_settings_by_option_entry_and_document(home: Path) -> None:
    """All three give the same; switches bring them along, official takes them away, and a document has them."""
    assert cc.main("init", "-s", "-p", "glm", "-k", KEY, "-T", "all", *SETTINGS, *ENV).ok
    check(home)
    document = cc.main("export", "--with-keys").stdout
    before = cc.files(home)
    assert cc.main("apply", "-", "--check", stdin=document.encode()).rc == 0
    assert cc.main("config-switch", "official").ok
    assert "32000" not in (home / ".claude/settings.json").read_text()
    assert "model_verbosity" not in (home / ".codex/config.toml").read_text()
    assert cc.main("config-switch", "glm").ok
    check(home)
    assert "CLAUDE_CODE_MAX_OUTPUT_TOKENS" in cc.main("env", "glm").stdout
    assert cc.main("profile", "rm", "glm", "-y").ok
    assert cc.main("apply", "-", stdin=document.encode()).ok
    check(home)
    assert cc.main("profile", "rm", "glm", "-y").ok
    entry = {
        "provider": "glm", "key": KEY, "codeType": "all",
        "set": {"request_max_retries": 4, "supports_websockets": False, "model_verbosity": "low"},
        "env": {"CLAUDE_CODE_MAX_OUTPUT_TOKENS": "32000", "API_TIMEOUT_MS": "600000"},
    }  # fmt: skip
    assert cc.main("init", "-s", "--api-configs", json.dumps([entry])).ok
    check(home)
    assert {n: d for n, d in cc.files(home).items() if n.endswith("profiles.toml")} == {
        n: d for n, d in before.items() if n.endswith("profiles.toml")
    }


def test_one_setting_more(home: Path) -> None:
    """With -n it joins those that the profile has, for the client that it is of."""
    assert cc.main("init", "-s", "-p", "glm", "-k", KEY, "-T", "all", *SETTINGS, *ENV).ok
    assert cc.main("init", "-s", "-n", "glm", "--set", "stream_max_retries=9").ok
    check(home)
    assert table(home)["stream_max_retries"] == 9
    assert cc.main("init", "-s", "-n", "glm", "--env", "MAX_THINKING_TOKENS=1000").ok
    check(home)
    assert "MAX_THINKING_TOKENS" in (home / ".claude/settings.json").read_text()


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("--set", "request_max_retries"), "NAME=VALUE"),
        (("--set", "request_max_retries="), "NAME=VALUE"),
        (("--set", "=4"), "NAME=VALUE"),
        (("--set", "request_max_retries=four"), "has to be a whole number"),
        (("--set", "request_max_retries=-1"), "has to be a whole number"),
        (("--set", "supports_websockets=1"), "has to be true or false"),
        (("--set", "model_verbosity=loud"), "has to be low, medium, high"),
        (("--set", "wire_api=chat"), "Known: request_max_retries"),
        (("--set", "stream_max_retry=4"), "Did you mean 'stream_max_retries'?"),
        (("--set", "base_url=https://h.example"), "no setting that a profile can have"),
        (("--set", "env_key=X"), "no setting that a profile can have"),
        (("--set", "experimental_bearer_token=X"), "no setting that a profile can have"),
        (("--set", "http_headers=X"), "no setting that a profile can have"),
        (("--set", "requires_openai_auth=true"), "no setting that a profile can have"),
        (("--env", "ANTHROPIC_AUTH_TOKEN=x"), "no variable that a profile can set"),
        (("--env", "ANTHROPIC_BASE_URL=https://h.example"), "no variable that a profile can set"),
        (("--env", "ANTHROPIC_MODEL=x"), "no variable that a profile can set"),
        (("--env", "CLAUDE_CODE_USE_BEDROCK=1"), "no variable that a profile can set"),
        (("--env", "ANTHROPIC_CUSTOM_HEADERS=a:b"), "no variable that a profile can set"),
        (("--env", "A-B=x"), "no variable that a profile can set"),
        (("--env", "CLAUDE_CONFIG_DIR=/x"), "no variable that a profile can set"),
        (("--env", "NODE_TLS_REJECT_UNAUTHORIZED=0"), "no variable that a profile can set"),
        (("--env", "ANTHROPIC_UNIX_SOCKET=/x"), "no variable that a profile can set"),
        (("--set", "request_max_retries=" + "9" * 5000, "-T", "cx"), "a whole number"),
        (("--set", "request_max_retries=" + "9" * 23, "-T", "cx"), "a whole number"),
        (("--env", "MINE=sk-ant-api03-0f3a9b27c4d81e56"), "key"),
        (("--set", "request_max_retries=4", "-T", "cc"), "is for Codex"),
        (("--env", "A=b", "-T", "cx"), "is for Claude Code"),
    ],
)
def test_wrong_settings(home: Path, argv: tuple[str, ...], said: str) -> None:
    """Exit 2, nothing written."""
    clients = () if "-T" in argv else ("-T", "all")
    done = cc.main("init", "-s", "-p", "glm", "-k", KEY, *clients, *argv)
    assert done.rc == 2, done
    assert said in done.stderr
    assert not cc.files(home)
    assert "sk-ant" not in done.stderr


def test_wrong_settings_in_files(home: Path) -> None:
    """In a document with line and column; in profiles.toml when the profile is used."""
    document = "ccsetup: 1\nprofiles:\n- name: a\n  provider: glm\n  key: {inline: K-12345678}\n"
    document += "  codex:\n    settings: {base_url: x}\n"
    done = cc.main("apply", "-", stdin=document.encode())
    assert done.rc == 2
    assert "standard input:7:26: profiles[0].codex.settings.base_url: 'base_url' is no setting" in done.stderr
    assert cc.main("init", "-s", "-p", "glm", "-k", KEY, "-T", "cx", *SETTINGS, "--no-activate").ok
    path = home / ".config/ccsetup/profiles.toml"
    path.write_text(path.read_text().replace("request_max_retries = 4", 'env_key = "X"'))
    done = cc.main("config-switch", "glm")
    assert done.rc == 2
    assert "'env_key' is no setting" in done.stderr
    assert not (home / ".codex/config.toml").exists() or "env_key" not in (home / ".codex/config.toml").read_text()


# What no preset knows of a model: what it costs, and whether it takes images.

OF_MODEL = {"vision": True, "price_in": 0.5, "price_out": 2, "price_cache_read": 0.05, "currency": "CNY"}
OWN = ("-p", "custom", "-n", "own", "-M", "mine", "-k", KEY, "-u", "http://127.0.0.1:9/v1")


def catalogue(home: Path) -> Any:
    """Return the models of the catalogue that Codex uses."""
    config = tomllib.loads((home / ".codex/config.toml").read_text())
    return json.loads((home / ".codex" / config["model_catalog_json"]).read_text())["models"]


def of_model() -> list[str]:
    words = [f"{n}={str(v).lower() if n == 'vision' else v}" for n, v in OF_MODEL.items()]
    return [word for pair in words for word in ("--set", pair)]


@pytest.mark.parametrize("way", ["options", "api-configs", "apply", "file"])
@pytest.mark.parametrize("clients", [("claude-code",), ("codex",), ("claude-code", "codex")])
def test_what_is_known_of_a_model_can_be_set(home: Path, way: str, clients: tuple[str, ...]) -> None:
    """... whichever way a profile comes; it is saved, given to Codex, written for no other client, and exported."""
    part = {"url": "http://127.0.0.1:9/v1", "primary_model": "mine", "settings": OF_MODEL}
    if way == "options":
        done = cc.main("init", "-s", *OWN, *of_model(), *(w for c in clients for w in ("-T", c)))
    elif way == "api-configs":
        entry = {"provider": "custom", "name": "own", "key": KEY, "url": part["url"], "primaryModel": "mine"}
        done = cc.main("init", "-s", "--api-configs", json.dumps([{**entry, "codeType": clients, "set": OF_MODEL}]))
    elif way == "apply":
        parts = dict.fromkeys(clients, part)
        body = {"name": "own", "provider": "custom", "key": {"inline": KEY}, **parts}
        cc.put(
            home, {"doc.json": json.dumps({"ccsetup": 1, "profiles": [body], "active": dict.fromkeys(clients, "own")})}
        )
        (home / "doc.json").chmod(0o600)
        done = cc.main("apply", str(home / "doc.json"))
    else:
        cc.main("init", "-s", *OWN, *(w for c in clients for w in ("-T", c)))
        path = home / ".config/ccsetup/profiles.toml"
        lines = "".join(f"{n} = {json.dumps(v)}\n" for n, v in OF_MODEL.items())
        path.write_text(path.read_text() + "".join(f"\n[profiles.own.{c}.settings]\n{lines}" for c in clients))
        done = cc.main("config-switch", "own")
    assert done.ok, done
    if "codex" in clients:
        models = catalogue(home)
        assert [(m["slug"], m["input_modalities"]) for m in models] == [("mine", ["text", "image"])]
    written = "".join(
        p.read_text() for p in (home / ".codex/config.toml", home / ".claude/settings.json") if p.exists()
    )
    assert not [n for n in OF_MODEL if n in written]
    exported = cc.main("export", "--json").json["result"]["document"]
    assert exported.count("price_cache_read: 0.05") == len(clients)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("vison=true", "Did you mean 'vision'?"),
        ("pricein=1", "Did you mean 'price_in'?"),
        ("request_max_retris=1", "Did you mean 'request_max_retries'?"),
        ("price_in=cheap", "price_in has to be a number"),
        ("price_out=-1", "price_out has to be a number"),
        ("price_in=true", "price_in has to be a number"),
        ("price_in=1e999", "price_in has to be a number"),
        ("vision=yes", "vision has to be true or false"),
        ("vision=1", "vision has to be true or false"),
        ("currency=usd", "currency has to be three capitals"),
    ],
)
def test_a_wrong_fact_of_a_model_is_refused(home: Path, word: str, said: str) -> None:
    """... before anything is written, with the nearest name."""
    done = cc.main("init", "-s", *OWN, "-T", "codex", "--set", word)
    assert (done.rc, said in done.stderr) == (2, True), done
    assert not (home / ".codex").exists()


def test_prices_reach_the_relay(home: Path) -> None:
    """... with the images, and a second run says that the upstream's prices are kept."""
    done = cc.main("init", "-s", *OWN, *of_model(), "-T", "codex", "--via-relay", "--no-start")
    assert done.ok, done
    text = (home / ".config/ccsetup/relay.yaml").read_text()
    assert "prices: {mine: {input: 0.5, output: 2, cache_read: 0.05, currency: CNY}}" in text
    assert [m["input_modalities"] for m in catalogue(home) if m["slug"] == "mine"] == [["text", "image"]]
    relay = ("-T", "codex", "--via-relay", "--no-start")
    again = cc.main("init", "-s", *OWN, "--set", "price_in=1", "--set", "price_out=2", *relay)
    assert "its prices are others" in again.stderr
    assert (home / ".config/ccsetup/relay.yaml").read_text() == text


def test_a_model_without_images_is_told_to_the_relay(home: Path) -> None:
    assert cc.main("init", "-s", *OWN, "--set", "vision=false", "-T", "codex", "--via-relay", "--no-start").ok
    assert "dialect: {chat: {images: false}}" in (home / ".config/ccsetup/relay.yaml").read_text()
