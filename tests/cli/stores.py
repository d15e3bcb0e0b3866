"""Stores of other setup tools, made by the tools themselves where they are on npm (kept in .cache)."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from support import peers, waiting, zcf


def _environment(home: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8"}


def by_zcf(home: Path) -> None:
    """Let zcf make a profile of its glm preset, one of a relay, and a provider for Codex."""
    skip = ("-o", "skip", "-x", "false", "-r", "new")
    zcf.init(home, *skip, "-p", "glm-cn", "-k", "sk-zcf-glm-0123456789")
    zcf.init(home, *skip, "-t", "api_key", "-u", "https://gate.example.com/one", "-k", "sk-zcf-gate-0123456789")
    codex = ("-T", "codex", "-t", "api_key", "-u", "https://relay.example.com/v1", "-M", "my-model")
    zcf.init(home, *skip, *codex, "-k", "sk-zcf-codex-0123456789")


def by_ccs(home: Path) -> None:
    """Let ccs make a profile of its glm preset, and one of a relay."""
    for argv in (
        ("myglm", "--preset", "glm", "--api-key", "sk-ccs-glm-0123456789"),
        ("relay", "--base-url", "https://relay.example.com", "--api-key", "sk-ccs-relay-0123456789", "--model", "m"),
    ):
        subprocess.run(
            [str(peers.npm("ccs")), "api", "create", *argv, "--yes", "--force"],
            env=_environment(home),
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=waiting.LIMIT,
            check=True,
        )


def by_ccr(home: Path, port: int) -> None:
    """Let claude-code-router save providers through its own server, as its web page does."""
    folder = home / ".claude-code-router"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"PORT": port, "Providers": [], "Router": {}}))
    providers = [
        _provider(
            "openrouter", "https://openrouter.ai/api/v1/chat/completions", "sk-or-v1-ccr-0123456789", "openrouter"
        ),
        _provider("zai", "https://api.z.ai/api/anthropic/v1/messages", "$ZAI_KEY", "Anthropic"),
        _provider("mine", "https://chat.example.com/v1/chat/completions", "sk-mine-0123456789", "tooluse"),
    ]
    body = {"PORT": port, "Providers": providers, "Router": {"default": "zai,glm-x"}}
    server = subprocess.Popen(
        [str(peers.npm("ccr")), "start"],
        env=_environment(home),
        cwd=home,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/api/config", json.dumps(body).encode(), {"content-type": "application/json"}
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

        def saved() -> bool:
            try:
                opener.open(request, timeout=waiting.LIMIT).close()
            except OSError:
                return False
            return True

        waiting.until(saved, "its server saves")
        assert json.loads((folder / "config.json").read_text())["Providers"] == providers
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()


def _provider(name: str, url: str, key: str, transformer: str) -> dict[str, Any]:
    return {
        "name": name,
        "api_base_url": url,
        "api_key": key,
        "models": ["glm-x"],
        "transformer": {"use": [transformer]},
    }


def by_ccjk(home: Path) -> None:
    """Write what ccjk 15 writes: it is no longer on npm.

    The shape is ``Profile`` and ``writeProfile`` in src/core/profiles.ts of github.com/miounet11/ccjk (2fd1e07).
    """
    folder = home / ".ccjk" / "profiles"
    folder.mkdir(parents=True)
    for profile in (
        {
            "name": "work",
            "provider": "minimax",
            "baseUrl": "https://api.minimaxi.com/anthropic",
            "authType": "auth_token",
            "apiKey": "sk-ccjk-0123456789",
            "model": "MiniMax-M2",
            "createdAt": "2026-05-12T00:00:00.000Z",
        },
    ):
        (folder / f"{profile['name']}.json").write_text(json.dumps(profile, indent=2) + "\n")
    (folder / "broken.json").write_text("{")


def by_cc_switch(home: Path) -> None:
    """Write a database as cc-switch 3.20 does: a desktop program, which cannot run here.

    The table is that of ``create_tables_on_conn`` in src-tauri/src/database/schema.rs of
    github.com/farion1231/cc-switch; ``settings_config`` has the shapes of its dao/providers_seed.rs (Claude:
    settings.json; Codex: auth and config).
    """
    (home / ".cc-switch").mkdir()
    db = sqlite3.connect(home / ".cc-switch" / "cc-switch.db")
    db.execute(
        "CREATE TABLE providers (id TEXT NOT NULL, app_type TEXT NOT NULL, name TEXT NOT NULL, settings_config TEXT "
        "NOT NULL, website_url TEXT, category TEXT, created_at INTEGER, sort_index INTEGER, notes TEXT, icon TEXT, "
        "icon_color TEXT, meta TEXT NOT NULL DEFAULT '{}', is_current BOOLEAN NOT NULL DEFAULT 0, in_failover_queue "
        "BOOLEAN NOT NULL DEFAULT 0, PRIMARY KEY (id, app_type))"
    )
    env = {"ANTHROPIC_BASE_URL": "https://api.kimi.com/coding/", "ANTHROPIC_AUTH_TOKEN": "sk-kimi-ccswitch-0123456789"}
    config = (
        'model_provider = "custom"\nmodel = "m"\n[model_providers.custom]\nname = "Mine"\nwire_api = "responses"\n'
        'base_url = "https://codex.example.com/v1"\nrequires_openai_auth = true\n'
    )
    rows = [
        ("claude-official", "claude", "Claude Official", {"env": {}}),
        ("1", "claude", "Kimi For Coding", {"env": env}),
        ("2", "codex", "Mein Anbieter 服务", {"auth": {"OPENAI_API_KEY": "sk-codex-0123456789"}, "config": config}),
        ("codex-official", "codex", "OpenAI Official", {"auth": {}, "config": ""}),
        ("3", "gemini", "Gemini", {"env": {"GEMINI_API_KEY": "x"}}),
    ]
    for one, app, name, settings in rows:
        db.execute(
            "INSERT INTO providers (id, app_type, name, settings_config) VALUES (?, ?, ?, ?)",
            (one, app, name, json.dumps(settings)),
        )
    db.commit()
    db.close()
