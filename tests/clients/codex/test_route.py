"""Where Codex' next request goes and which credential it carries; the right values are what 0.171.0 sent."""

from __future__ import annotations

from typing import Any

import pytest

from ccsetup.clients.codex import route

TOKENS = {"access_token": "T", "refresh_token": "R"}
LOGIN = {"auth_mode": "chatgpt", "tokens": TOKENS}
THIRD = "https://third.example/v1"


def provider(url: str = THIRD, **more: Any) -> dict[str, Any]:
    return {"model_provider": "p", "model_providers": {"p": {"base_url": url, "requires_openai_auth": True, **more}}}


@pytest.mark.parametrize(
    ("auth", "expected"),
    [
        (LOGIN, "login"),
        ({**LOGIN, "OPENAI_API_KEY": "K"}, "login"),
        ({"tokens": TOKENS}, "login"),
        ({"tokens": TOKENS, "OPENAI_API_KEY": None}, "login"),
        ({"tokens": TOKENS, "OPENAI_API_KEY": "K"}, "OPENAI_API_KEY"),
        ({"auth_mode": "apikey", "tokens": TOKENS, "OPENAI_API_KEY": "K"}, "OPENAI_API_KEY"),
        ({"auth_mode": "chatgpt", "OPENAI_API_KEY": "K"}, ""),
        ({"auth_mode": "apikey", "tokens": TOKENS}, ""),
        ({"auth_mode": "chatgptAuthTokens", "tokens": TOKENS}, "login"),
        ({"auth_mode": "ChatGPT", "tokens": TOKENS}, ""),
        ({}, ""),
    ],
)
def test_the_mode_of_auth_json_decides_between_key_and_login(auth: dict[str, Any], expected: str) -> None:
    assert route.route(provider(), auth, {}).credential == expected


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ({"env_key": "P_KEY"}, "env_key"),
        ({"env_key": ""}, "env_key"),
        ({"experimental_bearer_token": "B"}, "experimental_bearer_token"),
        ({"http_headers": {"Authorization": "Bearer H"}}, "login"),
        ({"requires_openai_auth": False}, ""),
        ({"requires_openai_auth": False, "http_headers": {"API-Key": "H"}}, "http_headers"),
        ({"requires_openai_auth": False, "env_http_headers": {"x-api-key": "UNSET"}}, ""),
    ],
)
def test_what_beats_a_login(table: dict[str, Any], expected: str) -> None:
    assert route.route(provider(**table), LOGIN, {}).credential == expected


@pytest.mark.parametrize(
    ("data", "auth", "expected"),
    [
        (provider(), LOGIN, [("requires_openai_auth", False)]),
        (provider("http://127.0.0.1:9/v1"), LOGIN, [("requires_openai_auth", True)]),
        (provider("http://[::1]:9/v1"), LOGIN, [("requires_openai_auth", True)]),
        (provider("https://api.openai.com/v1"), LOGIN, []),
        (provider("https://chatgpt.com/backend-api/codex"), LOGIN, []),
        (provider("https://api.openai.com.third.example/v1"), LOGIN, [("requires_openai_auth", False)]),
        (provider("https://api.openai.com@third.example/v1"), LOGIN, [("requires_openai_auth", False)]),
        (provider("http://api.openai.com/v1"), LOGIN, [("requires_openai_auth", False)]),
        (provider("http://127.0.0.1.third.example/v1"), LOGIN, [("requires_openai_auth", False)]),
        ({**provider(), "cli_auth_credentials_store": "keyring"}, LOGIN, [("requires_openai_auth", False)]),
        ({**provider(), "cli_auth_credentials_store": "ephemeral"}, LOGIN, []),
        ({**provider(), "cli_auth_credentials_store": "auto"}, LOGIN, [("requires_openai_auth", False)]),
        (provider("https://notopenai.com/v1"), LOGIN, [("requires_openai_auth", False)]),
        (provider(env_key="P"), LOGIN, []),
        (provider(), {"OPENAI_API_KEY": "K"}, []),
        (provider("https://managed.example/v1/"), LOGIN, []),
        ({"openai_base_url": THIRD}, LOGIN, [("openai_base_url", False)]),
        ({"openai_base_url": THIRD, "model_provider": "openai"}, LOGIN, [("openai_base_url", False)]),
        ({"openai_base_url": THIRD}, {"auth_mode": "apikey", "OPENAI_API_KEY": "K"}, []),
        ({"chatgpt_base_url": THIRD}, LOGIN, [("chatgpt_base_url", False)]),
        ({"openai_base_url": "https://eu.api.openai.com/v1"}, LOGIN, []),
        ({"openai_base_url": 3}, LOGIN, []),
        ({}, LOGIN, []),
    ],
)
def test_a_login_that_goes_elsewhere_is_seen(data: Any, auth: Any, expected: list[tuple[str, bool]]) -> None:
    managed = route.addresses({"model_providers": {"m": {"base_url": "https://managed.example/v1"}}})
    found = list(route.leaks(data, auth, managed))
    assert [(leak.key[-1], leak.local) for leak in found] == expected
    assert all(leak.certain is (data.get("cli_auth_credentials_store") != "keyring") for leak in found)


def test_a_missing_table_is_neither_the_own_account_nor_an_address() -> None:
    found = route.route({"model_provider": "gone"}, LOGIN, {})
    assert (found.provider, found.table, found.url, found.credential) == ("gone", None, "", "")
