"""Repairs on documents of every shape: nothing fails, and what is repaired stays so."""

from __future__ import annotations

import json
import os
from typing import Any, Optional

import tomlkit
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ccsetup import paths, presets
from ccsetup.change.draft import Draft
from ccsetup.clients import CLIENTS
from ccsetup.clients.house import Facts, RelayState
from ccsetup.doctor import repair
from ccsetup.doctor.checks import examine

HOME = "/nowhere/home"
PRESETS = [presets.load(name) for name in presets.ids()]

URLS = st.sampled_from(
    [
        "https://open.bigmodel.cn/api/anthropic",
        "https://openrouter.ai/api/v1",
        "https://api.minimaxi.com/anthropic",
        "",
        "https://api.z.ai/api/coding/paas/v4",
        "https://x.example/v1/responses",
        "http://127.0.0.1:99/v1",
        "nonsense",
        "https://integrate.api.nvidia.com/v1",
        "https://api.openai.com/v1",
        "http://[::1",
        "https://api.anthropic.com",
    ]
)
ODD = st.sampled_from([None, 5, True, [], {}, "x", "", "false", "30", [1], {"a": 1}])
KEYS = st.sampled_from(["sk-0123456789abcdefghij", "", "k", 5, None])
MODELS = st.sampled_from(["glm-4.5", "MiniMax-M2", "own", "", 5])


def maybe(name: str, values: Any) -> Any:
    return st.one_of(st.just({}), values.map(lambda v: {name: v}), st.one_of(values, ODD).map(lambda v: {name: v}))


def merged(*parts: Any) -> Any:
    return st.tuples(*parts).map(lambda found: {k: v for part in found for k, v in part.items()})


ENV = merged(
    maybe("ANTHROPIC_BASE_URL", URLS),
    maybe("ANTHROPIC_AUTH_TOKEN", KEYS),
    maybe("ANTHROPIC_API_KEY", KEYS),
    maybe("ANTHROPIC_MODEL", MODELS),
    maybe("ANTHROPIC_DEFAULT_HAIKU_MODEL", MODELS),
    maybe("CLAUDE_CONFIG_DIR", ODD),
    maybe("CLAUDE_CODE_USE_BEDROCK", ODD),
    maybe("HTTPS_PROXY", st.just("http://127.0.0.1:8")),
)
SETTINGS = merged(
    maybe("env", ENV),
    maybe("apiKeyHelper", KEYS),
    maybe("model", MODELS),
    maybe("permissions", maybe("allow", ODD)),
    maybe("includeCoAuthoredBy", ODD),
    maybe("cleanupPeriodDays", ODD),
)
CLAUDE_JSON = merged(
    maybe("hasCompletedOnboarding", ODD),
    maybe("primaryApiKey", KEYS),
    maybe("mcpServers", ODD),
    maybe(
        "customApiKeyResponses", merged(maybe("approved", ODD), maybe("rejected", st.just(["0123456789abcdefghij"])))
    ),
)
PROVIDER = merged(
    maybe("name", st.sampled_from(["A", "OpenAI", "azure", ""])),
    maybe("base_url", URLS),
    maybe("wire_api", st.sampled_from(["chat", "responses", "Responses"])),
    maybe("env_key", st.sampled_from(["K", "SET"])),
    maybe("temp_env_key", st.sampled_from(["K", "SET", "A-B"])),
    maybe("experimental_bearer_token", KEYS),
    maybe("requires_openai_auth", st.booleans()),
    maybe("auth", st.just({"command": "x"})),
    maybe("model", MODELS),
    maybe("http_headers", st.just({"a.b": "c"})),
)
NAMES = st.sampled_from(["openai", "mine", "Mine", "302.ai", "ollama", "openai-custom"])
CONFIG = merged(
    maybe("model", MODELS),
    maybe("model_provider", NAMES),
    maybe("profile", st.sampled_from(["p", "q.r", "gone"])),
    maybe("model_providers", st.dictionaries(NAMES, PROVIDER, max_size=3)),
    maybe("model_context_window", ODD),
    maybe(
        "profiles",
        st.dictionaries(
            st.sampled_from(["p", "q.r"]),
            merged(maybe("model", MODELS), maybe("model_provider", NAMES), maybe("features", st.just({"x": True}))),
            max_size=2,
        ),
    ),
    maybe("model_catalog_json", st.just("gone.json")),
    maybe("disable_response_storage", ODD),
    maybe("mcp_servers", ODD),
)
AUTH = merged(maybe("OPENAI_API_KEY", KEYS), maybe("mine", KEYS), maybe("K", KEYS), maybe("tokens", ODD))


def without_null(value: Any) -> Any:
    """Return *value* as TOML can hold it."""
    if isinstance(value, dict):
        return {k: without_null(v) for k, v in value.items() if v is not None}
    return value


def facts() -> Facts:
    where = paths.from_environ({"HOME": HOME, "SET": "sk-set-0123456789", "PATH": "/bin"})
    return Facts(
        paths=where,
        installed={"claude-code": (2, 1, 329), "codex": (0, 169, 0)},
        newest={name: client.newest for name, client in CLIENTS.items()},
        load_presets=lambda: PRESETS,
        tracked=lambda files: {},
        stat_mode=lambda path: 0o600,
        others=(),
        temporary=(),
        stale_locks=(),
        unfinished=(),
        damaged=(),
        daemons={},
        etc=os.path.join(HOME, "etc"),
        keyring=lambda name: None,
        relay=RelayState(lambda _url: ("", ""), lambda: ("", 0)),
    )


def planned(files: dict[str, bytes]) -> tuple[repair.Repairs, Draft]:
    draft = Draft(files.get, str)
    return repair.plan(facts(), draft), draft


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
@given(SETTINGS, CLAUDE_JSON, CONFIG, AUTH, st.booleans())
def test_any_documents(one: Any, two: Any, three: Any, four: Any, commented: bool) -> None:
    """Every repair can be carried out, the result parses, and afterwards there is nothing more to repair."""
    body = json.dumps(one, indent=2)
    files = {
        f"{HOME}/.claude/settings.json": (body.replace("{", "{ // x", 1) if commented else body).encode(),
        f"{HOME}/.claude.json": json.dumps(two).encode(),
        f"{HOME}/.codex/config.toml": tomlkit.dumps(without_null(three)).encode(),
        f"{HOME}/.codex/auth.json": json.dumps(four).encode(),
    }
    plan, draft = planned(files)
    assert not plan.failed
    after: dict[str, Optional[bytes]] = {c.path: c.after for c in draft.changes()}
    again, second = planned({**files, **after})  # type: ignore[dict-item]
    assert not again.done
    assert not second.changes()
    left = [f for o in examine(repair.view(facts(), second)) for f in o.findings]
    assert not [f for f in left if f.repairs]
