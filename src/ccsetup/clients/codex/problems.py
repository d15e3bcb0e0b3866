"""What is wrong with Codex' settings, each with what to do and, where that is certain, its repair.

Every consequence was observed with releases 0.63 to 0.171.0.  What keeps Codex from starting is in ``stops``.
"""

from __future__ import annotations

import os
import re
from typing import Any, Collection, Iterator, Mapping, Optional

from ccsetup import keys, profiles, urls
from ccsetup.clients import recognise as known
from ccsetup.clients.codex import edits as codex
from ccsetup.clients.codex import endpoints, facts, route
from ccsetup.clients.codex.stops import CodexStop, stops
from ccsetup.clients.house import Edits, Finding, House, Judgement, Level, Whole, as_text
from ccsetup.documents.edit import MISSING, Edit, KeyPath, Set, Unset, lookup
from ccsetup.errors import CcsetupError
from ccsetup.i18n import _


def _at(house: House, level: Level, key: KeyPath, text: str, fix: str, *edits: Edit) -> Finding:
    path = house.paths.codex_config
    repairs = (Edits(path, "toml", edits),) if edits else ()
    return Finding(level, text, fix, path, house.line(path, "toml", key), repairs)


def selected(house: House) -> str:
    """Return the provider that Codex uses, "" for its own."""
    return as_text(house.codex.get("model_provider"))


def used_by_profiles(house: House, name: str) -> bool:
    """Tell whether a profile of Codex's selects the provider *name*."""
    tables = house.codex.get("profiles")
    if isinstance(tables, dict) and any(
        isinstance(t, dict) and t.get("model_provider") == name for t in tables.values()
    ):
        return True
    return any(
        house.data(p, "toml").get("model_provider") == name for p in house.names(house.paths.codex_home, ".config.toml")
    )


def active(house: House, name: str) -> bool:
    return name == selected(house) or used_by_profiles(house, name)


def syntax(house: House) -> Iterator[Finding]:
    path = house.paths.codex_config
    if path in house.unreadable:
        why = house.unreadable[path]
        text = _("{what}; no codex command starts.").format(what=why.short.rstrip(".。"))
        yield Finding("stops", text, why.hint, path)
        return
    broken = house.broken(path, "toml")
    said = asked(house) if broken is not None else None
    if broken is not None and said is not None and said.loads:
        fix = _("Write it as TOML 1.0: until then ccsetup changes nothing in this file.")
        yield Finding("warning", broken.message, fix, path, broken.line)
    elif broken is not None:
        yield Finding(
            "stops",
            _("{what}; no codex command starts.").format(what=broken.message.rstrip(".。")),
            _("Correct this line by hand; nothing tells for sure what was meant."),
            path,
            broken.line,
        )


def stopping(house: House, *ids: str) -> Iterator[CodexStop]:
    """Yield what keeps Codex from starting, of the checks *ids* (none given: of all)."""
    paths = house.paths
    said = asked(house)
    if said is not None and said.loads:
        return

    def read(value: str) -> Optional[str]:
        path = facts.pointed(paths.codex_home, paths.home, value)
        return house.text(path) if house.exists(path) or path in house.unreadable else None

    for stop in stops(house.codex, house.version("codex"), read=read, beside=lambda name: _is_managed(house, name)):
        if not ids or stop.id in ids:
            yield stop


def loads(house: House) -> Iterator[Finding]:
    """What the installed Codex says itself; the checks below name what is known of it."""
    said = asked(house)
    if said is None or said.loads:
        return
    text = _("Codex refuses the file, and no codex command starts: {words}").format(words=said.words)
    fix = _("Correct this line.")
    if any(True for _stop in stopping(house)) or house.broken(house.paths.codex_config, "toml"):
        fix = _("See the other findings in this file.")
    yield Finding("stops", text, fix, house.paths.codex_config, said.line)


def asked(house: House) -> Optional[Judgement]:
    """Return what the installed Codex says of config.toml as *house* has it."""
    path = house.paths.codex_config
    ask = house.facts.judges.get("codex")
    return ask(house.text(path)) if ask and house.exists(path) else None


def _is_managed(house: House, name: str) -> bool:
    """Tell whether the administrator's files define provider *name*."""
    files = (os.path.join(house.facts.etc, "codex", f) for f in facts.ADMINISTRATORS)
    tables = (house.data(f, "toml").get("model_providers") for f in files)
    return any(isinstance(t, dict) and name in t for t in tables)


def _found(house: House, stop: CodexStop) -> Finding:
    return _at(house, "stops", stop.key, stop.text, stop.fix, *stop.edits)


def types(house: House) -> Iterator[Finding]:
    for stop in stopping(house, "codex-types"):
        yield _found(house, stop)


def pointers(house: House) -> Iterator[Finding]:
    for stop in stopping(house, "codex-files"):
        yield _found(house, stop)


def wire_api(house: House) -> Iterator[Finding]:
    for stop in stopping(house, "codex-wire-api"):
        here = stop.key[:-1]
        name, table = here[-1], house.providers[here[-1]]
        place = known.place(house, as_text(table.get("base_url")), "codex")
        endpoint = known.codex_endpoint(place)
        edits = list(stop.edits)
        if place is not None and endpoint is None and table["wire_api"] == "chat":
            if active(house, name):
                fix = _("{provider} speaks only chat: use another one, ccsetup config-switch official -T codex.")
                edits = []
            else:
                fix = _("Take the table out: {provider} speaks only chat, and nothing uses it.")
                edits = [Unset(here)]
            yield _at(house, "stops", stop.key, stop.text, fix.format(provider=place.preset.name), *edits)
            continue
        if endpoint is None or place is None:
            yield _found(house, stop)
            continue
        if endpoint.base_url != as_text(table.get("base_url")).rstrip("/"):
            edits.append(Set((*here, "base_url"), endpoint.base_url))
        if name == selected(house):
            model = as_text(house.codex.get("model"))
            better = known.successor(place.preset, model)[0] or (model or endpoint.model)
            if better and better != model:
                edits.append(Set(("model",), better))
        fix = _('Change it to "responses" at {url}.').format(url=endpoint.base_url)
        yield _at(house, "stops", stop.key, stop.text, fix, *edits)


def mixed_by_hand(house: House, known: Collection[str]) -> Iterator[Finding]:
    """Profile files that nobody of ours wrote, whose provider has another address in config.toml.

    0.134 and later merge both tables, so that what config.toml alone says of the key goes to the file's address.
    """
    if house.version("codex") < facts.PROFILE_FILES:
        return
    ending = ".config.toml"
    for path in house.names(house.paths.codex_home, ending):
        name = os.path.basename(path).removesuffix(ending)
        over = house.data(path, "toml")
        for id_, left in codex.leaks(house.codex, over) if name not in known else ():
            table = over["model_providers"][id_]
            new = next(
                n for n in (f"{id_}-{name}", *(f"{id_}-{name}-{i}" for i in range(2, 99))) if n not in house.providers
            )
            edits: list[Edit] = [Unset(("model_providers", id_))]
            edits += [Set(("model_providers", new, *p), v) for p, v in _leaves(table)]
            if over.get("model_provider", house.codex.get("model_provider")) == id_:
                edits.append(Set(("model_provider",), new))
            yield Finding(
                "problem",
                codex.leak_text(name, id_, left),
                _("Rename it to '{name}'.").format(name=new),
                path,
                house.line(path, "toml", ("model_providers", id_)),
                (Edits(path, "toml", tuple(edits)),),
            )


def legacy_profile(house: House) -> Iterator[Finding]:
    tables = house.codex.get("profiles")
    tables = tables if isinstance(tables, dict) else {}
    chosen = house.codex.get("profile")
    new = house.version("codex") >= facts.PROFILE_FILES
    for stop in stopping(house, "codex-legacy-profile"):
        table = tables.get(chosen) if new else None
        if not isinstance(table, dict):
            yield _found(house, stop)
            continue
        edits = [*stop.edits, *(Set(p, v) for p, v in _leaves(table))]
        moved = _moved(house, str(chosen), table)
        fix = _("Copy what profile '{name}' says to the top of the file.").format(name=chosen)
        if moved is not None:
            fix = _("Copy '{name}' to the top; move it to {file}.").format(
                name=chosen, file=house.paths.short(house.paths.codex_profile(str(chosen)))
            )
        finding = _at(house, "stops", stop.key, stop.text, fix, *edits)
        yield finding._replace(repairs=(*finding.repairs, *(moved or ())))
    for name, table in tables.items() if new else ():
        moved = _moved(house, name, table) if isinstance(table, dict) else None
        if name == chosen and moved is not None:
            continue
        key = ("profiles", name)
        text = _("[profiles.{name}] is ignored since 0.134: 'codex -p {name}' stops.").format(name=name)
        fix = _("Move it by hand to a file with a plain name, such as ~/.codex/work.config.toml.")
        if moved is not None:
            fix = _("Move it to {file}.").format(file=house.paths.short(house.paths.codex_profile(name)))
        yield _at(house, "warning", key, text, fix)._replace(repairs=moved or ())


def _moved(house: House, name: str, table: Mapping[str, Any]) -> Optional[tuple[Edits, ...]]:
    """Return what makes ``NAME.config.toml`` of the table, or None where Codex could not read that."""
    path = house.paths.codex_profile(name)
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name) or house.broken(path, "toml") or path in house.unreadable:
        return None
    there = house.data(path, "toml")
    new = tuple(Set(p, v) for p, v in _leaves(table) if lookup(there, p) is MISSING)
    own = Edits(house.paths.codex_config, "toml", (Unset(("profiles", name), 1),))
    return (Edits(path, "toml", new), own) if new else (own,)


def _leaves(table: Mapping[str, Any], path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _leaves(value, (*path, name))
        else:
            yield (*path, name), value


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
            yield _at(house, "warning", key, text, _("Take it out."), gone)
            continue
        text = _("Codex ignores temp_env_key: provider '{name}' is used without a key.").format(name=name)
        if variable in environment(house):
            yield _at(house, "problem", key, text, _("Call it env_key."), Set((*here, "env_key"), variable), gone)
            continue
        found, where = stored_key(house, name, variable)
        if found:
            fix = _("Write the key from {place} in its place.").format(place=where)
            yield _at(house, "problem", key, text, fix, Set((*here, "experimental_bearer_token"), found), gone)
        else:
            yield _at(house, "problem", key, text, _("No key is found here: ccsetup init -T codex -p PROVIDER -k KEY"))


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


def environment(house: House) -> Mapping[str, str]:
    """Return the variables that Codex has: the shell's, with those of its .env over them."""
    from ccsetup.clients.codex.dotenv import read_dotenv

    return {**house.environ, **read_dotenv(house.text(house.paths.codex_dotenv), house.environ)}


def reserved_ids(house: House) -> Iterator[Finding]:
    for stop in stopping(house, "codex-reserved-id"):
        name, table = stop.key[1], house.providers[stop.key[1]]
        new = next(n for n in (f"{name}-{tail}" for tail in ("custom", *range(2, 99))) if n not in house.providers)
        here = ("model_providers", name)
        edits: list[Edit] = [Unset(here), *(Set(("model_providers", new, *p), v) for p, v in _leaves(table))]
        if selected(house) == name:
            edits.append(Set(("model_provider",), new))
        profiles_ = house.codex.get("profiles")
        for profile, content in profiles_.items() if isinstance(profiles_, dict) else ():
            if isinstance(content, dict) and content.get("model_provider") == name:
                edits.append(Set(("profiles", profile, "model_provider"), new))
        finding = _at(house, "stops", here, stop.text, _("Rename it to '{name}'.").format(name=new), *edits)
        others = tuple(
            Edits(p, "toml", (Set(("model_provider",), new),))
            for p in house.names(house.paths.codex_home, ".config.toml")
            if house.data(p, "toml").get("model_provider") == name
        )
        yield finding._replace(repairs=(*finding.repairs, *others))


def fields(house: House) -> Iterator[Finding]:
    for stop in stopping(house, "codex-fields"):
        yield _found(house, stop)
    for name, table in house.providers.items():
        if facts.is_built_in(name, house.version("codex")):
            continue
        here = ("model_providers", name)
        title = as_text(table.get("name"))
        if title == "OpenAI" or title.lower() == "azure":
            text = _("The name '{title}' of provider '{name}' switches on OpenAI's own compaction.").format(
                title=title, name=name
            )
            url = as_text(table.get("base_url"))
            if "api.openai.com" not in url and ".azure." not in url:
                new = f"{title} ({name})"
                fix = _("Name it '{name}'.").format(name=new)
                yield _at(house, "warning", (*here, "name"), text, fix, Set((*here, "name"), new))
        if not as_text(table.get("base_url")):
            preset = next((p for p in house.presets if p.id in (name, name.removeprefix("ccsetup-"))), None)
            endpoint = known.codex_endpoint(known.Place(preset, preset.regions[0], None)) if preset else None
            text = _("Provider '{name}' has no base_url: its key is sent to api.openai.com.").format(name=name)
            level: Level = "problem" if active(house, name) else "warning"
            if endpoint is not None and endpoint.base_url:
                fix = _("Set it to {url}.").format(url=endpoint.base_url)
                yield _at(house, level, here, text, fix, Set((*here, "base_url"), endpoint.base_url))
            else:
                yield _at(house, level, here, text, _('Add a line base_url = "https://…" to its table.'))
    name = selected(house)
    table = house.providers.get(name, {})
    if table and not house.codex.get("model"):
        place = known.place(house, as_text(table.get("base_url")), "codex")
        endpoint = known.codex_endpoint(place)
        model = as_text(table.get("model")) or (endpoint.model if endpoint else "")
        text = _("No model is set: Codex asks provider '{name}' for a model of OpenAI's.").format(name=name)
        if model:
            fix = _('Set model = "{model}".').format(model=model)
            yield _at(house, "problem", ("model_provider",), text, fix, Set(("model",), model))
        else:
            yield _at(house, "problem", ("model_provider",), text, _('Add a line model = "…" at the top.'))


def base_url(house: House) -> Iterator[Finding]:
    for name, table in house.providers.items():
        url = as_text(table.get("base_url")).strip()
        better = urls.base(url, "responses")
        if url and re.search(r"/(responses|chat/completions)/*$", url):
            key = ("model_providers", name, "base_url")
            text = _("The address of provider '{name}' names an endpoint: Codex adds /responses itself.").format(
                name=name
            )
            level: Level = "problem" if active(house, name) else "warning"
            yield _at(house, level, key, text, _("Change it to {url}.").format(url=better), Set(key, better))
            continue
        place = known.place(house, url, "codex")
        if place is None or table.get("wire_api") not in (None, "responses") or not active(house, name):
            continue
        regions = (known.Place(place.preset, r, None) for r in place.preset.regions)
        if not any(known.codex_endpoint(r) for r in regions):
            text = _("{provider} has no endpoint that Codex can speak to.").format(provider=place.preset.name)
            fix = _("Use another provider: ccsetup init -T codex -p PROVIDER -k KEY")
            yield _at(house, "problem", ("model_providers", name, "base_url"), text, fix)


def provider(house: House) -> Iterator[Finding]:
    for stop in stopping(house, "codex-provider"):
        saved = next((p for p in house.profiles if selected(house) == "ccsetup-" + p), "")
        if selected(house) == facts.SHARED_ID and house.profiles:
            saved = "NAME"
        if saved and not stop.edits:
            stop = stop._replace(fix=_("Run: ccsetup config-switch {name} -T codex").format(name=saved))
        yield _found(house, stop)


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
            return _at(house, level, at, text, fix)
        fix = _("Move it to experimental_bearer_token.")
        return _at(house, level, at, text, fix, Set(at, url), Set(bearer, inside[0]))
    if key is None:
        return None
    at = (*here, "env_key")
    text = _("env_key of provider '{name}' is a key, where a variable's name belongs: Codex stops with an error.")
    text = text.format(name=name)
    if token:
        return _at(house, level, at, text, _("Take env_key out; the key beside it is used then."), Unset(at))
    return _at(house, level, at, text, _("Move it to experimental_bearer_token."), Set(bearer, variable), Unset(at))


def credentials(house: House) -> Iterator[Finding]:
    yield from _logins(house)
    for stop in stopping(house, "codex-credentials"):
        yield _found(house, stop)
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
                yield _at(house, level, key, text, _("Take env_key out; the key beside it is used then."), Unset(key))
                continue
            found, where = stored_key(house, name, variable)
            if found:
                fix = _("Write the key from {place} in its place.").format(place=where)
                edits = (Set((*here, "experimental_bearer_token"), found), Unset(key))
                yield _at(house, level, key, text, fix, *edits)
            else:
                fix = _("Run: export {name}=KEY, or write it into {file}.").format(
                    name=variable, file=house.paths.short(house.paths.codex_dotenv)
                )
                yield _at(house, level, key, text, fix)
        elif table.get("requires_openai_auth") is True and not variable and not token:
            yield from _openai_auth(house, name, level)


def _logins(house: House) -> Iterator[Finding]:
    """What sends the ChatGPT login elsewhere; the repair ends that, and gives a provider the key it has here."""
    managed = [house.data(os.path.join(house.facts.etc, "codex", f), "toml") for f in facts.ADMINISTRATORS]
    for leak in route.leaks(house.codex, house.auth, route.addresses(*managed)):
        if leak.local or not leak.certain:
            yield _at(house, "warning", leak.key, leak.text, _("Take {key} out.").format(key=leak.key[-1]))
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
        yield _at(house, level, leak.key, leak.text, fix, *edits)


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
        yield _at(house, level, key, text, fix, Set((*here, "experimental_bearer_token"), found), Unset(key))
    else:
        yield _at(house, level, key, text, _("Run: ccsetup init -T codex -p PROVIDER -k KEY"))


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


def ignored(house: House) -> Iterator[Finding]:
    if house.version("codex") < facts.IGNORED_TOLD:
        return
    keys: list[KeyPath] = [(n,) for n in facts.IGNORED if n in house.codex]
    for name, table in house.providers.items():
        keys += [("model_providers", name, n) for n in facts.IGNORED_IN_PROVIDER if n in table]
    if keys:
        shown = ", ".join(k[-1] for k in keys)
        text = _("Codex warns at every start that it ignores: {names}").format(names=shown)
        yield _at(house, "warning", keys[0], text, _("Take them out."), *(Unset(k) for k in keys))


def legacy(house: House) -> Iterator[Finding]:
    for name, table in house.providers.items():
        url = as_text(table.get("base_url"))
        place = known.place(house, url, "codex")
        if place is None:
            continue
        endpoint = known.codex_endpoint(place)
        # A provider that is to change from chat is moved by that repair.
        if place.legacy is not None and endpoint is not None and table.get("wire_api") in (None, "responses"):
            yield _at(
                house,
                "warning" if place.legacy.still_works else "problem",
                ("model_providers", name, "base_url"),
                _("This is not {provider}'s address today: {reason}.").format(
                    provider=place.preset.name, reason=place.legacy.reason.rstrip(".。")
                ),
                _("Change it to {url}.").format(url=endpoint.base_url),
                Set(("model_providers", name, "base_url"), endpoint.base_url),
            )
        model = as_text(house.codex.get("model"))
        better, reason = known.successor(place.preset, model)
        if name == selected(house) and better:
            text = _("{provider} has newer models than {models} ({reason}).").format(
                provider=place.preset.name, models=model, reason=reason.split(";")[0]
            )
            fix = _("Change to {models}.").format(models=better)
            yield _at(house, "warning", ("model",), text, fix, Set(("model",), better))


def selected_url(house: House) -> Optional[str]:
    return as_text(lookup(house.codex, ("model_providers", selected(house), "base_url"))) or None
