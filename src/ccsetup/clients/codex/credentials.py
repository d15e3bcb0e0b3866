"""Where Codex has the key of each provider from: the problems that ``doctor`` finds there, and what becomes of each."""

from __future__ import annotations

import os
from typing import Any, Iterator, Mapping, Optional

from ccsetup import keys, profiles, urls
from ccsetup.clients.codex import endpoints, facts, route
from ccsetup.clients.codex.problems import active, at_key, stop_found, stopping
from ccsetup.clients.house import Edits, Finding, House, Level, Whole, as_text
from ccsetup.documents.edit import Edit, Set, Unset, lookup
from ccsetup.errors import CcsetupError
from ccsetup.i18n import _


def temp_env_key(house: House) -> Iterator[Finding]:
    for name, table in house.providers.items():
        variable = as_text(table.get("temp_env_key"))
        if "temp_env_key" not in table:
            continue
        here = ("model_providers", name)
        key = (*here, "temp_env_key")
        gone = Unset(key)
        if any(table.get(k) for k in facts.CREDENTIAL_KEYS):
            text = _("Codex ignores temp_env_key in provider '{name}'.").format(name=name)
            yield at_key(house, "warning", key, text, _("Take it out."), gone)
            continue
        text = _("Codex ignores temp_env_key: provider '{name}' is used without a key.").format(name=name)
        if variable in environment(house):
            yield at_key(house, "problem", key, text, _("Call it env_key."), Set((*here, "env_key"), variable), gone)
            continue
        found, where = stored_key(house, name, variable)
        if found:
            fix = _("Write the key from {place} in its place.").format(place=where)
            yield at_key(house, "problem", key, text, fix, Set((*here, "experimental_bearer_token"), found), gone)
        else:
            yield at_key(
                house, "problem", key, text, _("No key is found here: ccsetup init -T codex -p PROVIDER -k KEY")
            )


def stored_key(house: House, name: str, variable: str = "") -> tuple[str, str]:
    """Return the key that somebody saved for provider *name* where Codex does not look, and the place."""
    where = house.paths.short(house.auth_path)
    for key in (name, variable):
        found = house.auth.get(key) if key else None
        if isinstance(found, str) and found.strip():
            return found.strip(), where
    url = urls.base(as_text(lookup(house.codex, ("model_providers", name, "base_url"))), "responses")
    for profile in house.profiles.values():
        if "codex" in profile.parts and house.saved_key(profile) and url and _profile_url(house, profile) == url:
            return house.saved_key(profile), _("profile '{name}'").format(name=profile.name)
    # Never OPENAI_API_KEY: it may be a real key of OpenAI's, which is not for a third party.
    return "", ""


def _profile_url(house: House, profile: profiles.Profile) -> str:
    preset = next((p for p in house.presets if p.id == profile.provider), None)
    try:
        return endpoints.endpoint(profile, preset).base_url if preset else ""
    except CcsetupError:
        return ""


def credentials(house: House) -> Iterator[Finding]:
    yield from _logins(house)
    for stop in stopping(house, "codex-credentials"):
        yield stop_found(house, stop)
    for name, table in house.providers.items():
        here = ("model_providers", name)
        level: Level = "problem" if active(house, name) else "warning"
        misplaced = _misplaced(house, name, table, level)
        if misplaced is not None and table.get("auth") is None:
            yield misplaced
            continue
        if table.get("auth") is not None:
            continue
        variable, token = as_text(table.get("env_key")), as_text(table.get("experimental_bearer_token"))
        if variable and not environment(house).get(variable, "").strip():
            key = (*here, "env_key")
            text = _("The variable {variable} of provider '{name}' is not set: Codex stops with an error.").format(
                variable=variable, name=name
            )
            if token:
                yield at_key(
                    house, level, key, text, _("Take env_key out; the key beside it is used then."), Unset(key)
                )
                continue
            found, where = stored_key(house, name, variable)
            if found:
                fix = _("Write the key from {place} in its place.").format(place=where)
                edits = (Set((*here, "experimental_bearer_token"), found), Unset(key))
                yield at_key(house, level, key, text, fix, *edits)
            else:
                fix = _("Run: export {name}=KEY, or write it into {file}.").format(
                    name=variable, file=house.paths.short(house.paths.codex_dotenv)
                )
                yield at_key(house, level, key, text, fix)
        elif table.get("requires_openai_auth") is True and not variable and not token:
            yield from _openai_auth(house, name, level)


def _logins(house: House) -> Iterator[Finding]:
    """What sends the ChatGPT login elsewhere; the repair ends that, and gives a provider the key it has here."""
    managed = [house.data(os.path.join(house.facts.etc, "codex", f), "toml") for f in facts.ADMINISTRATORS]
    for leak in route.leaks(house.codex, house.auth, route.addresses(*managed)):
        if leak.local or not leak.certain:
            yield at_key(house, "warning", leak.key, leak.text, _("Take {key} out.").format(key=leak.key[-1]))
            continue
        edits: list[Edit] = [Unset(leak.key)]
        fix = _("Take {key} out.").format(key=leak.key[-1])
        level: Level = "problem"
        if len(leak.key) > 1:
            name = leak.key[1]
            level = "problem" if active(house, name) else "warning"
            found, where = stored_key(house, name)
            if found:
                fix = _("Write the key from {place} in its place.").format(place=where)
                edits.append(Set((*leak.key[:-1], "experimental_bearer_token"), found))
        yield at_key(house, level, leak.key, leak.text, fix, *edits)


def _openai_auth(house: House, name: str, level: Any) -> Iterator[Finding]:
    here = ("model_providers", name)
    key = (*here, "requires_openai_auth")
    if route.credential(house.providers[name], house.auth, house.environ):
        return
    official = route.reach(as_text(house.providers[name].get("base_url"))) == "official"
    if official or route.in_keyring(house.codex):
        return  # what may be in the keyring is told of with the logins
    text = _("requires_openai_auth of provider '{name}' finds no key in auth.json: Codex asks for a login.").format(
        name=name
    )
    found, where = stored_key(house, name)
    if found:
        fix = _("Write the key from {place} in its place.").format(place=where)
        yield at_key(house, level, key, text, fix, Set((*here, "experimental_bearer_token"), found), Unset(key))
    else:
        yield at_key(house, level, key, text, _("Run: ccsetup init -T codex -p PROVIDER -k KEY"))


def auth_json(house: House) -> Iterator[Finding]:
    path = house.auth_path
    if not house.exists(path):
        return
    broken = house.broken(path, "json")
    if broken is not None:
        fix = _("Remove the file and log in again with: codex login")
        yield Finding("warning", _("Codex cannot read its login."), fix, path, broken.line)
        return
    if not house.auth and (data := house.data(path, "json")):
        import json

        fix = _("Write it as plain JSON: no comments, no byte order mark.")
        whole = Whole(path, json.dumps(data, indent=2) + "\n")
        yield Finding("warning", _("Codex cannot read its login."), fix, path, 1, (whole,))
        return
    unread = [k for k in house.auth if k not in facts.AUTH_JSON]
    kept = {k: v for k, v in house.auth.items() if k not in unread}
    empty = not any(v for k, v in kept.items() if k not in ("auth_mode", "last_refresh"))
    elsewhere = house.text(house.paths.codex_config) + house.text(house.paths.codex_dotenv)
    values = [as_text(house.auth[k]) for k in unread]
    safe = all(not v or v in elsewhere or v == kept.get("OPENAI_API_KEY") for v in values)
    if unread:
        text = _("Codex reads none of these here: {names}.").format(names=", ".join(unread)[:60])
        if empty:
            text = _("Codex takes this file for a ChatGPT login; it does not read {names}.").format(
                names=", ".join(unread)[:60]
            )
        if not safe:
            fix = _("Set the provider up with ccsetup init -T codex, then remove them: the keys are only here.")
            yield Finding("warning", text, fix, path, house.line(path, "json", (unread[0],)))
            return
        repair = Whole(path, None) if empty else Edits(path, "json", tuple(Unset((k,)) for k in unread))
        fix = _("Remove the file.") if empty else _("Take them out.")
        yield Finding("warning", text, fix, path, house.line(path, "json", (unread[0],)), (repair,))
    elif empty:
        text = _("Codex takes this file, which holds no login, for a ChatGPT login.")
        yield Finding("warning", text, _("Remove the file."), path, 1, (Whole(path, None),))


def _misplaced(house: House, name: str, table: Mapping[str, Any], level: Any) -> Optional[Finding]:
    """Return the finding of a key in the address, or where the name of a variable belongs."""
    here = ("model_providers", name)
    bearer = (*here, "experimental_bearer_token")
    url, inside = urls.without_keys(as_text(table.get("base_url")))
    variable = as_text(table.get("env_key"))
    key = keys.in_place_of_name(variable, environment(house))
    token = as_text(table.get("experimental_bearer_token"))
    if inside:
        at = (*here, "base_url")
        text = _("The address of provider '{name}' holds a key.").format(name=name)
        headers = {str(h).lower() for n in ("http_headers", "env_http_headers") for h in table.get(n) or ()}
        others = any(table.get(k) for k in ("auth", "requires_openai_auth")) or headers & {"authorization", "x-api-key"}
        if len(inside) > 1 or others or (variable and key is None) or (token and token != inside[0]):
            fix = _("Take it out by hand: the provider has another key, too.")
            return at_key(house, level, at, text, fix)
        fix = _("Move it to experimental_bearer_token.")
        return at_key(house, level, at, text, fix, Set(at, url), Set(bearer, inside[0]))
    if key is None:
        return None
    at = (*here, "env_key")
    text = _("env_key of provider '{name}' is a key, where a variable's name belongs: Codex stops with an error.")
    text = text.format(name=name)
    if token:
        return at_key(house, level, at, text, _("Take env_key out; the key beside it is used then."), Unset(at))
    return at_key(house, level, at, text, _("Move it to experimental_bearer_token."), Set(bearer, variable), Unset(at))


def environment(house: House) -> Mapping[str, str]:
    """Return the variables that Codex has: the shell's, with those of its .env over them."""
    from ccsetup.clients.codex.dotenv import read_dotenv

    return {**house.environ, **read_dotenv(house.text(house.paths.codex_dotenv), house.environ)}
