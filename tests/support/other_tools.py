"""A home that other setup tools filled, in their formats; every key in it is made up."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

from support import cc

ZAI = "3f2a9c7b1e.AbCdEfGh1234ZAIK"
BIGMODEL = "5e5e5e5e5e.QqWwEeRrTt99BMDL"
KIMI_CODE = "sk-kimi-000011112222KCOD"
DEEPSEEK = "sk-deadbeefdeadbeefDEEP"
OPENROUTER = "sk-or-v1-0123456789abcdORTR"


def fill(home: Path) -> None:
    """Write what Claude Code, Codex, zcf, ccs, ccm and cc-switch leave behind, with the usual mistakes."""
    settings = """\
{
  "env": {
    "ANTHROPIC_BASE_URL": "https://api.z.ai/api/anthropic",
    "ANTHROPIC_AUTH_TOKEN": "%s",
    "ANTHROPIC_MODEL": "glm-4.6"
  },
  // from a blog
  "model": "opus"
}
"""
    codex = """\
model = "kimi-k3"
model_provider = "moon"
profile = "moon"

[model_providers.moon]
name = "Moonshot"
base_url = "https://api.moonshot.ai/v1"
wire_api = "chat"
temp_env_key = "MOONSHOT_API_KEY"
"""
    zcf = f"""\
version = "1.0.0"

[claudeCode]
enabled = true

[claudeCode.profiles.glm-cn]
name = "GLM"
authType = "auth_token"
apiKey = "{BIGMODEL}"
baseUrl = "https://open.bigmodel.cn/api/anthropic"
"""
    ccs = {"env": {"ANTHROPIC_BASE_URL": "https://api.kimi.com/coding/", "ANTHROPIC_AUTH_TOKEN": KIMI_CODE}}
    cc.put(
        home,
        {
            ".claude/settings.json": settings % ZAI,
            ".codex/config.toml": codex,
            ".ufomiao/zcf/config.toml": zcf,
            ".ccs/kimi.settings.json": json.dumps(ccs),
            ".ccm_config": f'export DEEPSEEK_API_KEY={DEEPSEEK}\nGLM_API_KEY="{BIGMODEL}"\n',
        },
    )
    (home / ".cc-switch").mkdir()
    store = sqlite3.connect(home / ".cc-switch" / "cc-switch.db")
    store.execute(
        "CREATE TABLE providers (id TEXT NOT NULL, app_type TEXT NOT NULL, name TEXT NOT NULL,"
        " settings_config TEXT NOT NULL, is_current BOOLEAN NOT NULL DEFAULT 0, PRIMARY KEY (id, app_type))"
    )
    claude = {"env": {"ANTHROPIC_BASE_URL": "https://openrouter.ai/api", "ANTHROPIC_AUTH_TOKEN": OPENROUTER}}
    own = {
        "auth": {"OPENAI_API_KEY": DEEPSEEK},
        "config": 'model_provider = "ds"\n[model_providers.ds]\nbase_url = "https://api.deepseek.com"\n',
    }
    rows = [("1", "claude", "OpenRouter", json.dumps(claude)), ("2", "codex", "DeepSeek", json.dumps(own))]
    store.executemany("INSERT INTO providers VALUES (?, ?, ?, ?, 1)", rows)
    store.commit()
    store.close()
