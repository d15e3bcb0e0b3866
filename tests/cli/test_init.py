"""``ccsetup init``: options and files to requests, and every wrong input to one clear sentence with nothing written."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from support import cc

KEY = "test-key-0123456789abcdef"
USER = "ccsetup"


def settings(home: Path) -> dict[str, Any]:
    """Return the env block of settings.json."""
    env: dict[str, Any] = json.loads((home / ".claude/settings.json").read_text())["env"]
    return env


def codex(home: Path) -> dict[str, Any]:
    return tomllib.loads((home / ".codex/config.toml").read_text("utf-8"))


def saved(home: Path) -> dict[str, Any]:
    """Return the saved profiles."""
    found: dict[str, Any] = tomllib.loads((home / ".config/ccsetup/profiles.toml").read_text("utf-8"))["profiles"]
    return found


GLM = ("init", "-s", "-p", "glm")
CONFIGS = ("init", "-s", "--api-configs")

WRONG: list[tuple[str, tuple[str, ...], int, tuple[str, ...]]] = [
    # name, arguments, exit code, what the error says
    ("nothing", ("init", "-s"), 2, ("-p PROVIDER", "-k KEY")),
    ("no key", GLM, 2, ("-k KEY", "--api-key-file", "CCSETUP_API_KEY")),
    ("no provider", ("init", "-s", "-k", KEY), 2, ("-p PROVIDER",)),
    (
        "unknown provider",
        ("init", "-s", "-p", "nonsense", "-k", KEY),
        2,
        ("Invalid provider 'nonsense'. Valid providers: 302ai, glm, ",),
    ),
    ("near provider", ("init", "-s", "-p", "gml", "-k", KEY), 2, ("Invalid provider 'gml'", "glm")),
    ("provider as a path", ("init", "-s", "-p", "../glm", "-k", KEY), 2, ("Invalid provider '../glm'",)),
    ("a region's name", ("init", "-s", "-p", "z.ai", "-k", KEY), 2, ("'z.ai'", "Did you mean: -p glm --region intl")),
    ("empty provider", ("init", "-s", "-p", "", "-k", KEY), 2, ("-p",)),
    ("control characters", ("init", "-s", "-p", "a\x1b[31m\nb", "-k", KEY), 2, ("Invalid provider",)),
    (
        "unknown client",
        (*GLM, "-k", KEY, "-T", "bogus"),
        2,
        ("Invalid client 'bogus'", "claude-code (cc, claude), codex (cx), all"),
    ),
    ("unknown type", (*GLM, "-k", KEY, "-t", "oauth"), 2, ("Invalid auth type 'oauth'", "auth_token, api_key")),
    ("unknown region", (*GLM, "-k", KEY, "--region", "mars"), 2, ("no region 'mars'", "cn, intl")),
    (
        "unknown storage",
        (*GLM, "-k", KEY, "--key-storage", "paper"),
        2,
        ("Invalid key storage 'paper'", "inline", "env", "command"),
    ),
    ("dotenv for claude", (*GLM, "-k", KEY, "--key-storage", "dotenv"), 2, ("dotenv", "Codex")),
    ("unknown option", (*GLM, "-k", KEY, "--modle", "x"), 2, ("--modle",)),
    ("extra argument", (*GLM, "-k", KEY, "extra"), 2, ("extra",)),
    ("bad context", (*GLM, "-k", KEY, "--context-window", "many"), 2, ("--context-window",)),
    ("small context", (*GLM, "-k", KEY, "--context-window", "0"), 2, ("--context-window",)),
    ("bad codex version", (*GLM, "-k", KEY, "--codex-version", "new"), 2, ("'new' is not a version",)),
    ("custom without url", ("init", "-s", "-p", "custom", "-k", KEY, "-M", "m"), 2, ("needs a URL", "-u URL")),
    (
        "custom without model",
        ("init", "-s", "-p", "custom", "-k", KEY, "-u", "https://h/x", "-T", "codex"),
        2,
        ("needs a model", "-M MODEL"),
    ),
    ("local without model", ("init", "-s", "-p", "ollama"), 2, ("needs a model", "-M MODEL")),
    ("url without scheme", (*GLM, "-k", KEY, "-u", "not a url"), 2, ("-u: ",)),
    ("url ftp", (*GLM, "-k", KEY, "-u", "ftp://h/x"), 2, ("-u: ", "https://")),
    ("url with query", (*GLM, "-k", KEY, "-u", "https://h/x?key=1"), 2, ("-u: ", "?")),
    ("url with user", (*GLM, "-k", KEY, "-u", "https://me:pw@h/x"), 2, ("-u: ", "password")),
    ("url http", (*GLM, "-k", KEY, "-u", "http://api.example.com/x"), 2, ("-u: ", "https://")),
    ("url with newline", (*GLM, "-k", KEY, "-u", "https://h/x\ny"), 2, ("-u: ", "white space")),
    ("claude url", (*GLM, "-k", KEY, "--claude-url", "x"), 2, ("--claude-url: ",)),
    ("codex url", (*GLM, "-k", KEY, "-T", "cx", "--codex-url", "x"), 2, ("--codex-url: ",)),
    ("empty url", (*GLM, "-k", KEY, "-u", ""), 2, ("-u",)),
    ("empty model", (*GLM, "-k", KEY, "-M", ""), 2, ("-M",)),
    ("name as a path", (*GLM, "-k", KEY, "-n", "../x"), 2, ("'../x' cannot be a profile name",)),
    ("name with a slash", (*GLM, "-k", KEY, "-n", "a/b"), 2, ("cannot be a profile name",)),
    ("name with a dot", (*GLM, "-k", KEY, "-n", "a.b"), 2, ("cannot be a profile name",)),
    ("name like an option", (*GLM, "-k", KEY, "-n", "-x"), 2, ("cannot be a profile name",)),
    ("name in Chinese", (*GLM, "-k", KEY, "-n", "智谱"), 2, ("cannot be a profile name",)),
    ("name with a newline", (*GLM, "-k", KEY, "-n", "a\n"), 2, ("cannot be a profile name",)),
    ("long name", (*GLM, "-k", KEY, "-n", "a" * 65), 2, ("at most 64",)),
    ("reserved name", (*GLM, "-k", KEY, "-n", "official"), 2, ("'official' is not free",)),
    ("reserved id", (*GLM, "-k", KEY, "-T", "cx", "--provider-id", "openai"), 2, ("'openai' cannot be a provider id",)),
    ("id with a space", (*GLM, "-k", KEY, "-T", "cx", "--provider-id", "a b"), 2, ("cannot be a provider id",)),
    ("empty key", (*GLM, "-k", ""), 2, ("The key from -k is empty",)),
    ("blank key", (*GLM, "-k", " \t"), 2, ("The key from -k is empty",)),
    ("key with a space", (*GLM, "-k", "abc def"), 2, ("The key from -k has a space inside",)),
    ("key with a line break", (*GLM, "-k", "abc\ndef"), 2, ("The key from -k has a line break inside",)),
    ("key with a control character", (*GLM, "-k", "abc\x01def"), 2, ("a character inside",)),
    ("key in Chinese", (*GLM, "-k", "密钥abc"), 2, ("a character inside",)),
    ("key twice", (*GLM, "-k", KEY, "--api-key-env", "X"), 2, ("-k / --api-key-env both name a key",)),
    ("key file missing", (*GLM, "--api-key-file", "none.txt"), 2, ("--api-key-file: none.txt cannot be read",)),
    ("key file is a folder", (*GLM, "--api-key-file", "."), 2, ("--api-key-file: . cannot be read",)),
    ("key variable missing", (*GLM, "--api-key-env", "NO_SUCH"), 2, ("the variable NO_SUCH is not set",)),
    (
        "both configs",
        (*CONFIGS, "[]", "--api-configs-file", "x"),
        2,
        ("Cannot specify both --api-configs and --api-configs-file at the same time",),
    ),
    (
        "configs file missing",
        ("init", "-s", "--api-configs-file", "none.json"),
        2,
        ("Failed to read API configs file: none.json",),
    ),
    ("configs not JSON", (*CONFIGS, "[{]"), 2, ("Invalid API configs JSON: line 1, column 3",)),
    ("configs a number", (*CONFIGS, "7"), 2, ("API configs must be an array",)),
    ("configs an object", (*CONFIGS, '{"provider": "glm"}'), 2, ("API configs must be an array",)),
    ("configs empty", (*CONFIGS, "[]"), 2, ("This list is empty",)),
    ("configs with a null", (*CONFIGS, "[null]"), 2, ("entry 1: This has to be a mapping",)),
    ("entry without key", (*CONFIGS, '[{"provider": "glm"}]'), 2, ('entry 1: Config "glm" requires API key',)),
    (
        "entry without provider",
        (*CONFIGS, f'[{{"key": "{KEY}"}}]'),
        2,
        ("entry 1: Must provide either provider or type field",),
    ),
    (
        "entry with unknown field",
        (*CONFIGS, f'[{{"provider": "glm", "key": "{KEY}", "primarymodel": "x"}}]'),
        2,
        ("entry 1: unknown field 'primarymodel'", "Did you mean 'primaryModel'?"),
    ),
    (
        "entry with wrong type",
        (*CONFIGS, f'[{{"provider": "glm", "key": "{KEY}", "default": "yes"}}]'),
        2,
        ("entry 1.default: This has to be true or false",),
    ),
    (
        "entry with a number",
        (*CONFIGS, '[{"provider": "glm", "key": 12345678901234567890123}]'),
        2,
        ("entry 1.key: This has to be text",),
    ),
    (
        "entry with a field twice",
        (*CONFIGS, f'[{{"provider": "glm", "key": "{KEY}", "primaryModel": "a", "primary_model": "b"}}]'),
        2,
        ("'primaryModel' appears twice",),
    ),
    (
        "entry with two keys",
        (*CONFIGS, f'[{{"provider": "glm", "key": "{KEY}", "keyEnv": "X"}}]'),
        2,
        ("'key' and 'keyEnv' both name a key",),
    ),
    (
        "second entry wrong",
        (*CONFIGS, f'[{{"provider": "glm", "key": "{KEY}"}}, {{"provider": "nonsense", "key": "{KEY}"}}]'),
        2,
        ("entry 2: Invalid provider 'nonsense'",),
    ),
    (
        "duplicate names",
        (*CONFIGS, f'[{{"provider": "glm", "key": "{KEY}"}}, {{"provider": "glm", "key": "{KEY}"}}]'),
        2,
        ("entry 2: Duplicate config name: glm",),
    ),
    (
        "two defaults",
        (
            *CONFIGS,
            json.dumps([{"provider": p, "key": KEY, "default": True} for p in ("glm", "kimi")]),
        ),
        2,
        ("'glm' and 'kimi' are both the default for Claude Code",),
    ),
    ("entry with ccr", (*CONFIGS, '[{"type": "ccr_proxy"}]'), 2, ("ccr_proxy is not supported",)),
    ("entry with bad type", (*CONFIGS, f'[{{"type": "oauth", "key": "{KEY}"}}]'), 2, ("Invalid auth type 'oauth'",)),
    ("entry with bad url", (*CONFIGS, f'[{{"provider": "glm", "key": "{KEY}", "url": "x"}}]'), 2, ("entry 1: ",)),
    (
        "entry with bad client",
        (*CONFIGS, f'[{{"provider": "glm", "key": "{KEY}", "codeType": "emacs"}}]'),
        2,
        ("entry 1: Invalid client 'emacs'",),
    ),
    ("configs and -p", (*CONFIGS, "[]", "-p", "glm"), 2, ("-p is for one profile",)),
    ("configs and -O", (*CONFIGS, "[]", "-O", "m"), 2, ("-O is for one profile",)),
    ("no such saved profile", ("init", "-s", "-n", "work", "-k", KEY), 1, ("no profile 'work'",)),
    ("chat only", ("init", "-s", "-p", "cerebras", "-k", KEY, "-T", "codex"), 1, ("Chat Completions", "--via-relay")),
    ("one of two is impossible", ("init", "-s", "-p", "anthropic", "-k", KEY, "-T", "all"), 1, ("Codex",)),
]


@pytest.mark.parametrize(("argv", "code", "texts"), [w[1:] for w in WRONG], ids=[w[0] for w in WRONG])
def test_wrong_input(
    home: Path, argv: tuple[str, ...], code: int, texts: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sentence on standard error says what is wrong; nothing is written, no key repeated; --json says the same."""
    monkeypatch.chdir(home)
    result = cc.main(*argv)
    assert result.rc == code, result
    assert result.stdout == ""
    for text in texts:
        assert text in result.stderr, result
    assert result.stderr.startswith("Error: ")
    assert "Traceback" not in result.stderr
    assert KEY not in result.stderr
    assert all(c == "\n" or c.isprintable() for c in result.stderr)
    assert cc.files(home, records=True) == {}

    as_json = cc.main(*argv, "--json")
    assert as_json.rc == code
    assert as_json.stderr == ""
    envelope = as_json.json
    assert (envelope["ok"], envelope["command"], envelope["schema"]) == (False, "init", "ccsetup/1")
    assert envelope["error"]["exit_code"] == code
    assert (
        "Error: " + envelope["error"]["message"] == "\n".join(result.stderr.split("\n")[:1])
        or "\n" in envelope["error"]["message"]
    )


@pytest.mark.parametrize("bad", ["\u2028", "a\u202eb", "a b"])
def test_a_refused_key_is_not_repeated(home: Path, bad: str) -> None:
    """The error names the source of the key, never a part of it."""
    for argv in (
        (*GLM, "-k", "secret" + bad + "part"),
        (*CONFIGS, json.dumps([{"provider": "glm", "key": "secret" + bad + "part"}])),
    ):
        result = cc.main(*argv)
        assert result.rc == 2
        assert "secret" not in result.stderr
        assert "part" not in result.stderr


# Where the key comes from


def test_key_from_standard_input(home: Path) -> None:
    """-k - reads one key, without the white space, BOM and line end around it."""
    assert cc.main(*GLM, "-k", "-", stdin=b"\xef\xbb\xbf  " + KEY.encode() + b"\r\n").ok
    assert settings(home)["ANTHROPIC_AUTH_TOKEN"] == KEY


def test_key_from_empty_standard_input(home: Path) -> None:
    """An empty standard input is an error that names it."""
    result = cc.main(*GLM, "-k", "-")
    assert result.rc == 2
    assert "standard input" in result.stderr


def test_key_from_file_variable_and_default_variable(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--api-key-file, --api-key-env and CCSETUP_API_KEY each give the key; an option wins over the variable."""
    cc.put(home, {"key.txt": KEY + "-file\n"})
    monkeypatch.setenv("MINE", KEY + "-env")
    monkeypatch.setenv("CCSETUP_API_KEY", KEY + "-default")
    for option, suffix in (
        (("--api-key-file", "~/key.txt"), "-file"),
        (("--api-key-env", "MINE"), "-env"),
        ((), "-default"),
        (("-k", KEY + "-option"), "-option"),
    ):
        assert cc.main(*GLM, *option).ok
        assert settings(home)["ANTHROPIC_AUTH_TOKEN"] == KEY + suffix


@pytest.mark.parametrize(
    "key", ["12345678901234567890123", "0012345", "true", "null", "1e5", "'\"\\$(x)`{}", "-dash", "[a]", "#x"]
)
def test_keys_are_text(home: Path, key: str) -> None:
    """A key that looks like a number, a word of JSON or TOML, or shell syntax, arrives as it is in every place."""
    url = ("--claude-url", "https://h.example", "--codex-url", "https://h.example/v1")
    for storage in ("inline", "command"):
        assert cc.main("init", "-s", "-p", "glm", f"--api-key={key}", "-T", "all", *url, "--key-storage", storage).ok
        assert (home / ".config/ccsetup/keys/glm").read_text() == key
        if storage == "inline":
            assert settings(home)["ANTHROPIC_AUTH_TOKEN"] == key
            assert codex(home)["model_providers"]["ccsetup"]["experimental_bearer_token"] == key


def test_a_key_with_a_quote_is_not_for_dotenv(home: Path) -> None:
    """A .env file cannot carry such a key: it is refused, and nothing is written."""
    result = cc.main(*GLM, "-k", "it's", "-T", "cx", "--key-storage", "dotenv")
    assert result.rc == 2
    assert cc.files(home) == {}


# Several profiles at once


MANY = [
    {"provider": "302ai", "key": KEY + "-302", "default": True, "primaryModel": "claude-sonnet-4-5"},
    {"provider": "glm", "key": KEY + "-glm", "codeType": ["cc", "codex"]},
    {"name": "mine", "type": "api_key", "key": KEY + "-mine", "url": "https://h.example/v1", "primary_model": "m"},
]


@pytest.mark.parametrize("form", ["json", "object", "yaml", "file", "stdin", "yaml-file", "bom"])
def test_api_configs(home: Path, form: str) -> None:
    """JSON and YAML, on the command line, in a file and on standard input, bare or in {"configs": …}, do the same."""
    text = json.dumps(MANY)
    if form == "object":
        text = json.dumps({"configs": MANY})
    if form.startswith("yaml"):
        text = "\n".join("- " + "\n  ".join(f"{k}: {json.dumps(v)}" for k, v in entry.items()) for entry in MANY)
    stdin = b""
    if form in ("file", "yaml-file", "bom"):
        cc.put(home, {"team": ("\ufeff" if form == "bom" else "") + text})
        argv = ["--api-configs-file", str(home / "team")]
    elif form == "stdin":
        argv, stdin = ["--api-configs-file", "-"], text.encode()
    else:
        argv = ["--api-configs", text]
    result = cc.main("init", "-s", *argv, stdin=stdin)
    assert result.ok, result
    assert list(saved(home)) == ["302ai", "glm", "mine"]
    env = settings(home)
    assert (env["ANTHROPIC_BASE_URL"], env["ANTHROPIC_MODEL"]) == ("https://api.302.ai/cc", "claude-sonnet-4-5")
    assert codex(home)["model_provider"] == "ccsetup"
    for name in ("302ai", "glm", "mine"):
        suffix = name.removesuffix("ai")
        assert (home / f".config/ccsetup/keys/{name}").read_text() == f"{KEY}-{suffix}"


def test_api_configs_without_a_default(home: Path) -> None:
    """Nobody guesses: several profiles without a default are saved, none is used, and that is said."""
    result = cc.main(*CONFIGS, json.dumps([{"provider": p, "key": KEY} for p in ("glm", "kimi")]))
    assert result.ok
    assert "No entry is the default for Claude Code" in result.stderr
    assert not (home / ".claude/settings.json").exists()


def test_api_configs_take_the_key_of_the_command_line(home: Path) -> None:
    """An entry without a key takes -k; key_env and key_file are read."""
    cc.put(home, {"k": KEY + "-file"})
    entries = [{"provider": "glm", "default": True}, {"provider": "kimi", "key_file": str(home / "k")}]
    assert cc.main(*CONFIGS, json.dumps(entries), "-k", KEY).ok
    assert (home / ".config/ccsetup/keys/glm").read_text() == KEY
    assert (home / ".config/ccsetup/keys/kimi").read_text() == KEY + "-file"


def test_api_configs_are_all_or_nothing(home: Path) -> None:
    """A wrong entry at the end, or a provider that the client cannot use, leaves every file as it was."""
    assert cc.main(*GLM, "-k", KEY).ok
    before = cc.files(home, records=True)
    for bad in (
        {"provider": "kimi", "key": KEY, "url": "ftp://x"},
        {"provider": "cerebras", "key": KEY, "codeType": "codex"},
    ):
        result = cc.main(*CONFIGS, json.dumps([{"provider": "glm", "key": "other-" + KEY, "default": True}, bad]))
        assert result.rc in (1, 2), result
        assert cc.files(home, records=True) == before


# What goes where


def test_one_url_for_both_clients(home: Path) -> None:
    """With -T all, -u serves both as given; /v1 at the end is dropped for Claude Code, which adds it itself."""
    assert cc.main(
        "init", "-s", "-p", "custom", "-k", KEY, "-T", "all", "-M", "m", "-u", "https://relay.example/v1/"
    ).ok
    assert settings(home)["ANTHROPIC_BASE_URL"] == "https://relay.example"
    assert codex(home)["model_providers"]["ccsetup"]["base_url"] == "https://relay.example/v1"


def test_a_second_client_adds_to_the_profile(home: Path) -> None:
    """A second init of the same name for the other client keeps the first one's settings and key."""
    assert cc.main(*GLM, "-k", KEY, "-M", "glm-x").ok
    before = (home / ".claude/settings.json").read_bytes()
    assert cc.main(*GLM, "-T", "codex").ok
    assert (home / ".claude/settings.json").read_bytes() == before
    assert set(saved(home)["glm"]) >= {"claude-code", "codex"}
    assert codex(home)["model_providers"]["ccsetup"]["experimental_bearer_token"] == KEY


def test_a_new_key_reaches_every_file(home: Path) -> None:
    """init with a new key for one client rotates it for both, also in the profile file and in ours."""
    assert cc.main(*GLM, "-k", KEY, "-T", "all").ok
    assert cc.main(*GLM, "-k", "rotated-" + KEY, "-T", "codex").ok
    old = {n for n, data in cc.files(home).items() if KEY.encode() in data.replace(b"rotated-" + KEY.encode(), b"")}
    new = {n for n, data in cc.files(home).items() if b"rotated-" + KEY.encode() in data}
    assert old == set()
    assert new == {".claude/settings.json", ".codex/config.toml", ".codex/glm.config.toml", ".config/ccsetup/keys/glm"}


def test_a_saved_profile_changes_by_name(home: Path) -> None:
    """init -n NAME without a provider changes what is given and keeps the rest."""
    assert cc.main(*GLM, "-n", "work", "-k", KEY, "-M", "m1", "-F", "f1").ok
    assert cc.main("init", "-s", "-n", "work", "-M", "m2").ok
    env = settings(home)
    assert (env["ANTHROPIC_MODEL"], env["ANTHROPIC_DEFAULT_HAIKU_MODEL"]) == ("m2", "f1")
    assert env["ANTHROPIC_AUTH_TOKEN"] == KEY


def test_claude_config_dir_and_codex_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CLAUDE_CONFIG_DIR and CODEX_HOME move everything of their client."""
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(home / "c"))
    monkeypatch.setenv("CODEX_HOME", str(home / "x"))
    assert cc.main(*GLM, "-k", KEY, "-T", "all").ok
    found = {n for n in cc.files(home) if not n.startswith(".config/")}
    (catalogue,) = (n for n in found if n.endswith(".models.json"))
    assert found == {
        "c/settings.json",
        "c/.claude.json",
        "x/config.toml",
        "x/glm.config.toml",
        catalogue,
    }
    assert catalogue.startswith("x/ccsetup-")


# Keys stay with their addresses


def test_another_provider_under_the_same_name_wants_its_own_key(home: Path) -> None:
    """The saved key is the old provider's: it never goes to the new one."""
    assert cc.main(*GLM, "-n", "p", "-k", KEY, "-T", "codex").ok
    before = cc.files(home, records=True)
    result = cc.main("init", "-s", "-p", "kimi", "-n", "p", "-T", "codex")
    assert result.rc == 2, result
    assert (
        "The key of profile 'p' was given for https://open.bigmodel.cn; it is not sent to https://api.moonshot.cn."
        in result.stderr
    )
    assert cc.files(home, records=True) == before
    assert cc.main("init", "-s", "-p", "kimi", "-n", "p", "-T", "codex", "-k", "other-" + KEY).ok
    assert codex(home)["model_providers"]["ccsetup"]["experimental_bearer_token"] == "other-" + KEY


def test_another_provider_for_one_client_of_two_is_refused(home: Path) -> None:
    """One profile has one key: the other client would send the new key to the old address."""
    assert cc.main(*GLM, "-n", "p", "-k", KEY, "-T", "all").ok
    before = cc.files(home, records=True)
    for argv in (("-p", "kimi"), ("-p", "glm", "--region", "intl")):
        result = cc.main("init", "-s", *argv, "-n", "p", "-T", "codex", "-k", "other-" + KEY)
        assert result.rc == 2, result
        assert "-T all" in result.stderr
    assert cc.files(home, records=True) == before
    assert cc.main("init", "-s", "-p", "kimi", "-n", "p", "-T", "all", "-k", "other-" + KEY).ok


@pytest.mark.parametrize(
    "argv", [("-T", "codex", "-u", "https://evil.example/v1"), ("-T", "cc", "-u", "https://evil.example")]
)
def test_a_saved_key_does_not_follow_to_another_host(home: Path, argv: tuple[str, ...]) -> None:
    """A new host, for the same client or for the other one, wants the key to be given again."""
    assert cc.main(*GLM, "-k", KEY).ok
    before = cc.files(home, records=True)
    for given in (("-p", "glm"), ("-n", "glm")):
        result = cc.main("init", "-s", *given, *argv)
        assert result.rc == 2, result
        assert "evil.example" in result.stderr
        assert "-k KEY" in result.stderr
        assert cc.files(home, records=True) == before
    assert cc.main("init", "-s", "-p", "glm", *argv, "-k", KEY).ok


def test_a_new_key_for_one_host_does_not_reach_the_other(home: Path) -> None:
    """Where the two clients of a profile have different hosts, a new key for one of them is refused."""
    urls = ("--claude-url", "https://a.example", "--codex-url", "https://b.example/v1")
    assert cc.main("init", "-s", "-p", "custom", "-M", "m", "-k", KEY, "-T", "all", *urls).ok
    before = cc.files(home, records=True)
    result = cc.main(
        "init", "-s", "-p", "custom", "-M", "m", "-k", "other-" + KEY, "-T", "codex", "-u", "https://b.example/v1"
    )
    assert result.rc == 2, result
    assert "a.example" in result.stderr
    assert cc.files(home, records=True) == before


def test_a_key_given_once_is_not_replaced_by_a_placeholder(home: Path) -> None:
    """A local provider needs no key; one that was given stays when something else is changed."""
    assert cc.main("init", "-s", "-p", "vllm", "-k", KEY, "-M", "m1").ok
    assert cc.main("init", "-s", "-p", "vllm", "-M", "m2").ok
    assert settings(home)["ANTHROPIC_AUTH_TOKEN"] == KEY


def test_a_provider_that_needs_no_key(home: Path) -> None:
    """A local provider is set up without -k, with the value that its preset gives."""
    assert cc.main("init", "-s", "-p", "ollama", "-M", "m", "-T", "all").ok
    assert settings(home)["ANTHROPIC_AUTH_TOKEN"] == "ollama"


# Nothing is asked, nothing is written


def test_no_terminal_never_prompts(home: Path) -> None:
    """Without a terminal, and without -s, what is missing is said with exit 2; standard input is not read."""
    for argv in (("init",), ("init", "-p", "glm"), ("config-switch",)):
        result = cc.run(home, *argv, stdin="y\n" * 20)
        assert result.rc == 2, result
        assert cc.files(home) == {}


def test_dry_run_and_check(home: Path) -> None:
    """--dry-run shows every file with keys masked and writes nothing; --check exits 4 when something would change."""
    argv = (*GLM, "-k", KEY, "-T", "all")
    dry = cc.main(*argv, "--dry-run")
    assert dry.ok
    for name in (
        "~/.claude/settings.json",
        "~/.claude.json",
        "~/.codex/config.toml",
        "~/.codex/glm.config.toml",
        "keys/glm",
    ):
        assert name in dry.stdout
    assert '"ANTHROPIC_AUTH_TOKEN": "***"' in dry.stdout
    assert KEY not in dry.stdout + dry.stderr
    assert cc.main(*argv, "--check").rc == 4
    as_json = cc.main(*argv, "--check", "--json")
    assert as_json.rc == 4
    assert (as_json.json["result"]["would_change"], as_json.json["result"]["changed"]) == (True, False)
    assert KEY not in as_json.stdout
    assert cc.files(home, records=True) == {}

    assert cc.main(*argv).ok
    files = cc.files(home, records=True)
    check = cc.main(*argv, "--check")
    assert check.ok
    assert check.stdout == "Nothing would change.\n"
    rotated = cc.main(*GLM, "-k", "rotated-" + KEY, "-T", "all", "--dry-run")
    assert KEY not in rotated.stdout
    assert cc.files(home, records=True) == files


def test_a_foreign_key_in_a_diff_is_masked(home: Path) -> None:
    """Keys of other tools that stand near our changes are not shown either."""
    env = {
        "ANTHROPIC_BASE_URL": "https://x.example",
        "ANTHROPIC_AUTH_TOKEN": "foreign-token",
        "OTHER_API_KEY": "foreign-key",
    }
    cc.put(home, {".claude/settings.json": json.dumps({"env": env}, indent=2)})
    cc.put(
        home, {".codex/config.toml": '[model_providers.x]\nname = "X"\nexperimental_bearer_token = "foreign-bearer"\n'}
    )
    dry = cc.main(*GLM, "-k", KEY, "-T", "all", "--dry-run")
    assert dry.ok
    assert "foreign-" not in dry.stdout


def test_a_file_in_a_work_tree_is_warned_about(home: Path, tmp_path: Path) -> None:
    """A key that git could carry away is said, with the way out; an ignored file and --key-storage command are fine."""
    import subprocess

    tree = home / "dotfiles"
    tree.mkdir()
    subprocess.run(["git", "init", "-q", str(tree)], check=True)
    cc.put(tree, {"settings.json": "{}"})
    (home / ".claude").mkdir()
    (home / ".claude/settings.json").symlink_to(tree / "settings.json")
    done = cc.main(*GLM, "-k", KEY)
    assert done.ok
    assert "--key-storage command" in done.stderr
    assert (home / ".claude/settings.json").is_symlink()
    cc.put(tree, {".gitignore": "settings.json\n"})
    assert "git" not in cc.main(*GLM, "-k", KEY + "2").stderr
    (tree / ".gitignore").unlink()
    assert "git" not in cc.main(*GLM, "-k", KEY + "3", "--key-storage", "command").stderr


# What another tool got wrong


@pytest.mark.parametrize("kind", ["api_key", "auth_token"])
def test_a_type_is_for_claude_and_harmless_for_codex(home: Path, kind: str) -> None:
    """-t with -T codex still writes a whole provider with its key, whatever the type."""
    argv = ("init", "-s", "-T", "codex", "-t", kind, "-u", "http://127.0.0.1:8765/v1", "-M", "m", "-k", KEY)
    assert cc.main(*argv).ok
    table = codex(home)["model_providers"]["ccsetup"]
    assert (table["base_url"], table["experimental_bearer_token"]) == ("http://127.0.0.1:8765/v1", KEY)
    assert codex(home)["model"] == "m"
    assert not (home / ".codex/auth.json").exists()


def test_a_url_with_a_preset_is_used(home: Path) -> None:
    """-p and -u together: the preset's models at the user's address."""
    assert cc.main(*GLM, "-k", KEY, "-u", "https://relay.example/x").ok
    env = settings(home)
    assert env["ANTHROPIC_BASE_URL"] == "https://relay.example/x"
    assert env["ANTHROPIC_MODEL"].startswith("glm-")


@pytest.mark.parametrize("text", ["{", '{"oauthAccount": {"a": 1}', "[]", '"x"', "\xff\xfe", "7"])
def test_a_broken_claude_json_is_left_alone(home: Path, text: str) -> None:
    """~/.claude.json holds a login and every project: what cannot be read is never replaced."""
    cc.put(home, {".claude.json": text.encode("latin-1")})
    before = cc.files(home)
    result = cc.main(*GLM, "-k", KEY)
    assert result.rc == 1, result
    assert ".claude.json" in result.stderr
    assert cc.files(home) == before


def test_files_of_the_clients_that_are_not_ours_stay(home: Path) -> None:
    """Nothing but the named files is touched: no CLAUDE.md, no auth.json, no permissions, no MCP servers."""
    mine = {
        ".claude/CLAUDE.md": "mine",
        ".claude/.credentials.json": "{}",
        ".codex/auth.json": '{"OPENAI_API_KEY": null}',
        ".codex/AGENTS.md": "mine",
        ".claude/settings.local.json": "{ // broken",
        ".codex/.env": "A=1\n",
    }
    cc.put(home, mine)
    assert cc.main(*GLM, "-k", KEY, "-T", "all").ok
    done = cc.main("config-switch", "official")
    assert (done.rc, "auth.json holds no login" in done.stderr) == (5, True), done
    found = cc.files(home)
    assert {name: found[name].decode() for name in mine} == mine
