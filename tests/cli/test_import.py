"""``ccsetup import``: each store, read as its own tool writes it, becomes profiles, and is left as it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cli import stores
from support import cc, world


def imported(home: Path, source: str) -> dict[str, Any]:
    """Import *source*, check what every import promises, and return the rows by what the store calls them."""
    before = cc.files(home)
    look = cc.main("import", source, "--dry-run")
    assert look.ok, look
    assert cc.files(home) == before
    refused = cc.main("import", source)  # nobody can be asked here
    assert refused.rc == 2, refused
    done = cc.main("import", source, "--yes", "--json")
    assert done.ok, done
    assert "sk-" not in look.stdout + look.stderr + done.stdout + done.stderr
    after = cc.files(home)
    assert {n: after[n] for n in before} == before  # nothing of theirs is changed
    again = cc.main("import", source, "--json")
    assert again.json["result"]["profiles"] == [], again
    assert cc.files(home) == after
    return {row["found"]: row for row in done.json["result"]["found"]}


def key(home: Path, name: str) -> str:
    return (home / ".config/ccsetup/keys" / name).read_text()


def test_zcf(home: Path) -> None:
    """Its profiles of Claude Code by preset or address, and its provider of Codex, whose key Codex itself ignores."""
    stores.by_zcf(home)
    rows = imported(home, "zcf")
    assert (rows["glm-cn"]["provider"], rows["glm-cn"]["region"]) == ("glm", "cn")
    assert key(home, rows["glm-cn"]["name"]) == "sk-zcf-glm-0123456789"
    assert rows["custom-config"]["url"] == "https://gate.example.com/one"
    assert key(home, rows["custom-config"]["name"]) == "sk-zcf-gate-0123456789"
    codex = rows["custom-api-key"]
    assert (codex["clients"], codex["provider"]) == (["codex"], "custom")
    assert key(home, codex["name"]) == "sk-zcf-codex-0123456789"
    assert cc.main("config-switch", codex["name"]).ok
    assert cc.main("config-switch", rows["custom-config"]["name"]).ok
    env = json.loads((home / ".claude/settings.json").read_bytes())["env"]
    assert env["ANTHROPIC_API_KEY"] == "sk-zcf-gate-0123456789"
    assert env["ANTHROPIC_BASE_URL"] == "https://gate.example.com/one"


def test_ccs(home: Path) -> None:
    """Its settings files; a name that has a meaning in ccsetup gets a number."""
    stores.by_ccs(home)
    rows = imported(home, "ccs")
    assert (rows["myglm"]["provider"], rows["myglm"]["region"]) == ("glm", "intl")
    assert rows["relay"]["name"] == "relay-2"
    assert rows["relay"]["provider"] == "custom"
    assert key(home, "relay-2") == "sk-ccs-relay-0123456789"


def test_ccr(home: Path) -> None:
    """Providers that have an Anthropic address of their own; the others say why they are left out."""
    stores.by_ccr(home, world.port())
    rows = imported(home, "ccr")
    assert rows["openrouter"]["provider"] == "openrouter"
    assert rows["openrouter"]["clients"] == ["claude-code"]
    assert key(home, "openrouter") == "sk-or-v1-ccr-0123456789"
    assert (rows["zai"]["provider"], rows["zai"]["region"], rows["zai"]["key_env"]) == ("glm", "intl", "ZAI_KEY")
    assert "Chat Completions" in rows["mine"]["skipped"]
    profile = cc.main("profile", "show", "zai", "--json").json["result"]
    assert (profile["key_storage"], profile["key_env"]) == ("env", "ZAI_KEY")


def test_ccjk(home: Path) -> None:
    """Its JSON files, broken ones left out; a retired model is replaced."""
    stores.by_ccjk(home)
    rows = imported(home, "ccjk")
    assert list(rows) == ["work"]
    assert rows["work"]["provider"] == "minimax"
    assert key(home, "work") == "sk-ccjk-0123456789"


@pytest.mark.parametrize("wal", [False, True])
def test_cc_switch(home: Path, wal: bool) -> None:
    """Its database, opened read-only: official accounts and other programs are no providers."""
    stores.by_cc_switch(home)
    database = home / ".cc-switch" / "cc-switch.db"
    if wal:
        import sqlite3

        db = sqlite3.connect(database)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("UPDATE providers SET name = 'Kimi' WHERE id = '1'")
        db.commit()  # as while cc-switch runs: the change is in the -wal file only
    rows = {row["found"]: row for row in cc.main("import", "cc-switch", "--dry-run", "--json").json["result"]["found"]}
    if wal:
        db.close()
        assert "Kimi" in rows
        return
    rows = imported(home, "cc-switch")
    assert sorted(rows) == ["Kimi For Coding", "Mein Anbieter 服务"]
    assert rows["Kimi For Coding"]["provider"] == "kimi"
    assert rows["Kimi For Coding"]["name"] == "Kimi-For-Coding"
    codex = rows["Mein Anbieter 服务"]
    assert (codex["provider"], codex["clients"], codex["name"]) == ("custom", ["codex"], "Mein-Anbieter")
    assert key(home, "Mein-Anbieter") == "sk-codex-0123456789"


def test_clients(home: Path) -> None:
    """What both clients use now with one key of one provider is one profile for both, with today's address."""
    secret = "sk-hand-0123456789abcd"
    env = {"ANTHROPIC_BASE_URL": "https://open.bigmodel.cn/api/anthropic/", "ANTHROPIC_AUTH_TOKEN": secret}
    config = (
        'model_provider = "z"\nmodel = "glm-4-plus"\n[model_providers.z]\nname = "z"\nwire_api = "chat"\n'
        f'base_url = "https://open.bigmodel.cn/api/coding/paas/v4"\nexperimental_bearer_token = "{secret}"\n'
    )
    cc.put(home, {".claude/settings.json": json.dumps({"env": env}), ".codex/config.toml": config})
    done = cc.main("import", "clients", "--yes", "--json")
    assert done.json["result"]["profiles"] == ["glm"], done
    texts = " ".join(n["text"] for n in done.json["notes"])
    assert "glm-4-plus is retired" in texts
    assert "/coding/paas/v4 is replaced by https://open.bigmodel.cn/api/v1" in texts
    profile = cc.main("profile", "show", "glm", "--json").json["result"]
    assert set(profile["endpoints"]) == {"claude-code", "codex"}
    assert profile["endpoints"]["codex"]["url"] == "https://open.bigmodel.cn/api/v1"
    assert (home / ".codex/config.toml").read_text() == config
    assert cc.main("config-switch", "glm").rc in (0, 5)


def test_everything_at_once(home: Path) -> None:
    """Without a source all stores are read; the same provider with the same key is taken once."""
    stores.by_ccjk(home)
    stores.by_cc_switch(home)
    env = {
        "ANTHROPIC_BASE_URL": "https://api.minimaxi.com/anthropic",
        "ANTHROPIC_AUTH_TOKEN": "sk-ccjk-0123456789",
        "ANTHROPIC_MODEL": "MiniMax-M2",
    }
    cc.put(home, {".claude/settings.json": json.dumps({"env": env})})
    done = cc.main("import", "--yes", "--json")
    assert done.ok, done
    assert len(done.json["result"]["profiles"]) == 3, done
    assert any("the same as" in row["skipped"] for row in done.json["result"]["found"])
    assert cc.main("undo").ok
    assert cc.main("list", "--json").json["result"]["profiles"] == []


def test_nothing_there(home: Path) -> None:
    done = cc.main("import")
    assert done.ok, done
    assert "Nothing was found" in done.stdout
    assert cc.main("import", "zfc").rc == 2


URL = "https://gate.example.com"


@pytest.mark.parametrize(
    ("url", "found", "reason"),
    [
        ("http://127.0.0.1:15721", "PROXY_MANAGED", "there is no key with it|the proxy of cc-switch"),
        ("http://localhost:15721", "sk-something-0123456789", "the proxy of cc-switch"),
        ("http://127.0.0.1:3456", "sk-something-0123456789", "the proxy of claude-code-router"),
        (URL, "PROXY_MANAGED", "there is no key with it"),
        (URL, "<your-key>", "there is no key with it"),
        (URL, "${MY_KEY}", "there is no key with it"),
        (URL, "sk-****abcd", "there is no key with it"),
        ("https://open.bigmodel.cn/api/anthropic", "sk-ant-api03-0f3a9b27c4d81e56", "This is no key of GLM"),
        ("https://open.bigmodel.cn/api/anthropic", "sk-xxxxxxxx", "gives out none like this"),
        (URL, '"sk-something-0123456789"', ""),
        ("http://127.0.0.1:4000", "sk-1234", ""),
        ("http://127.0.0.1:8080", "EMPTY", ""),
        ("https://api.deepseek.com/anthropic/v2", "sk-something-0123456789", ""),
    ],
)
def test_what_is_no_provider_is_left_out(home: Path, url: str, found: str, reason: str) -> None:
    """A placeholder is no key, and another tool's own proxy no provider; servers of one's own take any key."""
    env = {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_AUTH_TOKEN": found}
    cc.put(home, {".claude/settings.json": json.dumps({"env": env})})
    done = cc.main("import", "--yes", "--json")
    assert done.ok
    [row] = done.json["result"]["found"]
    assert any(r in row["skipped"] for r in reason.split("|")) if reason else not row["skipped"], row
    stored = [p.read_text() for p in (home / ".config/ccsetup").rglob("keys/*")]
    assert stored == ([] if reason else [found.strip('"')])


@pytest.mark.parametrize(
    ("client", "url", "provider", "region", "kept"),
    [
        ("claude-code", "https://api.deepseek.com/anthropic/beta", "deepseek", "global", True),
        ("claude-code", "https://API.z.ai/api/other", "glm", "intl", True),
        ("claude-code", "https://ark.cn-beijing.volces.com/api/compatible/x", "volcengine", "paygo", True),
        ("codex", "https://api.deepseek.com/v1", "deepseek", "global", True),
        ("codex", "https://api.moonshot.ai/v2", "kimi", "intl", True),
        ("claude-code", "https://api.deepseek.com.example.com/anthropic", "custom", "", True),
        ("claude-code", "https://api.z.ai/api/anthropic/v1/messages", "glm", "intl", False),
    ],
)
def test_the_same_provider_under_another_path(
    home: Path, client: str, url: str, provider: str, region: str, kept: bool
) -> None:
    """It is known by its host; the address that works for the person is kept, and this is said."""
    key_ = "sk-something-0123456789"
    env = {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_AUTH_TOKEN": key_, "ANTHROPIC_MODEL": "some-model"}
    config = (
        'model_provider = "x"\nmodel = "some-model"\n[model_providers.x]\nname = "x"\n'
        f'base_url = "{url}"\nexperimental_bearer_token = "{key_}"\n'
    )
    if client == "codex":
        cc.put(home, {".codex/config.toml": config})
    else:
        cc.put(home, {".claude/settings.json": json.dumps({"env": env})})
    done = cc.main("import", "--yes", "--json")
    [row] = done.json["result"]["found"]
    assert row["provider"] == provider, done
    if region:
        assert row["region"] == region
    shown = cc.main("profile", "show", row["name"], "--json").json["result"]["endpoints"][client]
    assert (shown["url"].lower() == url.lower()) == kept
    assert ("is another path of" in done.stdout) == (kept and provider != "custom")


def test_chat_completions_are_offered_through_the_relay(home: Path) -> None:
    """The reason names the command that sets it up, and that command is right."""
    config = (
        'model_provider = "x"\nmodel = "m"\n[model_providers.x]\nname = "x"\nwire_api = "chat"\n'
        f'base_url = "{URL}/v1"\nexperimental_bearer_token = "sk-something-0123456789"\n'
    )
    cc.put(home, {".codex/config.toml": config})
    [row] = cc.main("import", "--yes", "--json").json["result"]["found"]
    command = row["skipped"].partition("translates: ")[2]
    assert command.startswith("ccsetup init -p custom")
    words = command.replace("NAME", "mine").replace("MODEL", "m").split()[1:]
    (home / ".codex/config.toml").unlink()  # Codex does not start with it, which is another matter
    assert cc.main(*words, "-s", "--dry-run", stdin=b"sk-something-0123456789").ok
