"""Keys in wrong places, as hurried people type and paste them: none is shown, and the error says where it goes."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from support import cc

from ccsetup import masking, presets

BODY = "Zq7Kx2Vb9Lm4Tn8Wc3Yd6Rf1Hg5Js0P"
OPENROUTER = "sk-or-v1-0f3a9b27c4d81e56f0a7b3c9d2e4f6a8"
SAVED = "sk-saved-4c1d9e7a3b5f"
VENDORS = sorted({family.prefix for _id, family in presets.key_families()})
KEYS = [
    *(prefix + BODY for prefix in VENDORS),
    OPENROUTER,
    "sk-abcdefghijklmnopqrstuvwxyz",
    "sk-or-v1-SECRETSECRETSECRET0123456789",
    "gsk_" + BODY,
    "0f3a9b27c4d81e56f0a7b3c9d2e4f6a8.Zq7Kx2Vb9Lm4Tn8W",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
    BODY,
]
HEXADECIMAL = ["0f3a9b27c4d81e56f0a7b3c9d2e4f6a8", "3f2b8c1e-9d47-4a6b-8e05-7c1f9a2d4b63"]
"""Keys of some providers, which elsewhere are checksums and identifiers."""
K = "{key}"

WORDS: list[tuple[str, ...]] = [
    ("key", "set", "glm", K),
    ("key", "rotate", "glm", K),
    ("key", "set", K),
    ("key", "get", K),
    ("key", "rm", K, "-y"),
    ("key", K),
    ("init", "glm", K),
    ("init", K),
    ("init", "-s", "-p", K),
    ("init", "-s", "-p" + K),
    ("init", "-s", "--provider=" + K),
    ("init", "-s", "-p", "glm", "--api-key-env", K),
    ("init", "-s", "-p", "glm", "--api-key-file", K),
    ("init", "-s", "-p", "glm", "--key-env-name", K, "-k", SAVED, "--key-storage", "env"),
    ("init", "-s", "-p", "glm", "-k", SAVED, "-n", K),
    ("init", "-s", "-p", "glm", "-k", SAVED, "-M", K),
    ("init", "-s", "-p", "glm", "-k", SAVED, "--region", K),
    ("init", "-s", "-p", "glm", "-k", SAVED, "--provider-id", K, "-T", "cx"),
    ("init", "-s", "-p", "glm", "-k", SAVED, "-T", K),
    ("init", "-s", "-p", "glm", "-k", SAVED, "-t", K),
    ("init", "-s", "-p", "glm", "-k", SAVED, "--key-storage", K),
    ("init", "-s", "-p", "custom", "-n", "x", "-k", SAVED, "-u", "https://h.example/v1?api_key=" + K),
    ("init", "-s", "-p", "custom", "-n", "x", "-k", SAVED, "-u", "https://me:" + K + "@h.example/v1"),
    ("init", "-s", "-p", "custom", "-n", "x", "-k", SAVED, "-u", "https://h.example/" + K + "/v1"),
    ("init", "-s", "-p", "custom", "-n", "x", "-k", SAVED, "-u", K),
    ("init", "-s", "-p", "glm", "GLM_API_KEY=" + K),
    ("init", "-s", "-p", "glm", "--key", K),
    ("init", "-s", "-p", "glm", "--" + K),
    ("init", "-s", "-p", "glm", "-k", K, "--bogus"),
    ("init", "-s", "-p", "nonsense", "-k", K),
    ("init", "-s", "-p", "glm", "-k", K + " " + K),
    ("init", "-s", "-p", "glm", "-k", K, "--context-window", K),
    ("init", "-s", "--api-configs", K),
    ("init", "-s", "--api-configs-file", K),
    ("init", "-s", "--api-configs", '[{"provider": "' + K + '"}]'),
    ("init", "-s", "--api-configs", '[{"provider": "glm", "name": "' + K + '", "kye": 1}]'),
    ("init", "-s", "--api-configs", '[{"provider": "glm", "key": "' + K + '", "' + K + '": 1}]'),
    ("init", "-s", "--api-configs", '[{"provider": "glm", "key": "' + K),
    ("init", "-s", "--api-configs", "- provider: glm\n  key: [" + K + "\n"),
    ("config-switch", K),
    ("cs", K),
    ("config-switch", "glm", K),
    ("config-switch", "glm", "--codex-version", K),
    ("test", K),
    ("test", "-p", K),
    ("test", "-p", "glm", "--api-key-env", K),
    ("test", "-p", "glm", "--api-key-file", K),
    ("test", "-p", "glm", K),
    ("env", K),
    ("env", "glm", "--shell", K),
    ("run", K),
    ("import", K),
    ("import", "--from", K),
    ("apply", K),
    ("export", K),
    ("undo", K),
    ("uninstall", K),
    ("doctor", K),
    ("list", K),
    ("list", "-T", K),
    ("profile", "show", K),
    ("profile", "rm", K, "-y"),
    ("profile", "copy", "glm", K),
    ("profile", "rename", "glm", K),
    ("relay", "key", "add", K),
    ("relay", "key", "revoke", K),
    ("relay", "init", K),
    ("relay", "start", K),
    ("relay", K),
    (K,),
    (K, "init"),
    ("export", "GLM_API_KEY=" + K),
]
"""Command lines that put a key where something else belongs; all end with 1 or 2."""


@pytest.fixture
def saved(home: Path) -> Path:
    assert cc.main("init", "-s", "-p", "glm", "-k", SAVED, "-T", "all").ok
    return home


def filled(words: tuple[str, ...], key: str) -> tuple[str, ...]:
    return tuple(w.replace(K, key) for w in words)


def hidden(done: cc.Result, *keys: str) -> None:
    """Assert that nothing of *keys* is in the output."""
    for key in (*keys, SAVED):
        for part in (key, key[:16], key[-16:]):
            assert part not in done.stdout + done.stderr, done
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_a_key_in_a_wrong_place_is_not_shown(saved: Path, words: tuple[str, ...]) -> None:
    """Each command line fails, shows no key, neither as text nor as JSON, and changes no file."""
    before = cc.files(saved)
    for key in (OPENROUTER, BODY):
        for argv in (filled(words, key), (*filled(words, key), "--json")):
            done = cc.main(*argv)
            assert done.rc in (1, 2), done
            hidden(done, key)
            if done.stdout.startswith("{"):
                assert done.json["ok"] is False
    assert cc.files(saved) == before


@pytest.mark.parametrize("key", KEYS)
def test_keys_of_every_vendor_are_recognised(saved: Path, key: str) -> None:
    """Whatever provider made it: refused as a word, hidden inside a sentence, a path and an assignment."""
    for words in (("key", "set", "glm", key), ("init", "-s", "-p", key), ("test", key), ("config-switch", key)):
        done = cc.main(*words)
        assert done.rc == 2, done
        hidden(done, key)
    for text in (
        f"say {key}.",
        f"/tmp/{key}/x",
        f"GLM_API_KEY={key}",
        f'["{key}"]',
        f"https://h/{key}/v1",
        f"键{key}。",
    ):
        assert key not in masking.hide(text)


@pytest.mark.parametrize("key", HEXADECIMAL)
@pytest.mark.parametrize("words", [("key", "set", "glm"), ("test",), ("config-switch",), ("init", "glm"), ("env",)])
def test_what_might_be_a_checksum_is_hidden_among_the_words(saved: Path, words: tuple[str, ...], key: str) -> None:
    """A key that looks like a checksum or a UUID is hidden when it was typed; nobody types one as a name."""
    done = cc.main(*words, key)
    assert done.rc in (1, 2)
    hidden(done, key)


NEXT = [
    (("key", "set", "glm", OPENROUTER), "ccsetup key set glm -k -"),
    (("key", "rotate", "glm", OPENROUTER), "ccsetup key rotate glm -k -"),
    (("init", "glm", OPENROUTER), "ccsetup init -p glm -k -"),
    (("init", "-s", "-p", OPENROUTER), "ccsetup init -p openrouter -k -"),
    (("init", "-s", "-p", "sk-kimi-" + BODY), "ccsetup init -p kimi -k -"),
    (("init", "-s", "-p", "deepseek", "--api-key-env", OPENROUTER), "ccsetup init -p deepseek -k -"),
    (("config-switch", OPENROUTER), "ccsetup init -p openrouter -k -"),
    (("test", BODY), "ccsetup test -p PROVIDER -k -"),
    (("relay", "key", "add", OPENROUTER), "ccsetup relay key add NAME"),
]


@pytest.mark.parametrize(("argv", "command"), NEXT, ids=[c for _a, c in NEXT])
def test_the_error_says_where_the_key_goes(saved: Path, argv: tuple[str, ...], command: str) -> None:
    """One sentence, and the command that takes the key from standard input."""
    done = cc.main(*argv)
    assert done.rc == 2
    assert command in done.stderr
    assert done.stderr.count("\n") == 2
    assert command in cc.main(*argv, "--json").json["error"]["hint"]


def test_the_next_command_works(saved: Path) -> None:
    """What the error says to type takes the key, and the profile has it then."""
    assert cc.main("key", "set", "glm", "-k", "-", "--force-key", stdin=OPENROUTER.encode()).ok
    assert cc.main("key", "get", "glm").stdout == OPENROUTER


def test_a_key_broken_in_two_is_not_shown(saved: Path) -> None:
    """White space inside a pasted key leaves neither half in the output."""
    for gap in (" ", "\n", "\t", "\r\n"):
        whole = f"sk-or-v1-0f3a9b27c4d8{gap}1e56f0a7b3c9d2e4f6a8"
        for argv in (("key", "set", "glm", whole), ("init", "glm", whole), ("test", whole), ("init", "-p", whole)):
            done = cc.main(*argv)
            assert done.rc in (1, 2)
            hidden(done, *whole.split())


def toml(body: str, top: str = "") -> dict[str, str]:
    text = f'model = "m"\nmodel_provider = "x"\n{top}[model_providers.x]\nname = "X"\n{body}'
    return {".codex/config.toml": text}


def claude(env: dict[str, str], **more: Any) -> dict[str, str]:
    return {".claude/settings.json": json.dumps({"env": env, **more}, indent=2)}


URL = 'base_url = "https://h.example/v1"\n'
BASE = {"ANTHROPIC_BASE_URL": "https://h.example/api"}
FILES: dict[str, dict[str, str]] = {
    "env_key": toml(URL + f'env_key = "{K}"\n'),
    "env_key beside a token": toml(URL + f'env_key = "{K}"\nexperimental_bearer_token = "{K}"\n'),
    "temp_env_key": toml(URL + f'temp_env_key = "{K}"\n'),
    "query": toml(f'base_url = "https://h.example/v1?api_key={K}"\n'),
    "password": toml(f'base_url = "https://me:{K}@h.example/v1"\n'),
    "path": toml(f'base_url = "https://h.example/{K}/v1"\n'),
    "profile": toml(URL, f'profile = "{K}"\n'),
    "provider": {".codex/config.toml": f'model_provider = "{K}"\n[model_providers."{K}"]\nname = "X"\n{URL}'},
    "model": {".codex/config.toml": f'model = "{K}"\nmodel_provider = "x"\n[model_providers.x]\nname = "X"\n{URL}'},
    "header": toml(URL + f'http_headers = {{ "X-Token" = "{K}", Authorization = "Bearer {K}" }}\n'),
    "header's variable": toml(URL + f'env_http_headers = {{ "Authorization" = "{K}" }}\n'),
    "ignored key": toml(URL + f'api_key = "{K}"\n'),
    "wire_api": toml(URL + f'wire_api = "{K}"\n'),
    "auth": toml(URL + f'auth = {{ command = "echo", args = ["{K}"] }}\n'),
    "broken TOML": {".codex/config.toml": f'model = "m"\nenv_key = {K}\n'},
    "broken TOML, a key as name": {".codex/config.toml": f"[model_providers.{K}\n"},
    "variables": {".codex/.env": f"OPENAI_API_KEY={K}\nbroken {K}\n"},
    "login": {".codex/auth.json": json.dumps({"OPENAI_API_KEY": K, K: K})},
    "broken login": {".codex/auth.json": '{"OPENAI_API_KEY": "' + K},
    "address of Claude": claude({"ANTHROPIC_BASE_URL": f"https://h.example/api?key={K}"}),
    "path of Claude": claude({"ANTHROPIC_BASE_URL": f"https://h.example/{K}/api"}),
    "address that is a key": claude({"ANTHROPIC_BASE_URL": K}),
    "model of Claude": claude({**BASE, "ANTHROPIC_AUTH_TOKEN": K, "ANTHROPIC_MODEL": K}),
    "name of a variable": claude({**BASE, K: "1"}),
    "headers of Claude": claude({**BASE, "ANTHROPIC_CUSTOM_HEADERS": f"X-Api-Key: {K}\nAuthorization: Bearer {K}"}),
    "helper": claude(BASE, apiKeyHelper=f"echo {K}"),
    "proxy": claude({**BASE, "HTTPS_PROXY": f"http://me:{K}@127.0.0.1:9"}),
    "broken JSON": {".claude/settings.json": '{"env": {"ANTHROPIC_AUTH_TOKEN": "' + K + '" "x"}}'},
    "broken JSON, bare": {".claude/settings.json": '{"env": ' + K + "}"},
    "broken profiles": {".config/ccsetup/profiles.toml": f"[profiles.glm]\nkey = {K}\n"},
    "profile with odd members": {".config/ccsetup/profiles.toml": f'[profiles.glm]\nprovider = "{K}"\n'},
    "project": {".claude/settings.local.json": json.dumps({"env": {**BASE, "ANTHROPIC_AUTH_TOKEN": K}})},
    "preset": {".config/ccsetup/presets/mine.yaml": f"id: mine\nname: {K}\nkey: {K}\n"},
    "preset's name": {f".config/ccsetup/presets/{K}.yaml": "id: x\n"},
    "relay": {".config/ccsetup/relay.yaml": f"upstreams:\n  - name: {K}\n    key: {K}\n"},
    "document": {"document.yaml": f"profiles:\n  - name: {K}\n    provider: glm\n    key: {K}\n"},
    "copy": {".codex/config.toml.bak": f'experimental_bearer_token = "{K}"\n', **toml(URL)},
}
LOOKS: list[tuple[str, ...]] = [
    ("list",),
    ("list", "--json"),
    ("doctor",),
    ("doctor", "-v"),
    ("doctor", "--json"),
    ("doctor", "--fix", "--dry-run"),
    ("doctor", "--fix", "--dry-run", "--json"),
    ("import", "--dry-run"),
    ("import", "--dry-run", "--json"),
    ("test", "-T", "cx", "--quick", "--timeout", "0.2"),
    ("test", "-T", "cc", "--quick", "--timeout", "0.2", "--json", "-v"),
    ("config-switch", "official", "--dry-run"),
    ("config-switch", "official", "--dry-run", "--json"),
    ("init", "-s", "-p", "glm", "-k", SAVED, "-T", "all", "--dry-run"),
    ("init", "-s", "-p", "glm", "-k", SAVED, "-T", "all", "--dry-run", "--json"),
    ("init", "-s", "--api-configs-file", "document.yaml"),
    ("apply", "document.yaml", "--dry-run"),
    ("apply", "document.yaml", "--dry-run", "--json"),
    ("relay", "check"),
    ("uninstall", "--dry-run"),
]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("key", [OPENROUTER, BODY], ids=["vendor", "form"])
def test_a_key_in_an_odd_file_is_not_shown(home: Path, monkeypatch: pytest.MonkeyPatch, name: str, key: str) -> None:
    """Whatever looks at the file, and however broken it is: no key in any output, and JSON is JSON."""
    for proxy in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(proxy, "http://127.0.0.1:9")  # nothing leaves this machine
    cc.put(home, {f.replace(K, key): t.replace(K, key) for f, t in FILES[name].items()})
    before = cc.files(home)
    for argv in LOOKS:
        done = cc.main(*argv)
        assert done.rc != 3, done
        hidden(done, key)
        if "--json" in argv:
            assert done.json["schema"] == "ccsetup/1"
    assert cc.files(home) == before
    for path in home.rglob("*"):  # what a run left behind
        if path.is_file() and stat.S_IMODE(path.stat().st_mode) & 0o077:
            assert key not in path.read_text("utf-8", "replace"), path


@pytest.mark.parametrize("key", ["file", "test", "123", "sk", "glm", "profile", "openrouter", "lm-studio"])
def test_a_short_key_leaves_the_output_readable(home: Path, key: str) -> None:
    """A key that is a plain word is hidden in its place, and nowhere else: names, paths and JSON stay whole."""
    init = ("init", "-s", "-p", "glm", "-k", key, "-T", "all", "--force-key")
    shown = cc.main(*init, "--dry-run").stdout
    assert '"ANTHROPIC_AUTH_TOKEN": "***"' in shown
    assert 'experimental_bearer_token = "***"' in shown
    assert shown == cc.main("init", "-s", "-p", "glm", "-k", BODY, "-T", "all", "--dry-run").stdout
    assert cc.main(*init).stdout.count("***") == 0
    assert cc.main("list").stdout.count("***") == 0
    for argv in (
        ("list", "--json"),
        ("doctor", "--json"),
        ("config-switch", "glm", "--json"),
        ("undo", "--list", "--json"),
    ):
        done = cc.main(*argv)
        assert done.json["command"] == argv[0]
        assert "***" not in done.stdout
    assert cc.main("key", "get", "glm").stdout == key


ORDINARY = [
    "claude-haiku-4-5-20251001",
    "accounts/fireworks/models/kimi-k2-instruct-0905",
    "Qwen/Qwen3-Coder-480B-A35B-Instruct-FP8",
    "meta-llama/Llama-4-Maverick-17B-128E-Instruct",
    "nvidia/Llama-3_1-Nemotron-Ultra-253B-v1",
    "ep-20250601123456-abcde",
    "3f2b8c1e-9d47-4a6b-8e05-7c1f9a2d4b63",
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
    "sha512:47DEQpj8HBSaTImW5JCeuQeRkm5NMpJWZG3hSuFU",
    "/home/someone/.config/ccsetup/profiles.toml:12:3",
    "/nix/store/q8qq40xg2grfh9ry1d9x4g7lq4ra7n81-python3-3.11.9",
    "/var/folders/zz/zyxvpxvq6csfxvn_n0000000000000/T/tmp.abc123",
    "https://open.bigmodel.cn/api/anthropic?beta=true",
    "req_011CSHoEeqs5C35K2UUqKnNQ",
    "chatcmpl-AbC1dEf2GhI3jKl4MnO5pQr6StU7vWx8",
    "ANTHROPIC_DEFAULT_SONNET_MODEL_SUPPORTED_CAPABILITIES",
    "experimental_bearer_token",
    "key_storage = inline",
    "ms-python.debugpy-2026.1.0",
    "tp-link-archer-ax55-v2",
    "task-runner-2026-11-27",
    "sk-",
    "keys begin with sk-or-v1-",
    "Basic authentication",
    "ccsetup init -p openrouter -k KEY --key-storage command",
    "2026-11-27T23:59:59.123456+08:00",
]


@pytest.mark.parametrize("text", ORDINARY)
def test_what_is_no_key_stays(text: str) -> None:
    """Models, checksums, UUIDs, paths, requests' ids and names are not hidden."""
    masking.forget()
    assert masking.hide(f"see '{text}' here") == f"see '{text}' here"


def test_presets_prefixes_are_known() -> None:
    """Every pattern of keys that a preset names is among those that are looked for."""
    for prefix in VENDORS:
        assert prefix.startswith(masking.VENDORS), prefix


def test_the_output_of_a_run_knows_only_its_own_keys(saved: Path) -> None:
    """What an earlier run in this process has read is forgotten."""
    assert cc.main("init", "-s", "-p", "kimi", "-k", "plain-looking.word4", "--dry-run").ok
    masking.forget()
    assert masking.hide("plain-looking.word4") == "plain-looking.word4"


GROWING = [
    "# token: '" + "\\" * 2,
    "token" * 2,
    "token=\"token='",
    'api_key="\\"',
    "a.token ",
    " token: \\",
    "sk-",
    "sk-a ",
    "https://",
    "https://a:",
    "?key=",
    "&api-key-key-key",
    "Bearer ",
    "basic basic  ",
    "AbC1dEf2GhI3jKl4MnO5pQr6StU7vWx8-",
    "0123456789abcdef0123456789abcdef.",
    "eyJ.",
    "max_token",
    "\n",
    " ",
    "\\",
    "'",
]


@pytest.mark.parametrize("piece", GROWING, ids=repr)
def test_the_time_grows_with_the_text(piece: str) -> None:
    """Thirty-two times the text takes about 32 times as long, not a thousand, whatever it is made of."""
    import time

    from ccsetup.cli import _output
    from ccsetup.doctor import keysin

    def seconds(size: int) -> float:
        text = piece * (size // len(piece))
        best = 1e9
        for _again in range(3):
            start = time.process_time()
            _output.mask(text, ["zq7-Secret.Key_0123456789/abcdef+XYZ="])
            keysin.values(text)
            best = min(best, time.process_time() - start)
        return best

    assert seconds(128_000) < 200 * max(seconds(4_000), 1e-4)


def test_a_bug_names_no_key(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the message nor the log of a bug holds a key, not even in the name of a file."""
    from ccsetup.cli import list_

    def broken(*args: object, **named: object) -> None:
        exec(compile(f"raise RuntimeError('{OPENROUTER}')", f"/x/{OPENROUTER}.py", "exec"), {})

    monkeypatch.setattr(list_, "show", broken)
    done = cc.main("list", "--json")
    assert done.rc == 3
    hidden(done, OPENROUTER)
    assert OPENROUTER not in (saved / ".local/state/ccsetup/crash.log").read_text()


def test_only_what_a_command_is_there_to_print_is_shown(saved: Path) -> None:
    """key get, env and export --with-keys print a key into a pipe; export alone does not."""
    assert cc.run(saved, "key", "get", "glm").stdout == SAVED
    assert f"'{SAVED}'" in cc.run(saved, "env", "glm").stdout
    assert SAVED in cc.run(saved, "export", "--with-keys").stdout
    assert SAVED not in cc.run(saved, "export").stdout


def test_keys_of_the_users_own_presets(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a preset says of how its keys begin is known from then on."""
    monkeypatch.setattr(masking, "_prefixes", list(masking.VENDORS))
    word = "acme-" + "a1b2c3d4e5f6"
    assert masking.hide(word) == word
    masking.know_prefix("acme-")
    assert masking.hide(word) == masking.SHOWN
