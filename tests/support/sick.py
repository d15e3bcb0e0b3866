"""Broken homes for the doctor: each case is what one check is about, and what should come of it.

``@URL@`` in a file or a variable is the provider's origin, ``@HOME@`` the home folder.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, Optional

from support import cc

KEY = "sk-provider-0123456789abcdef"
OTHER = "sk-other-9876543210fedcba"
MODEL = "m-1"
SETTINGS = ".claude/settings.json"
CLAUDE_JSON = ".claude.json"
CONFIG = ".codex/config.toml"
AUTH = ".codex/auth.json"
PROFILES = ".config/ccsetup/profiles.toml"
RELAY = ".config/ccsetup/relay.yaml"

CLAUDE_PATH = "/api/anthropic"
CODEX_PATH = "/v1"


def settings(env: Optional[Mapping[str, Any]] = None, without: tuple[str, ...] = (), **more: Any) -> str:
    """Return a settings.json that works, with changes."""
    block: dict[str, Any] = {"ANTHROPIC_BASE_URL": "@URL@" + CLAUDE_PATH, "ANTHROPIC_AUTH_TOKEN": KEY}
    for tier in ("ANTHROPIC_MODEL", *(f"ANTHROPIC_DEFAULT_{t}_MODEL" for t in ("OPUS", "SONNET", "HAIKU", "FABLE"))):
        block[tier] = MODEL
    block.update(env or {})
    for name in without:
        block.pop(name, None)
    return json.dumps({"env": block, **more}, indent=2) + "\n"


def config(
    *,
    top: str = f'model = "{MODEL}"\nmodel_provider = "mine"\n',
    table: str = "[model_providers.mine]\n",
    body: str = "",
    name: str = 'name = "Mine"\n',
    url: str = f'base_url = "@URL@{CODEX_PATH}"\n',
    wire: str = 'wire_api = "responses"\n',
    key: str = f'experimental_bearer_token = "{KEY}"\n',
    more: str = "",
) -> str:
    """Return a config.toml that works, with changes."""
    return top + "\n" + table + name + url + wire + key + body + more


def relay(key: str) -> str:
    """Return a relay.yaml with one upstream, whose key is on line 5."""
    return f"relay: 1\nupstreams:\n  - name: one\n    preset: glm\n    key: {key}\n"


RELAYED = {
    PROFILES: '[profiles.relay]\nprovider = "custom"\nkey_storage = "inline"\n'
    '[profiles.relay.codex]\nurl = "http://127.0.0.1:9/v1"\nprimary_model = "m"\n',
    ".config/ccsetup/keys/relay": KEY,
    ".local/state/ccsetup/state.json": '{"clients": {"codex": {"profile": "relay"}}}',
}
"""A home where Codex uses the relay."""

ONBOARDED = {CLAUDE_JSON: json.dumps({"hasCompletedOnboarding": True}) + "\n"}


class Case(NamedTuple):
    id: str
    """The check's."""
    files: Mapping[str, str]
    place: str = ""
    """``file:line`` of the finding; "" for none."""
    said: str = ""
    """What the finding says."""
    level: Literal["problem", "warning"] = "problem"
    repaired: bool = True
    """``--fix`` repairs it."""
    env: Mapping[str, str] = {}
    broken: str = ""
    """The client that does not work (or does wrong) before the repair, and works after it."""
    name: str = ""
    """Tells cases of one check apart."""
    arrange: Optional[Callable[[Path], None]] = None
    mode: int = 0o600

    @property
    def title(self) -> str:
        return self.id + (f"-{self.name}" if self.name else "")

    def put(self, home: Path, url: str) -> dict[str, str]:
        """Write the home, and return the variables of the shell."""

        def filled(text: str) -> str:
            return text.replace("@URL@", url).replace("@HOME@", str(home))

        cc.put(home, {name: filled(text) for name, text in self.files.items()}, self.mode)
        if self.arrange is not None:
            self.arrange(home)
        return {name: filled(value) for name, value in self.env.items()}


def age(path: Path) -> None:
    """Make *path* two hours old."""
    then = time.time() - 7200
    os.utime(path, (then, then))


def _left_behind(home: Path) -> None:
    cc.put(home, {".claude/.settings.json.ccsetup-123-abcd": "{}"})
    age(home / ".claude/.settings.json.ccsetup-123-abcd")
    (home / ".claude.json.lock").mkdir()
    age(home / ".claude.json.lock")


CC = "claude-code"
CX = "codex"
GOOD = {SETTINGS: settings(), **ONBOARDED}
_WITHOUT_ENV = settings()[2:-3]

CASES = [
    # Claude Code.
    Case(
        "claude-syntax",
        {**ONBOARDED, SETTINGS: "{\n  // mine\n  " + _WITHOUT_ENV.strip() + "\n}\n"},
        SETTINGS + ":2",
        "A comment makes Claude Code ignore",
        broken=CC,
        name="comment",
    ),
    Case(
        "claude-syntax",
        {**ONBOARDED, SETTINGS: "{" + _WITHOUT_ENV + ",\n}\n"},
        SETTINGS + ":9",
        "A trailing comma makes",
        broken=CC,
        name="comma",
    ),
    Case(
        "claude-syntax",
        {SETTINGS: '{\n  "env": {"A": "b"\n'},
        SETTINGS + ":3",
        "ignores the whole file",
        repaired=False,
        name="cut",
    ),
    Case("claude-syntax", {SETTINGS: "[]\n"}, SETTINGS + ":1", "not an object", repaired=False, name="list"),
    Case(
        "claude-types",
        {**ONBOARDED, SETTINGS: settings(model=5)},
        SETTINGS + ":11",
        "'model' has the wrong type",
        broken=CC,
    ),
    Case(
        "claude-types",
        {**ONBOARDED, SETTINGS: settings(permissions={"allow": "Bash"})},
        SETTINGS + ":12",
        "'permissions.allow' has the wrong type",
        broken=CC,
        name="permissions",
    ),
    Case(
        "claude-types",
        {**ONBOARDED, SETTINGS: settings(includeCoAuthoredBy="false")},
        SETTINGS + ":11",
        "'includeCoAuthoredBy'",
        broken=CC,
        name="text-for-bool",
    ),
    Case(
        "claude-config-dir",
        {
            **ONBOARDED,
            SETTINGS: settings({"CLAUDE_CONFIG_DIR": "@HOME@/elsewhere"}),
            "elsewhere/settings.json": settings({"ANTHROPIC_BASE_URL": "@URL@/wrong"}),
        },
        SETTINGS + ":10",
        "another folder's settings",
        broken=CC,
    ),
    Case(
        "claude-other-backend",
        {**ONBOARDED, SETTINGS: settings({"CLAUDE_CODE_USE_BEDROCK": "1"})},
        SETTINGS + ":10",
        "CLAUDE_CODE_USE_BEDROCK",
        broken=CC,
        name="settings",
    ),
    Case(
        "claude-other-backend",
        GOOD,
        SETTINGS + ":3",
        "of this shell",
        env={"CLAUDE_CODE_USE_VERTEX": "1"},
        broken=CC,
        name="shell",
    ),
    Case(
        "claude-other-backend",
        GOOD,
        "",
        "ANTHROPIC_UNIX_SOCKET of this shell",
        env={"ANTHROPIC_UNIX_SOCKET": "/run/gateway.sock"},
        repaired=False,
        name="socket",
    ),
    Case(
        "claude-key",
        {**ONBOARDED, SETTINGS: settings({"ANTHROPIC_AUTH_TOKEN": "${MY_KEY}"})},
        SETTINGS + ":4",
        "sent as it stands",
        repaired=False,
    ),
    Case(
        "claude-models",
        {**ONBOARDED, SETTINGS: settings({"ANTHROPIC_DEFAULT_OPUS_MODEL": "other"}, availableModels=["opus"])},
        SETTINGS + ":11",
        "availableModels shuts",
        broken=CC,
    ),
    Case(
        "claude-headers",
        {**ONBOARDED, SETTINGS: settings({"ANTHROPIC_CUSTOM_HEADERS": "X-Gateway: a"})},
        SETTINGS + ":10",
        "sent to this provider too",
        "warning",
        False,
    ),
    Case(
        "claude-headers",
        {**ONBOARDED, SETTINGS: settings({"ANTHROPIC_CUSTOM_HEADERS": f"X-A: b\nx-litellm-api-key: Bearer {OTHER}"})},
        SETTINGS + ":10",
        "sends a key to this provider too, in: x-litellm-api-key",
        repaired=False,
        name="key",
    ),
    Case(
        "claude-tls",
        {**ONBOARDED, SETTINGS: settings({"NODE_TLS_REJECT_UNAUTHORIZED": "0"})},
        SETTINGS + ":10",
        "checks no certificate",
    ),
    Case(
        "claude-base-url",
        {**ONBOARDED, SETTINGS: settings({"ANTHROPIC_BASE_URL": f"@URL@{CLAUDE_PATH}/v1"})},
        SETTINGS + ":3",
        "ends in /v1",
        broken=CC,
    ),
    *(
        Case(
            "claude-base-url",
            {**ONBOARDED, SETTINGS: settings({"ANTHROPIC_BASE_URL": url}, ("ANTHROPIC_AUTH_TOKEN",))},
            SETTINGS + ":3",
            "The address holds a key",
            broken=CC,
            name=name,
        )
        for name, url in (
            ("key-in-query", f"@URL@{CLAUDE_PATH}?api_key={KEY}"),
            ("key-in-path", f"@URL@/{KEY}{CLAUDE_PATH}"),
        )
    ),
    Case(
        "claude-base-url",
        {**ONBOARDED, SETTINGS: settings({"ANTHROPIC_BASE_URL": f"@URL@{CLAUDE_PATH}?key=sk-other-{KEY}"})},
        SETTINGS + ":3",
        "The address holds a key",
        repaired=False,
        name="two-keys",
    ),
    Case(
        "claude-base-url",
        {**ONBOARDED, SETTINGS: settings({"ANTHROPIC_BASE_URL": "api.example.com"})},
        SETTINGS + ":3",
        "https://",
        repaired=False,
        name="no-scheme",
    ),
    Case(
        "claude-legacy",
        {**ONBOARDED, SETTINGS: settings({"ANTHROPIC_BASE_URL": "https://openrouter.ai/api/v1"})},
        SETTINGS + ":3",
        "not OpenRouter's address today",
        name="address",
    ),
    Case(
        "claude-legacy",
        {
            **ONBOARDED,
            SETTINGS: settings(
                {"ANTHROPIC_BASE_URL": "https://open.bigmodel.cn/api/anthropic", "ANTHROPIC_MODEL": "glm-4.5"}
            ),
        },
        SETTINGS + ":5",
        "newer models than glm-4.5",
        "warning",
        name="model",
    ),
    Case(
        "claude-no-key",
        {
            **ONBOARDED,
            SETTINGS: settings(without=("ANTHROPIC_AUTH_TOKEN",)),
            ".claude/.credentials.json": json.dumps(
                {
                    "claudeAiOauth": {
                        "accessToken": "sk-ant-oat01-" + "a" * 24,
                        "refreshToken": "sk-ant-ort01-" + "b" * 24,
                        "expiresAt": 4102444800000,
                        "scopes": ["user:inference", "user:profile"],
                        "subscriptionType": "max",
                    }
                }
            ),
            ".config/ccsetup/keys/mine": KEY + "\n",
            PROFILES: '[profiles.mine]\nprovider = "custom"\nkey_storage = "inline"\n'
            f'[profiles.mine.claude-code]\nurl = "@URL@{CLAUDE_PATH}"\nprimary_model = "{MODEL}"\n',
        },
        SETTINGS + ":3",
        "sends your Anthropic login there",
        broken=CC,
        name="login",
    ),
    Case(
        "claude-no-key",
        {
            **ONBOARDED,
            SETTINGS: settings(without=("ANTHROPIC_AUTH_TOKEN",)),
            ".config/ccsetup/keys/mine": KEY + "\n",
            PROFILES: '[profiles.mine]\nprovider = "custom"\nkey_storage = "inline"\n'
            f'[profiles.mine.claude-code]\nurl = "@URL@{CLAUDE_PATH}"\nprimary_model = "{MODEL}"\n',
        },
        SETTINGS + ":3",
        "Not logged in",
        broken=CC,
        name="saved",
    ),
    Case(
        "claude-no-key",
        {**ONBOARDED, SETTINGS: settings(without=("ANTHROPIC_AUTH_TOKEN",))},
        SETTINGS + ":3",
        "Not logged in",
        repaired=False,
    ),
    Case(
        "claude-two-keys",
        {**ONBOARDED, SETTINGS: settings({"ANTHROPIC_API_KEY": OTHER})},
        SETTINGS + ":10",
        "both are sent",
        broken=CC,
    ),
    Case(
        "claude-two-keys",
        GOOD,
        SETTINGS + ":4",
        "of this shell is sent beside",
        env={"ANTHROPIC_API_KEY": OTHER},
        broken=CC,
        name="shell",
    ),
    Case(
        "claude-helper",
        {**ONBOARDED, SETTINGS: settings(apiKeyHelper="echo " + OTHER)},
        SETTINGS + ":11",
        "apiKeyHelper stands next to a key",
        broken=CC,
    ),
    Case(
        "claude-console-key",
        {
            SETTINGS: settings(),
            CLAUDE_JSON: json.dumps({"hasCompletedOnboarding": True, "primaryApiKey": OTHER}, indent=1),
        },
        CLAUDE_JSON + ":3",
        "primaryApiKey",
        broken=CC,
    ),
    Case(
        "claude-key-approval",
        {
            SETTINGS: settings({"ANTHROPIC_API_KEY": KEY}, ("ANTHROPIC_AUTH_TOKEN",)),
            CLAUDE_JSON: json.dumps(
                {"hasCompletedOnboarding": True, "customApiKeyResponses": {"approved": [], "rejected": [KEY[-20:]]}},
                indent=1,
            ),
        },
        CLAUDE_JSON + ":5",
        "answered No",
    ),
    Case(
        "claude-key-approval",
        {**ONBOARDED, SETTINGS: settings({"ANTHROPIC_API_KEY": KEY}, ("ANTHROPIC_AUTH_TOKEN",))},
        CLAUDE_JSON,
        "asks whether to use",
        "warning",
        name="not-asked",
    ),
    Case(
        "claude-tiers",
        {**ONBOARDED, SETTINGS: settings(without=("ANTHROPIC_MODEL", "ANTHROPIC_DEFAULT_HAIKU_MODEL"))},
        SETTINGS + ":3",
        "No model is set for main, haiku",
        "warning",
        repaired=False,
    ),
    Case(
        "claude-tiers",
        {**ONBOARDED, SETTINGS: settings(without=("ANTHROPIC_DEFAULT_SONNET_MODEL", "ANTHROPIC_DEFAULT_HAIKU_MODEL"))},
        SETTINGS + ":3",
        "No model is set for sonnet, haiku",
        "warning",
        name="main-known",
    ),
    Case("claude-onboarding", {SETTINGS: settings()}, CLAUDE_JSON, "The first start asks", "warning"),
    Case(
        "claude-onboarding",
        {SETTINGS: settings(), CLAUDE_JSON: "{"},
        CLAUDE_JSON + ":1",
        "cannot be read",
        repaired=False,
        name="damaged",
    ),
    Case(
        "claude-shell",
        GOOD,
        "",
        "adds to the requests: ANTHROPIC_CUSTOM_HEADERS",
        "warning",
        False,
        {"ANTHROPIC_CUSTOM_HEADERS": "A: b"},
    ),
    Case(
        "claude-shell",
        {},
        "",
        "sends Claude Code to",
        "warning",
        False,
        {"ANTHROPIC_BASE_URL": "https://elsewhere.example", "ANTHROPIC_AUTH_TOKEN": KEY},
        name="address",
    ),
    Case(
        "claude-project",
        {**GOOD, "work/.claude/settings.json": '{"env": {\n"ANTHROPIC_BASE_URL": "https://evil.example"}}'},
        "work/.claude/settings.json:2",
        "sends your key to an address of its own",
        repaired=False,
    ),
    Case(
        "claude-project",
        {**GOOD, "work/.claude/settings.local.json": '{"model": "opus"}'},
        "work/.claude/settings.local.json:1",
        "win over your settings: model",
        "warning",
        False,
        name="model",
    ),
    # Codex.
    Case(
        "codex-syntax", {CONFIG: 'model = "a"\nmodel = "b"\n'}, CONFIG + ":2", "no codex command starts", repaired=False
    ),
    Case(
        "codex-types",
        {CONFIG: config(top=f'model = "{MODEL}"\nmodel_provider = "mine"\nmodel_context_window = "128000"\n')},
        CONFIG + ":3",
        "'model_context_window' has the wrong type",
        broken=CX,
    ),
    Case(
        "codex-reserved-id",
        {CONFIG: config(top=f'model = "{MODEL}"\nmodel_provider = "openai"\n', table="[model_providers.openai]\n")},
        CONFIG + ":4",
        "'openai' is a reserved provider id",
        broken=CX,
    ),
    Case(
        "codex-wire-api",
        {CONFIG: config(wire='wire_api = "chat"\n')},
        CONFIG + ":7",
        "stops every codex command",
        broken=CX,
    ),
    Case(
        "codex-wire-api",
        {
            CONFIG: config(
                more='\n[model_providers.old]\nname = "Old"\nbase_url = "https://old.example/v1"\nwire_api = "chat"\n'
            )
        },
        CONFIG + ":13",
        "in provider 'old'",
        broken=CX,
        name="unused",
    ),
    Case(
        "codex-wire-api",
        {
            CONFIG: config(
                top='model = "glm-4.6"\nmodel_provider = "mine"\n',
                wire='wire_api = "chat"\n',
                url='base_url = "https://open.bigmodel.cn/api/coding/paas/v4"\n',
            )
        },
        CONFIG + ":7",
        "stops every codex command",
        name="glm",
    ),
    Case(
        "codex-legacy-profile",
        {
            CONFIG: config(
                top='profile = "work"\nmodel = "nonsense"\n',
                more=f'\n[profiles.work]\nmodel = "{MODEL}"\nmodel_provider = "mine"\n',
            )
        },
        CONFIG + ":1",
        "a top-level 'profile'",
        broken=CX,
    ),
    Case(
        "codex-legacy-profile",
        {CONFIG: config(more='\n[profiles.fast]\nmodel = "m-fast"\n')},
        CONFIG + ":10",
        "[profiles.fast] is ignored",
        "warning",
        name="table",
    ),
    Case(
        "codex-provider",
        {CONFIG: config(top=f'model = "{MODEL}"\nmodel_provider = "Mine"\n')},
        CONFIG + ":2",
        "There is no provider 'Mine'",
        broken=CX,
    ),
    Case(
        "codex-provider",
        {CONFIG: config(top=f'model = "{MODEL}"\nmodel_provider = "gone"\n')},
        CONFIG + ":2",
        "There is no provider 'gone'",
        repaired=False,
        name="gone",
    ),
    Case("codex-fields", {CONFIG: config(name="")}, CONFIG + ":4", "has no name", broken=CX, name="name"),
    Case(
        "codex-fields",
        {CONFIG: config(name='name = "OpenAI"\n')},
        CONFIG + ":5",
        "OpenAI's own compaction",
        "warning",
        name="openai",
    ),
    Case("codex-fields", {CONFIG: config(url="")}, CONFIG + ":4", "has no base_url", repaired=False, name="url"),
    Case(
        "codex-fields",
        {
            CONFIG: config(
                url="",
                table="[model_providers.ccsetup-glm]\n",
                top='model = "glm-5.3"\nmodel_provider = "ccsetup-glm"\n',
            )
        },
        CONFIG + ":4",
        "has no base_url",
        name="known-url",
    ),
    Case(
        "codex-fields",
        {CONFIG: config(top='model_provider = "mine"\n', body=f'model = "{MODEL}"\n')},
        CONFIG + ":1",
        "No model is set",
        broken=CX,
        name="model",
    ),
    Case(
        "codex-base-url",
        {CONFIG: config(url=f'base_url = "@URL@{CODEX_PATH}/responses"\n')},
        CONFIG + ":6",
        "names an endpoint",
        broken=CX,
    ),
    Case(
        "codex-legacy",
        {
            CONFIG: config(
                url='base_url = "https://api.minimax.chat/v1"\n', top='model = "MiniMax-M3"\nmodel_provider = "mine"\n'
            )
        },
        CONFIG + ":6",
        "not MiniMax's address today",
        name="address",
    ),
    Case(
        "codex-legacy",
        {
            CONFIG: config(
                url='base_url = "https://api.z.ai/api/v1"\n', top='model = "glm-4.7"\nmodel_provider = "mine"\n'
            )
        },
        CONFIG + ":1",
        "newer models than glm-4.7",
        "warning",
        name="model",
    ),
    Case(
        "codex-temp-env-key",
        {CONFIG: config(key='temp_env_key = "MINE-API_KEY"\n'), AUTH: json.dumps({"mine": KEY})},
        CONFIG + ":8",
        "used without a key",
        broken=CX,
    ),
    Case(
        "codex-temp-env-key",
        {CONFIG: config(key='temp_env_key = "MINE_KEY"\n')},
        CONFIG + ":8",
        "used without a key",
        env={"MINE_KEY": KEY},
        broken=CX,
        name="variable",
    ),
    Case(
        "codex-temp-env-key",
        {CONFIG: config(key='temp_env_key = "MINE_KEY"\n')},
        CONFIG + ":8",
        "used without a key",
        repaired=False,
        name="nowhere",
    ),
    Case(
        "codex-credentials",
        {CONFIG: config(key='env_key = "MINE_KEY"\n'), AUTH: json.dumps({"MINE_KEY": KEY})},
        CONFIG + ":8",
        "The variable MINE_KEY of provider 'mine' is not set",
        broken=CX,
        name="env",
    ),
    Case(
        "codex-credentials",
        {CONFIG: config(key=f'env_key = "{KEY}"\n')},
        CONFIG + ":8",
        "env_key of provider 'mine' is a key",
        broken=CX,
        name="key-for-name",
    ),
    *(
        Case(
            "codex-credentials",
            {CONFIG: config(url=f'base_url = "{url}"\n', key="")},
            CONFIG + ":6",
            "The address of provider 'mine' holds a key",
            broken=CX,
            name=name,
        )
        for name, url in (
            ("key-in-query", f"@URL@{CODEX_PATH}?api_key={KEY}"),
            ("key-in-path", f"@URL@/{KEY}{CODEX_PATH}"),
        )
    ),
    Case(
        "codex-credentials",
        {CONFIG: config(url=f'base_url = "@URL@{CODEX_PATH}?api_key=sk-other-{KEY}"\n')},
        CONFIG + ":6",
        "The address of provider 'mine' holds a key",
        repaired=False,
        name="two-keys",
    ),
    Case(
        "codex-credentials",
        {CONFIG: config(key='env_key = "MINE_KEY"\n')},
        CONFIG + ":8",
        "is not set",
        repaired=False,
        name="env-nowhere",
    ),
    Case(
        "codex-credentials",
        {CONFIG: config(key="requires_openai_auth = true\n"), AUTH: json.dumps({"mine": KEY})},
        CONFIG + ":8",
        "finds no key in auth.json",
        broken=CX,
        name="openai-auth",
    ),
    Case(
        "codex-credentials",
        {CONFIG: config(body='[model_providers.mine.auth]\ncommand = "echo"\nargs = ["' + KEY + '"]\n')},
        CONFIG + ":8",
        "'auth' cannot stand beside experimental_bearer_token",
        broken=CX,
        name="auth-table",
    ),
    Case(
        "codex-ignored-keys",
        {
            CONFIG: config(
                top=f'model = "{MODEL}"\nmodel_provider = "mine"\ndisable_response_storage = true\n',
                body='model = "x"\n',
            )
        },
        CONFIG + ":3",
        "ignores: disable_response_storage, model",
        "warning",
    ),
    Case(
        "codex-base-url",
        {CONFIG: config(url='base_url = "https://api.anthropic.com"\n')},
        CONFIG + ":6",
        "has no endpoint that Codex can speak to",
        repaired=False,
        name="anthropic",
    ),
    Case(
        "mcp-servers",
        {CONFIG: config(more='\n[mcp_servers.wiki]\ncommand = "no-such-program-here"\n')},
        CONFIG + ":11",
        "MCP server 'wiki' cannot start",
        "warning",
        False,
    ),
    Case(
        "mcp-servers",
        {CLAUDE_JSON: '{"mcpServers": {"a": {\n"command": "no-such-program-here"}}}'},
        CLAUDE_JSON + ":2",
        "MCP server 'a' cannot start",
        "warning",
        False,
        name="claude",
    ),
    Case(
        "codex-files",
        {CONFIG: config(top=f'model = "{MODEL}"\nmodel_provider = "mine"\nmodel_catalog_json = "gone.json"\n')},
        CONFIG + ":3",
        "names a file that is not there",
        broken=CX,
    ),
    Case(
        "codex-auth-json", {CONFIG: config(), AUTH: "{}"}, AUTH + ":1", "for a ChatGPT login", "warning", name="empty"
    ),
    Case(
        "codex-auth-json",
        {CONFIG: config(), AUTH: json.dumps({"OPENAI_API_KEY": OTHER, "mine": KEY}, indent=1)},
        AUTH + ":3",
        "reads none of these here: mine",
        "warning",
        name="unread",
    ),
    Case(
        "codex-auth-json",
        {CONFIG: config(), AUTH: json.dumps({"lost": OTHER}, indent=1)},
        AUTH + ":2",
        "for a ChatGPT login",
        "warning",
        False,
        name="only-copy",
    ),
    Case(
        "codex-shell",
        {CONFIG: config()},
        "",
        "takes no notice of OPENAI_BASE_URL",
        "warning",
        False,
        {"OPENAI_BASE_URL": "https://x.example"},
    ),
    Case(
        "codex-shell",
        {CONFIG: config(key='env_key = "MINE_KEY"\n'), ".codex/.env": f"MINE_KEY='{KEY}'\n"},
        ".codex/.env",
        "MINE_KEY of this shell is not used",
        "warning",
        False,
        {"MINE_KEY": OTHER},
        name="dotenv",
    ),
    Case(
        "codex-project",
        {CONFIG: config(), "work/.codex/config.toml": 'model_provider = "x"\n'},
        "work/.codex/config.toml:1",
        "Codex ignores these in a folder's file",
        "warning",
        False,
    ),
    # Both.
    Case(
        "proxy",
        {**GOOD},
        SETTINGS + ":3",
        "through the proxy",
        name="claude",
        broken=CC,
        env={"HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": ""},
    ),
    Case(
        "proxy",
        {CONFIG: config()},
        CONFIG + ":6",
        "through the proxy",
        name="codex",
        broken="",
        env={"HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": ""},
    ),
    Case(
        "profiles",
        {PROFILES: '[profiles.a]\nprovider = "nothing"\nkey_storage = "inline"\n[profiles.a.codex]\n'},
        PROFILES + ":1",
        "for provider 'nothing'",
        repaired=False,
        name="preset",
    ),
    Case(
        "profiles",
        {PROFILES: '[profiles.a]\nprovider = "glm"\nkey_storage = "inline"\n[profiles.a.codex]\n'},
        PROFILES + ":1",
        "The key of profile 'a' is not where it was saved",
        "warning",
        False,
        name="key",
    ),
    Case("profiles", {PROFILES: "[profiles.a\n"}, PROFILES + ":1", "cannot be read", repaired=False, name="damaged"),
    Case(
        "profile-models",
        {
            PROFILES: '[profiles.a]\nprovider = "glm"\nkey_storage = "inline"\n'
            '[profiles.a.codex]\nprimary_model = "glm-4.6"\n',
            ".config/ccsetup/keys/a": KEY + "\n",
        },
        PROFILES + ":5",
        "names a model that",
        "warning",
    ),
    Case("file-modes", GOOD, SETTINGS, "Others on this machine", mode=0o644),
    Case("file-modes", {RELAY: relay(f"{{inline: {KEY}}}")}, RELAY, "can read the key", mode=0o644, name="relay"),
    Case(
        "relay-config",
        {RELAY: relay("{profile: gone}")},
        RELAY + ":5",
        "profile 'gone', which there is",
        repaired=False,
    ),
    Case("relay-config", {RELAY: relay("{env: A}\n    speed: 3")}, RELAY + ":6", "speed", repaired=False, name="field"),
    Case("relay-config", {RELAY: "upstreams: [\n"}, RELAY + ":2", "not valid YAML", repaired=False, name="syntax"),
    Case("relay-runs", {**RELAYED, RELAY: relay("{env: A}")}, "", "the relay does not run", repaired=False),
    Case("relay-runs", RELAYED, "", "the relay does not run", repaired=False, name="without-file"),
    Case("relay-modes", {RELAY: relay("{env: A}")}, RELAY, "which providers", "warning", mode=0o644),
    Case(
        "relay-modes",
        {RELAY: relay("{env: A}"), ".config/ccsetup/relay-keys.json": '{"keys": []}'},
        ".config/ccsetup/relay-keys.json",
        "names and limits",
        "warning",
        mode=0o640,
        name="keys",
    ),
    Case(
        "backups",
        {".claude/settings.json.bak": settings(), ".codex/backup/1/auth.json": json.dumps({"x": KEY})},
        "",
        "Copies that other tools left",
        "warning",
        False,
    ),
    Case("leftovers", {}, "", "A program that was killed left these behind", "warning", arrange=_left_behind),
]
