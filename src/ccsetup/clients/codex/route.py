"""Where Codex' next request goes, and which credential it carries; plain values, observed with 0.171.0."""

from __future__ import annotations

import re
from typing import Any, Collection, Iterator, Literal, Mapping, Optional

from ccsetup import urls
from ccsetup.clients.codex import facts
from ccsetup.documents.edit import KeyPath, lookup
from ccsetup.i18n import _
from ccsetup.tuples import NamedTuple

Reach = Literal["official", "local", "foreign"]


class CodexRoute(NamedTuple):
    provider: str
    """The id that is selected; "" for Codex' own provider."""
    table: Optional[Mapping[str, Any]]
    """Its table, as Codex reads it; None where there is none."""
    url: str
    """"": Codex' own address."""
    credential: str
    """Key of the table that decides (``env_key``, ``http_headers``, …), ``login``, ``CODEX_API_KEY``,
    ``OPENAI_API_KEY`` (of auth.json), ``keyring`` for whatever is there, or "" for none."""


class LoginLeak(NamedTuple):
    """A setting that sends the ChatGPT login to another address than OpenAI's."""

    key: KeyPath
    url: str
    local: bool
    """It stays on this machine: a relay, for example."""
    certain: bool = True
    """False: a login may be in the keyring, which is not asked."""

    @property
    def text(self) -> str:
        if not self.certain:
            said = _("If a ChatGPT login is in the keyring, where Codex looks for it, {key} sends it to {url}.")
        elif self.local:
            said = _("{key} sends your ChatGPT login to a program on this machine ({url}).")
        else:
            said = _("{key} sends your ChatGPT login to a third party ({url}).")
        return said.format(key=self.key[-1], url=urls.origin(self.url) or "?")


def has_login(auth: Mapping[str, Any]) -> bool:
    """Tell whether Codex uses the ChatGPT tokens of auth.json: ``auth_mode`` decides, without it a key goes first."""
    mode = auth.get("auth_mode")
    if mode not in (None, "apikey", "chatgpt", "chatgptAuthTokens"):
        return False  # with another word Codex reads nothing of the file
    return bool(lookup(auth, ("tokens", "access_token")) and (mode != "apikey" if mode else not api_key(auth)))


def api_key(auth: Mapping[str, Any]) -> str:
    """Return the key that Codex takes from auth.json, or ""."""
    key = auth.get("OPENAI_API_KEY")
    return key if isinstance(key, str) and key.strip() and auth.get("auth_mode") in (None, "apikey") else ""


def stored(data: Mapping[str, Any], auth: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return *auth*, or {} where *data* has Codex keep its login elsewhere: then it does not read auth.json."""
    return {} if data.get("cli_auth_credentials_store") in ("keyring", "ephemeral") else auth


def in_keyring(data: Mapping[str, Any]) -> bool:
    """Tell whether Codex looks for its login in the system's keyring.

    With ``auto``, auth.json counts where the keyring holds nothing, or is not there (observed with 0.133 to 0.171).
    """
    return data.get("cli_auth_credentials_store") in ("keyring", "auto")


def route(data: Mapping[str, Any], auth: Mapping[str, Any], environ: Mapping[str, str]) -> CodexRoute:
    """Return the way of the next request by *data* (config.toml, merged), *auth* (auth.json) and the variables."""
    auth = stored(data, auth)
    name = data.get("model_provider")
    if not isinstance(name, str) or name in ("", "openai"):
        url = data.get("openai_base_url")
        name, table = "", {"requires_openai_auth": True}
    else:
        table = lookup(data, ("model_providers", name))
        if not isinstance(table, dict):
            return CodexRoute(name, None, "", "")
        url = table.get("base_url")
    kind = credential(table, auth, environ)
    if not kind and table.get("requires_openai_auth") is True and in_keyring(data):
        kind = "keyring"
    return CodexRoute(name, table, url if isinstance(url, str) else "", kind)


def credential(table: Mapping[str, Any], auth: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    """Return the kind of credential that goes with provider *table*, as ``CodexRoute.credential`` names it."""
    for key in ("auth", "env_key", "experimental_bearer_token"):
        if table.get(key) or (key == "env_key" and key in table):  # "" is the name of a variable, which is never set
            return key
    if table.get("requires_openai_auth") is True:
        # CODEX_API_KEY beats a login with ``codex exec`` alone: the terminal interface sends the login.
        if has_login(auth):
            return "login"
        if environ.get("CODEX_API_KEY"):
            return "CODEX_API_KEY"
        if api_key(auth):
            return "OPENAI_API_KEY"
    for key in ("http_headers", "env_http_headers"):
        headers = table.get(key)
        for header, value in headers.items() if isinstance(headers, dict) else ():
            if header.lower() in facts.CREDENTIAL_HEADERS and (
                value if key == "http_headers" else environ.get(str(value))
            ):
                return key
    return ""


def reach(url: str, managed: Collection[str] = ()) -> Reach:
    """Return who is at *url*; the addresses of the administrator (*managed*) are as official as OpenAI's."""
    host = urls.host(url).lower().removesuffix(".")
    ours = url.lower().startswith("https://") and re.search(r"(^|\.)openai\.com\Z|(^|\.)chatgpt\.com\Z", host)
    if not url or url.rstrip("/") in managed or ours:
        return "official"
    return "local" if urls.is_loopback(url) else "foreign"


def addresses(*managed: Mapping[str, Any]) -> frozenset[str]:
    """Return the addresses that the administrator's files set."""
    found: list[Any] = []
    for data in managed:
        tables = data.get("model_providers")
        found += [data.get(k) for k in facts.OWN_ADDRESSES]
        found += [t.get("base_url") for t in (tables.values() if isinstance(tables, dict) else ()) if _is_table(t)]
    return frozenset(u.rstrip("/") for u in found if isinstance(u, str))


def leaks(data: Mapping[str, Any], auth: Mapping[str, Any], managed: Collection[str] = ()) -> Iterator[LoginLeak]:
    """Yield each setting of *data* that sends a ChatGPT login elsewhere, also of providers that are not selected."""
    certain = has_login(auth := stored(data, auth))
    if not certain:
        if not in_keyring(data):
            return
        auth = {"tokens": {"access_token": "?"}}
    tables = data.get("model_providers")
    places: list[tuple[KeyPath, Any]] = [((k,), data.get(k)) for k in facts.OWN_ADDRESSES]
    for name, table in tables.items() if isinstance(tables, dict) else ():
        if _is_table(table) and credential(table, auth, {}) == "login":
            places.append((("model_providers", name, "requires_openai_auth"), table.get("base_url")))
    for key, url in places:
        if isinstance(url, str) and (who := reach(url, managed)) != "official":
            yield LoginLeak(key, url, who == "local", certain)


def is_of(leak: LoginLeak, way: CodexRoute) -> bool:
    """Tell whether *leak* happens with the next request, *way*, or whatever that is."""
    if leak.key[0] == "model_providers":
        return leak.key[1] == way.provider
    return leak.key == ("chatgpt_base_url",) or not way.provider


def _is_table(value: Any) -> bool:
    return isinstance(value, dict)
