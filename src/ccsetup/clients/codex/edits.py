"""Codex CLI: ``config.toml``, its profile files and a model catalogue in CODEX_HOME.

Every statement about the client was observed with releases 0.63 to 0.169.0 against a server on loopback.
"""

from __future__ import annotations

import os
import re
from typing import Any, Container, Mapping, Optional, cast

from ccsetup.clients.codex import facts
from ccsetup.clients.values import Files, Use, Wishes, dotted
from ccsetup.documents.edit import MISSING, KeyPath, lookup
from ccsetup.errors import CcsetupError, UsageError
from ccsetup.i18n import _
from ccsetup.model import CodexEndpoint, Version
from ccsetup.paths import Paths
from ccsetup.plan import Owned, Wish, edits
from ccsetup.profiles import Profile
from ccsetup.urls import origin


def documents(paths: Paths) -> tuple[tuple[str, str], ...]:
    return ((paths.codex_config, "toml"),)


def profile_id(profile: Profile) -> str:
    """Return the id of a profile that has settings for Codex, as it is saved beside the active one."""
    pinned = profile.parts["codex"].provider_id
    return pinned if pinned not in ("", facts.SHARED_ID) else "ccsetup-" + profile.name


def active_id(files: Files, profile: Profile, *, active: bool) -> str:
    """Return the id under which config.toml holds *profile* while it is in use: one for all, for Codex' history.

    0.134 and later lay a profile's file over config.toml key by key, and TOML cannot take a key away: so a file has
    the id of its profile.  Before, all profiles stand in config.toml.  One that is *active* under its own id, as
    earlier versions wrote it, stays so until another is used.
    """
    own = profile_id(profile)
    pinned = profile.parts["codex"].provider_id not in ("", facts.SHARED_ID)
    former = active and lookup(files.get(files.paths.codex_config), ("model_provider",)) == own
    return own if pinned or former or files.version < facts.PROFILE_FILES else facts.SHARED_ID


def free_id(profile: str, taken: Container[str]) -> str:
    """Return an id for *profile* that is not among *taken*."""
    own = "ccsetup-" + profile
    return next(i for i in (own, *(f"{own}-{n}" for n in range(2, 9999))) if i not in taken)


def check_provider_id(name: str) -> None:
    """Raise UsageError when Codex would refuse *name* as a provider id."""
    if name in facts.TAKEN_IDS or not re.match(facts.PROVIDER_ID, name):
        raise UsageError(
            _("'{name}' cannot be a provider id in Codex: it is reserved or has other characters.").format(name=name),
            hint=_("Give another one with --provider-id, for example ccsetup-{name}.").format(
                name=re.sub(r"[^A-Za-z0-9_-]", "-", name) or "x"
            ),
        )


def use(files: Files, use: Use, id_: str = "") -> Wishes:
    """Select the provider at the top of config.toml, as *id_*: Codex 0.134 and later has no other default."""
    data = files.get(files.paths.codex_config)
    id_ = id_ or active_id(files, use.profile, active=use.active)
    want = _selection(files, use, data, id_, explicit=False)
    table = ("model_providers", id_)
    provider = _provider(files, use)
    if files.version < facts.PROFILE_FILES:
        # ``saved`` keeps the table in config.toml for as long as the profile exists.
        return Wishes(
            (
                Wish(
                    files.paths.codex_config,
                    "toml",
                    want,
                    forced=frozenset((("model_provider",),)),
                    keep_before=_keep_before(data, want, table),
                ),
            ),
            {},
        )
    added = {k: v for k, v in _added(files, use, files.paths.codex_config, id_).items() if k not in provider}
    others = {} if _is_own(use, id_) else dict.fromkeys(lookup(data, table) or (), MISSING)
    for key, value in {**others, **_riders(data, use, id_), **added, **provider}.items():
        want[(*table, key)] = value
    return Wishes(
        (
            Wish(
                files.paths.codex_config,
                "toml",
                want,
                tables=(table,),
                free=frozenset((*table, k) for k in added),
                forced=frozenset((("model_provider",), *((*table, k) for k in _CREDENTIALS))),
                keep_before=_keep_before(data, want, table),
            ),
        ),
        {},
    )


_CREDENTIALS = (*facts.CREDENTIAL_KEYS, "env_key_instructions")


def _is_own(use: Use, id_: str) -> bool:
    """Tell whether the table *id_* in config.toml is of this profile, and not of the one that is in use."""
    return id_ != facts.SHARED_ID or use.active


def _riders(data: Any, use: Use, id_: str) -> dict[str, Any]:
    """Return what has to go from the provider's table in *data*: what was added for another host than the profile's."""
    table = lookup(data, ("model_providers", id_))
    return dict.fromkeys(facts.RIDERS, MISSING) if is_elsewhere(table, use) else {"requires_openai_auth": MISSING}


def _added(files: Files, use: Use, path: str, id_: str) -> dict[str, Any]:
    """Return what the user added to the provider's tables elsewhere, for the table *id_* in the file at *path*.

    What stands in config.toml goes first: that is the table of the active profile, which people edit.
    """
    config = files.paths.codex_config
    if path == config and _is_own(use, id_) and lookup(files.get(path), ("model_providers", id_)) is not MISSING:
        return {}
    ids = [facts.SHARED_ID] if use.active else []
    places = [(config, i) for i in (*ids, profile_id(use.profile))]
    if path == config:
        places.append((files.paths.codex_profile(use.profile.name), profile_id(use.profile)))
    for place, other_id in places:
        other = lookup(files.get(place), ("model_providers", other_id))
        if isinstance(other, dict):
            return {} if is_elsewhere(other, use) else additions(other)
    return {}


def additions(table: Any) -> dict[str, Any]:
    """Return what a user added to a provider's *table* that is ours."""
    if not isinstance(table, dict):
        return {}
    ours = ("name", "base_url", "wire_api", "requires_openai_auth", *_CREDENTIALS)
    return {k: v for k, v in table.items() if k not in ours}


def is_elsewhere(table: Any, use: Use) -> bool:
    """Tell whether the provider's *table* leads to another host than the profile."""
    url = table.get("base_url") if isinstance(table, dict) else None
    return isinstance(url, str) and origin(url) != origin(cast(CodexEndpoint, use.endpoint).base_url)


def _provider(files: Files, use: Use) -> dict[str, Any]:
    """Return the table ``[model_providers.<id>]``.

    ``name`` must not be empty and never "OpenAI" or "Azure" (these switch on OpenAI-only compaction);
    without ``base_url`` the key would go to api.openai.com.
    """
    endpoint = cast(CodexEndpoint, use.endpoint)
    check_provider_id(profile_id(use.profile))
    if endpoint.wire == "chat" and files.version >= facts.CHAT_REMOVED:
        raise CcsetupError(
            _(
                "{provider} offers Codex only Chat Completions, and Codex {since} and later speak only Responses."
            ).format(provider=use.preset.name, since=dotted(facts.CHAT_REMOVED))
            + (" " + endpoint.reason if endpoint.reason else ""),
            hint=_(
                "Have the relay translate for it: ccsetup init -p {provider} -k KEY -T codex --via-relay; or use the "
                "provider with Claude Code (-T claude-code) if it is listed for it."
            ).format(provider=use.preset.id),
        )
    table: dict[str, Any] = {
        "name": f"{use.preset.name} (ccsetup)",
        "base_url": endpoint.base_url,
        "wire_api": endpoint.wire,
        "experimental_bearer_token": MISSING,
        "env_key": MISSING,
        "env_key_instructions": MISSING,
        "auth": MISSING,
        **{k: v for k, v in endpoint.settings.items() if k in facts.SETTABLE},
    }
    storage = use.profile.key_storage
    if storage == "inline":
        assert use.key is not None
        table["experimental_bearer_token"] = use.key
    elif storage in ("command", "keyring"):
        if files.oldest < facts.AUTH_COMMAND:
            raise UsageError(
                _("Codex {version} cannot read a key from a command; {since} and later can.").format(
                    version=dotted(files.oldest), since=dotted(facts.AUTH_COMMAND)
                ),
                hint=_("Use --key-storage inline or env, or update Codex."),
            )
        # Codex runs it in the workspace folder, so paths in it have to be absolute.
        table["auth"] = {"command": use.reader[0], "args": list(use.reader[1:])}
    else:
        table["env_key"] = use.profile.key_env
        table["env_key_instructions"] = (
            _("Export {name} with the key of {provider}.").format(name=use.profile.key_env, provider=use.preset.name)
            if storage == "env"
            else _("The key belongs into {file} as {name}.").format(
                file=files.paths.short(files.paths.codex_dotenv), name=use.profile.key_env
            )
        )
    return table


def _selection(files: Files, use: Use, data: Any, id_: str, *, explicit: bool) -> dict[KeyPath, Any]:
    """Return the top-level keys that select the provider.

    With *explicit* every key that another profile may have set is given a value of its own: a profile file
    lies over config.toml and cannot take a key away.
    """
    from ccsetup.clients.codex import catalog

    endpoint = cast(CodexEndpoint, use.endpoint)
    want: dict[KeyPath, Any] = {
        ("model",): endpoint.model,
        ("model_provider",): id_,
    }
    if endpoint.catalog and files.version >= facts.CATALOG:
        want[("model_catalog_json",)] = _former_catalog(files, use) or catalog.name(catalog.text(use, files.oldest))
    if endpoint.context_window and files.oldest < facts.CATALOG:
        want[("model_context_window",)] = endpoint.context_window
    if not endpoint.catalog and not explicit:
        want[("model_catalog_json",)] = MISSING  # another provider's catalogue would hide the bundled models
    if endpoint.web_search:
        want[("web_search",)] = endpoint.web_search
    elif explicit:
        want[("web_search",)] = "cached"
    agents = ("agents", "enabled") if files.oldest >= facts.AGENTS_TABLE else ("features", "multi_agent")
    if not endpoint.extra_tools:
        want[agents] = False
    elif explicit and files.version >= facts.PROFILE_FILES:
        want[agents] = True
    if not endpoint.extra_tools and files.version >= facts.TUI_SERVER and not explicit:
        # The terminal interface adds a namespace tool under this name unless it is switched off like this.
        want[("mcp_servers", "codex_tui", "command")] = "true"
        want[("mcp_servers", "codex_tui", "enabled")] = False
    effort = lookup(data, ("model_reasoning_effort",))
    known = catalog.efforts(catalog.main_model(use).efforts, files.oldest)
    if known and effort not in known:
        # The provider would answer 400.  Wanted also where it is gone already: else the next run would put it back.
        want[("model_reasoning_effort",)] = MISSING
    if explicit and endpoint.default_effort in known:
        want[("model_reasoning_effort",)] = endpoint.default_effort
    want.update({(k,): v for k, v in endpoint.settings.items() if k in facts.SETTABLE_TOP})
    return want


def _former_catalog(files: Files, use: Use) -> str:
    """Return the catalogue that earlier versions called by the profile, where its own settings name that; else ""."""
    name, former = use.profile.name, f"ccsetup-{use.profile.name}.models.json"
    if files.version >= facts.PROFILE_FILES:
        named = lookup(files.get(files.paths.codex_profile(name)), ("model_catalog_json",))
    else:
        named = lookup(files.get(files.paths.codex_config), ("profiles", name, "model_catalog_json"))
    return former if named == former else ""


def is_official(data: Any) -> bool:
    provider = lookup(data, ("model_provider",))
    return provider is MISSING or provider == "openai"


def _keep_before(data: Any, want: Mapping[KeyPath, Any], table: KeyPath) -> frozenset[KeyPath]:
    """Return the keys whose former values come back later: the user's own state, never another provider's."""
    keep = {p for p in want if p[: len(table)] != table}
    if not is_official(data):
        keep -= {("model",), ("model_provider",), ("model_catalog_json",), ("model_context_window",)}
    return frozenset(keep)


def official(files: Files, owned: Mapping[str, tuple[Owned, ...]]) -> Wishes:
    """Select no provider: Codex uses its own login (auth.json, which is not touched)."""
    data = files.get(files.paths.codex_config)
    mine = {o.path for o in owned.get(files.paths.codex_config, ())}
    want: dict[KeyPath, Any] = {}
    if not is_official(data) and ("model_provider",) not in mine:
        # With a catalogue of the provider's models Codex asks its own account for them.
        want = {(k,): MISSING for k in ("model_provider", "model", "model_catalog_json") if (k,) not in mine}
    return Wishes((Wish(files.paths.codex_config, "toml", want, forced=frozenset((("model_provider",),))),), {})


def saved_paths(paths: Paths, profile: str, version: Version) -> tuple[tuple[str, str], ...]:
    return ((paths.codex_profile(profile), "toml"),) if version >= facts.PROFILE_FILES else ()


def saved(files: Files, use: Use) -> Wishes:
    """Write what ``codex --profile NAME`` needs, whichever profile is active, and the model catalogue.

    0.134 and later lay ``NAME.config.toml`` over config.toml; before that the profile is a table in it.
    """
    from ccsetup.clients.codex import catalog

    endpoint = cast(CodexEndpoint, use.endpoint)
    profile = use.profile.name
    id_ = profile_id(use.profile)
    provider = ("model_providers", id_)
    want = _selection(files, use, {}, id_, explicit=True)
    pointer: KeyPath = ("model_catalog_json",)
    tables: tuple[KeyPath, ...]
    if files.version >= facts.PROFILE_FILES:
        path, tables = files.paths.codex_profile(profile), (provider,)
    else:
        path, tables = files.paths.codex_config, (("profiles", profile), provider)
        want = {("profiles", profile, *p): v for p, v in want.items() if p in facts.OLD_PROFILE_KEYS}
        pointer = ("profiles", profile, *pointer)
    own = _provider(files, use)
    added = {k: v for k, v in _added(files, use, path, id_).items() if k not in own}
    for key, value in {**_riders(files.get(path), use, id_), **added, **own}.items():
        want[(*provider, key)] = value
    whole: dict[str, Optional[str]] = {}
    if pointer in want and endpoint.catalog:
        text = catalog.text(use, files.oldest)
        differs, _now, _by_hand = edits(files.get(path), Wish(path, "toml", want), ())
        if differs:  # what is written anyway names the shared one from now on
            want[pointer] = catalog.name(text)
        whole[os.path.join(files.paths.codex_home, want[pointer])] = text
    return Wishes(
        (
            Wish(
                path,
                "toml",
                want,
                tables=tables,
                free=frozenset((*provider, k) for k in added),
                forced=frozenset((("model_provider",), *((*provider, k) for k in _CREDENTIALS))),
            ),
        ),
        whole,
    )


def effective(files: Files, profile: str = "") -> tuple[str, Any]:
    """Return the provider that Codex uses, for *profile* with ``--profile``, and its table as it reads it.

    MISSING for a table that is not there, or a profile that it does not find.  0.134 and later lay the profile's file
    over config.toml, tables key by key, and stop where config.toml has a table of the profile's name.
    """
    data = files.get(files.paths.codex_config)
    named = MISSING
    if profile and files.version >= facts.PROFILE_FILES:
        over = files.get(files.paths.codex_profile(profile))
        if not over or lookup(data, ("profiles", profile)) is not MISSING:
            return "", MISSING
        data = merged(data, over)
    elif profile:
        table = lookup(data, ("profiles", profile))
        if not isinstance(table, dict):
            return "", MISSING
        named = table.get("model_provider", MISSING)
    name = lookup(data, ("model_provider",)) if named is MISSING else named
    return (name, lookup(data, ("model_providers", name))) if isinstance(name, str) else ("", MISSING)


def merged(below: Any, over: Any) -> Any:
    if not isinstance(below, dict) or not isinstance(over, dict):
        return over
    return {**below, **{k: merged(below.get(k), v) for k, v in over.items()}}


def is_saved(files: Files, profile: Profile) -> bool:
    """Tell whether ``codex --profile`` finds *profile* with its provider, in the form that this version reads."""
    name, table = effective(files, profile.name)
    return name == profile_id(profile) and isinstance(table, dict)


def has_trace(files: Files, profile: Profile) -> bool:
    """Tell whether *profile* was saved for Codex here, in the form of whichever version."""
    places = ((files.paths.codex_config, ("profiles", profile.name)), (files.paths.codex_profile(profile.name), ()))
    return any(lookup(files.get(f), (*p, "model_provider")) == profile_id(profile) for f, p in places)


def is_mixed(files: Files, use: Use, *, profile: bool) -> bool:
    """Tell whether Codex reads another address or another kind of credential than the profile's.

    Then it sends the key of one profile to the address of another.  With *profile* as ``codex --profile`` reads it.
    """
    name, table = effective(files, use.profile.name if profile else "")
    ids = (profile_id(use.profile), *(() if profile else (facts.SHARED_ID,)))
    if name not in ids or not isinstance(table, dict):
        return False
    wanted = _provider(files, use)
    if table.get("base_url") != wanted["base_url"]:
        return True
    kinds = facts.CREDENTIAL_KEYS
    if (
        any((k in table) != (wanted[k] is not MISSING) for k in kinds)
        or table.get("env_key", MISSING) != wanted["env_key"]
    ):
        return True
    below = lookup(files.get(files.paths.codex_config), ("model_providers", name))
    return profile and is_elsewhere(below, use) and any(k in below for k in facts.RIDERS)


def leaks(config: Any, over: Any) -> list[tuple[str, list[str]]]:
    """Return the providers of which a profile file *over* inherits a credential for another address, and its keys.

    0.134 and later merge the tables of config.toml and of the file key by key.  At the same host that is meant so,
    unless the file has a credential of its own, which the inherited one beats.
    """
    out = []
    tables = lookup(over, ("model_providers",))
    for id_, table in tables.items() if isinstance(tables, dict) else ():
        below = lookup(config, ("model_providers", id_))
        if not isinstance(table, dict) or not isinstance(below, dict):
            continue
        url, other = table.get("base_url"), below.get("base_url")
        if not isinstance(url, str) or not isinstance(other, str) or url.rstrip("/") == other.rstrip("/"):
            continue
        kinds = facts.CREDENTIAL_KEYS
        left = [k for k in (*kinds, *facts.RIDERS) if not _covers(table.get(k), below.get(k))]
        if "env_key" in table and "experimental_bearer_token" in left:
            left.remove("experimental_bearer_token")  # env_key beats it
        if origin(url) == origin(other) and not any(table.get(k) for k in kinds):
            continue
        if left:
            out.append((id_, left))
    return out


def leak_text(profile: str, id_: str, keys: list[str]) -> str:
    return _("'codex --profile {name}' sends {keys} of provider '{id}' in config.toml to another address.").format(
        name=profile, keys=", ".join(keys), id=id_
    )


def _covers(over: Any, below: Any) -> bool:
    """Tell whether nothing of *below* is left where *over* lies on it."""
    if isinstance(below, dict) and isinstance(over, dict):
        return all(k in over for k in below)
    return not below or over is not None


def matches(files: Files, use: Use) -> bool:
    endpoint = cast(CodexEndpoint, use.endpoint)
    data = files.get(files.paths.codex_config)
    name = lookup(data, ("model_provider",))
    if name not in (profile_id(use.profile), facts.SHARED_ID):
        return False
    table = lookup(data, ("model_providers", name))
    if not isinstance(table, dict) or table.get("base_url") != endpoint.base_url:
        return False
    if use.profile.key_storage == "inline":
        return use.key is not None and table.get("experimental_bearer_token") == use.key.reveal()
    if use.profile.key_storage in ("command", "keyring"):
        return isinstance(table.get("auth"), dict)
    return bool(table.get("env_key") == use.profile.key_env)
