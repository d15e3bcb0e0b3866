"""The newest real clients with every way to keep a key, and with settings of the user's own around ours."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from support import cc
from support.clients import CLAUDE_VERSIONS, CODEX_VERSIONS, claude_auth_status, codex_config_ok, run_claude, run_codex
from support.provider import Provider

pytestmark = pytest.mark.clients

KEY = "test-key-0123456789abcdefghijklmnop"
MODELS = {"glm-5.3", "glm-5.3-flash"}
CLAUDE, CODEX = CLAUDE_VERSIONS[0], CODEX_VERSIONS[0]


def init(
    home: Path, provider: Provider, client: str, *more: str, key: str = KEY, env: dict[str, str] | None = None
) -> cc.Result:
    """Set GLM up for *client* at the loopback provider."""
    url = ("--claude-url", provider.url("/a")) if client == "cc" else ("--codex-url", provider.url("/o"))
    given = ("-k", key) if key else ()
    done = cc.run(home, "init", "-s", "-p", "glm", *given, "-T", client, *url, *more, env=env)
    assert done.ok, done
    return done


def holds(home: Path, key: str = KEY) -> set[str]:
    """Return the files of the clients that hold *key*."""
    return {n for n, data in cc.files(home).items() if key.encode() in data and not n.startswith(".config/ccsetup/")}


def test_claude_reads_the_key_from_our_file(provider: Provider, home: Path) -> None:
    """--key-storage command: settings.json holds no key, and the helper sends it in both headers; rotation works."""
    provider.expect("/a", key=KEY, scheme="any")
    init(home, provider, "cc", "--key-storage", "command")
    assert holds(home) == set()
    assert run_claude(CLAUDE, home, "say the word").stdout.strip() == provider.reply
    provider.check("messages", prefix="/a", key=KEY, scheme="any", models=MODELS)

    provider.clear()
    provider.expect("/a", key="new-" + KEY, scheme="any")
    init(home, provider, "cc", key="new-" + KEY)
    assert holds(home, "new-" + KEY) == set()
    assert run_claude(CLAUDE, home, "say the word").stdout.strip() == provider.reply


def test_claude_reads_the_key_from_a_variable(provider: Provider, home: Path) -> None:
    """--key-storage env: nothing stores a key, Claude Code takes it from the user's variable, whose name is said."""
    provider.expect("/a", key=KEY, scheme="any")
    done = init(home, provider, "cc", "--key-storage", "env", key="")
    assert "ZHIPU_API_KEY" in done.stdout + done.stderr
    assert not any(KEY.encode() in data for data in cc.files(home, records=True).values())
    result = run_claude(CLAUDE, home, "say the word", env={"ZHIPU_API_KEY": KEY})
    assert result.stdout.strip() == provider.reply, result
    provider.check("messages", prefix="/a", key=KEY, scheme="any", models=MODELS)


def test_codex_reads_the_key_from_our_file(provider: Provider, home: Path) -> None:
    """--key-storage command: config.toml holds no key, and Codex asks for it."""
    provider.expect("/o", key=KEY, scheme="bearer")
    init(home, provider, "cx", "--key-storage", "command")
    assert holds(home) == set()
    result = run_codex(CODEX, home, "say the word")
    assert result.stdout.strip() == provider.reply, result
    provider.check("responses", prefix="/o", key=KEY, scheme="bearer", models=MODELS)


def test_codex_reads_the_key_from_a_variable(provider: Provider, home: Path) -> None:
    """--key-storage env: nothing stores a key; without the variable Codex names it instead of sending anything."""
    provider.expect("/o", key=KEY, scheme="bearer")
    done = init(home, provider, "cx", "--key-storage", "env", key="")
    assert "ZHIPU_API_KEY" in done.stdout + done.stderr
    assert not any(KEY.encode() in data for data in cc.files(home, records=True).values())
    result = run_codex(CODEX, home, "say the word", env={"ZHIPU_API_KEY": KEY})
    assert result.stdout.strip() == provider.reply, result

    provider.clear()
    missing = run_codex(CODEX, home, "say the word")
    assert missing.rc == 1
    assert "ZHIPU_API_KEY" in missing.stderr
    assert provider.calls == []


def test_codex_reads_the_key_from_its_dotenv(provider: Provider, home: Path) -> None:
    """--key-storage dotenv: the key is in CODEX_HOME/.env (0600) beside what the user has there; it is rotated."""
    cc.put(home, {".codex/.env": "# mine\nOTHER='x y'\n"}, mode=0o644)
    provider.expect("/o", key=KEY, scheme="bearer")
    init(home, provider, "cx", "--key-storage", "dotenv")
    assert holds(home) == {".codex/.env"}
    assert cc.modes(home)[".codex/.env"] == 0o600
    assert run_codex(CODEX, home, "say the word").stdout.strip() == provider.reply

    provider.expect("/o", key="new-" + KEY, scheme="bearer")
    init(home, provider, "cx", key="new-" + KEY)
    assert (home / ".codex/.env").read_text().startswith("# mine\nOTHER='x y'\n")
    assert (home / ".codex/.env").read_text().count("ZHIPU_API_KEY") == 1
    assert run_codex(CODEX, home, "say the word").stdout.strip() == provider.reply


@pytest.mark.parametrize("storage", ["env", "command", "dotenv"])
def test_codex_profiles_work_with_every_storage(provider: Provider, home: Path, storage: str) -> None:
    """``codex --profile`` of a profile that is not active finds its key where the profile keeps it."""
    provider.expect("/o", key=KEY, scheme="bearer")
    init(home, provider, "cx", "--key-storage", storage, key="" if storage == "env" else KEY)
    assert cc.run(home, "config-switch", "official", "-T", "codex").ok
    result = run_codex(
        CODEX, home, "say the word", profile="glm", env={"ZHIPU_API_KEY": KEY} if storage == "env" else {}
    )
    assert result.stdout.strip() == provider.reply, result
    provider.check("responses", prefix="/o", key=KEY, scheme="bearer", models=MODELS)


def test_an_api_key_is_approved_for_claude(provider: Provider, home: Path) -> None:
    """With -t api_key Claude Code knows the key as approved, also one that the user had rejected before."""
    rejected = {"customApiKeyResponses": {"approved": ["other"], "rejected": [KEY[-20:], "else"]}, "numStartups": 3}
    cc.put(home, {".claude.json": json.dumps(rejected, indent=2)})
    provider.expect("/a", key=KEY, scheme="x-api-key")
    init(home, provider, "cc", "-t", "api_key")

    state = json.loads((home / ".claude.json").read_text())
    assert state["customApiKeyResponses"] == {"approved": ["other", KEY[-20:]], "rejected": ["else"]}
    assert (state["hasCompletedOnboarding"], state["numStartups"]) == (True, 3)
    status = claude_auth_status(CLAUDE, home)
    assert status.ok, status
    assert run_claude(CLAUDE, home, "say the word").stdout.strip() == provider.reply
    provider.check("messages", prefix="/a", key=KEY, scheme="x-api-key", models=MODELS)


def test_variables_of_the_shell_do_not_reach_the_provider(provider: Provider, home: Path) -> None:
    """Keys, addresses and models that the shell exports lose against settings.json; only our key is sent."""
    provider.expect("/a", key=KEY, scheme="bearer")
    init(home, provider, "cc")
    shell = {
        "ANTHROPIC_API_KEY": "sk-ant-of-the-shell",
        "ANTHROPIC_AUTH_TOKEN": "token-of-the-shell",
        "ANTHROPIC_BASE_URL": "http://127.0.0.1:9/none",
        "ANTHROPIC_MODEL": "claude-of-the-shell",
    }
    result = run_claude(CLAUDE, home, "say the word", env=shell)
    assert result.stdout.strip() == provider.reply, result
    provider.check("messages", prefix="/a", key=KEY, scheme="bearer", models=MODELS)


def test_a_login_never_reaches_the_provider(provider: Provider, home: Path) -> None:
    """A user who is logged in with Claude sends the provider's key only, and has the login back after official."""
    login = {
        "claudeAiOauth": {
            "accessToken": "sk-ant-oat01-mine",
            "refreshToken": "r",
            "expiresAt": 9999999999999,
            "scopes": ["user:inference"],
        }
    }
    cc.put(home, {".claude/.credentials.json": json.dumps(login)})
    cc.put(
        home, {".claude.json": json.dumps({"oauthAccount": {"emailAddress": "a@b.c"}, "primaryApiKey": "sk-ant-mine"})}
    )
    provider.expect("/a", key=KEY, scheme="bearer")
    init(home, provider, "cc")
    result = run_claude(CLAUDE, home, "say the word")
    assert result.stdout.strip() == provider.reply, result
    provider.check("messages", prefix="/a", key=KEY, scheme="bearer", models=MODELS)

    assert cc.run(home, "config-switch", "official", "-T", "cc").ok
    assert json.loads((home / ".claude/.credentials.json").read_text()) == login
    state = json.loads((home / ".claude.json").read_text())
    assert state["oauthAccount"] == {"emailAddress": "a@b.c"}
    status = claude_auth_status(CLAUDE, home)
    assert json.loads(status.stdout)["loggedIn"] is True, status


def test_comments_in_settings_are_refused_and_repaired(provider: Provider, home: Path) -> None:
    """A settings.json with comments, which Claude Code ignores, is left alone; --repair makes it work; undo undoes."""
    text = '{\n  // mine\n  "permissions": {"allow": ["Bash(ls:*)"]}, /* x */\n  "env": {"FOO": "http://a//b",},\n}\n'
    cc.put(home, {".claude/settings.json": text})
    provider.expect("/a", key=KEY, scheme="bearer")
    url = provider.url("/a")
    refused = cc.run(home, "init", "-s", "-p", "glm", "-k", KEY, "-u", url)
    assert refused.rc == 1, refused
    assert "settings.json:2:3" in refused.stderr
    assert "--repair" in refused.stderr
    assert cc.files(home) == {".claude/settings.json": text.encode()}

    repaired = cc.run(home, "init", "-s", "-p", "glm", "-k", KEY, "-u", url, "--repair")
    assert repaired.ok, repaired
    settings = json.loads((home / ".claude/settings.json").read_text())
    assert settings["permissions"] == {"allow": ["Bash(ls:*)"]}
    assert settings["env"]["FOO"] == "http://a//b"
    assert run_claude(CLAUDE, home, "say the word").stdout.strip() == provider.reply

    assert cc.run(home, "undo").ok
    assert (home / ".claude/settings.json").read_text() == text


SETTINGS = """\
{
    "$schema": "https://json.schemastore.org/claude-code-settings.json",
    "permissions": { "allow": ["Bash(git status)"], "deny": [],   "defaultMode": "default" },
    "hooks": {"PreToolUse": [{"matcher": "Bash", "hooks": [{"type": "command", "command": "true # \\u00e9"}]}]},
\t"env": {"MY_OWN": "1", "NUMBER": 10000000000000000000000.0},
    "statusLine": {"type": "command", "command": "echo hi"}
}"""

CONFIG = """\
# my own configuration, kept for years
approval_policy = "never"   # why not
sandbox_mode = 'read-only'
notify = [
  "true",  # [not a table]
]

[projects."/home/me/a = b"]
trust_level = "trusted"

[mcp_servers.mine]
command = "true"
enabled = false

[tui]
notifications = false
# the end"""


def test_own_settings_survive_and_both_clients_accept_them(provider: Provider, home: Path) -> None:
    """What the user has in both files stays byte for byte around ours, the clients load it, official gives it back."""
    cc.put(home, {".claude/settings.json": SETTINGS, ".codex/config.toml": CONFIG})
    provider.expect("/a", key=KEY, scheme="bearer")
    provider.expect("/o", key=KEY, scheme="bearer")
    both = ("--claude-url", provider.url("/a"), "--codex-url", provider.url("/o"))
    done = cc.run(home, "init", "-s", "-p", "glm", "-k", KEY, "-T", "all", *both)
    assert done.ok, done

    settings, config = (home / ".claude/settings.json").read_text(), (home / ".codex/config.toml").read_text()
    for line in SETTINGS.splitlines():
        if '"env"' not in line:
            assert line + "\n" in settings + "\n"
    assert '"NUMBER": 10000000000000000000000.0' in settings
    position = 0
    for line in CONFIG.splitlines():
        position = config.index(line, position)
    assert tomllib.loads(config)["model_provider"] == "ccsetup"
    loaded = codex_config_ok(CODEX, home)
    assert loaded.ok, loaded
    # Codex marks its first start in config.toml itself (no more than that may differ afterwards).
    assert (home / ".codex/config.toml").read_text() == config
    assert run_codex(CODEX, home, "say the word").stdout.strip() == provider.reply
    result = run_claude(CLAUDE, home, "say the word")
    assert result.stdout.strip() == provider.reply
    assert "did not load" not in result.stderr

    assert cc.run(home, "config-switch", "official").ok
    assert (home / ".claude/settings.json").read_text() == SETTINGS
    assert (home / ".codex/config.toml").read_text() == CONFIG
    loaded = codex_config_ok(CODEX, home)
    assert loaded.ok, loaded


@pytest.mark.parametrize("version", CODEX_VERSIONS)
def test_settings_of_a_profile_are_taken_by_codex(provider: Provider, home: Path, version: str) -> None:
    """What --set gave stands in table and settings, Codex starts and answers, and official takes it out."""
    provider.expect("/o", key=KEY, scheme="bearer")
    given = {"request_max_retries": 4, "stream_idle_timeout_ms": 9000, "websocket_connect_timeout_ms": 3000}
    more = [f"--set={name}={value}" for name, value in {**given, "model_verbosity": "low"}.items()]
    init(home, provider, "cx", "--codex-version", version, *more)
    config = tomllib.loads((home / ".codex/config.toml").read_text())
    assert given.items() <= config["model_providers"][config["model_provider"]].items()
    assert config["model_verbosity"] == "low"
    assert run_codex(version, home, "say the word").stdout.strip() == provider.reply
    assert cc.run(home, "config-switch", "official", "-T", "codex", "--codex-version", version).ok
    assert "model_verbosity" not in tomllib.loads((home / ".codex/config.toml").read_text())


@pytest.mark.parametrize("version", CLAUDE_VERSIONS)
def test_variables_of_a_profile_are_taken_by_claude(provider: Provider, home: Path, version: str) -> None:
    """What --env gave reaches Claude Code and so the request; official takes it out."""
    provider.expect("/a", key=KEY, scheme="bearer")
    init(home, provider, "cc", "--env", "CLAUDE_CODE_MAX_OUTPUT_TOKENS=7777")
    assert run_claude(version, home, "say the word").stdout.strip() == provider.reply
    assert [call.request.json["max_tokens"] for call in provider.of("messages")][-1] == 7777
    assert cc.run(home, "config-switch", "official").ok
    assert "CLAUDE_CODE_MAX_OUTPUT_TOKENS" not in (home / ".claude/settings.json").read_text()
