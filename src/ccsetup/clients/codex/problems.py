"""What is wrong with Codex' settings, each with what to do and, where that is certain, its repair.

Every consequence was observed with releases 0.63 to 0.171.0.  What keeps Codex from starting is in ``stops``.
"""

from __future__ import annotations

import os
import re
from typing import Any, Collection, Iterator, Mapping, Optional

from ccsetup import urls
from ccsetup.clients import recognise as known
from ccsetup.clients.codex import edits as codex
from ccsetup.clients.codex import facts
from ccsetup.clients.codex.stops import CodexStop, stops
from ccsetup.clients.house import Edits, Finding, House, Judgement, Level, as_text
from ccsetup.documents.edit import MISSING, Edit, KeyPath, Set, Unset, lookup
from ccsetup.i18n import _


def at_key(house: House, level: Level, key: KeyPath, text: str, fix: str, *edits: Edit) -> Finding:
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


def stop_found(house: House, stop: CodexStop) -> Finding:
    return at_key(house, "stops", stop.key, stop.text, stop.fix, *stop.edits)


def types(house: House) -> Iterator[Finding]:
    for stop in stopping(house, "codex-types"):
        yield stop_found(house, stop)


def pointers(house: House) -> Iterator[Finding]:
    for stop in stopping(house, "codex-files"):
        yield stop_found(house, stop)


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
            yield at_key(house, "stops", stop.key, stop.text, fix.format(provider=place.preset.name), *edits)
            continue
        if endpoint is None or place is None:
            yield stop_found(house, stop)
            continue
        if endpoint.base_url != as_text(table.get("base_url")).rstrip("/"):
            edits.append(Set((*here, "base_url"), endpoint.base_url))
        if name == selected(house):
            model = as_text(house.codex.get("model"))
            better = known.successor(place.preset, model)[0] or (model or endpoint.model)
            if better and better != model:
                edits.append(Set(("model",), better))
        fix = _('Change it to "responses" at {url}.').format(url=endpoint.base_url)
        yield at_key(house, "stops", stop.key, stop.text, fix, *edits)


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
            yield stop_found(house, stop)
            continue
        edits = [*stop.edits, *(Set(p, v) for p, v in _leaves(table))]
        moved = _moved(house, str(chosen), table)
        fix = _("Copy what profile '{name}' says to the top of the file.").format(name=chosen)
        if moved is not None:
            fix = _("Copy '{name}' to the top; move it to {file}.").format(
                name=chosen, file=house.paths.short(house.paths.codex_profile(str(chosen)))
            )
        finding = at_key(house, "stops", stop.key, stop.text, fix, *edits)
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
        yield at_key(house, "warning", key, text, fix)._replace(repairs=moved or ())


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
        finding = at_key(house, "stops", here, stop.text, _("Rename it to '{name}'.").format(name=new), *edits)
        others = tuple(
            Edits(p, "toml", (Set(("model_provider",), new),))
            for p in house.names(house.paths.codex_home, ".config.toml")
            if house.data(p, "toml").get("model_provider") == name
        )
        yield finding._replace(repairs=(*finding.repairs, *others))


def fields(house: House) -> Iterator[Finding]:
    for stop in stopping(house, "codex-fields"):
        yield stop_found(house, stop)
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
                yield at_key(house, "warning", (*here, "name"), text, fix, Set((*here, "name"), new))
        if not as_text(table.get("base_url")):
            preset = next((p for p in house.presets if p.id in (name, name.removeprefix("ccsetup-"))), None)
            endpoint = known.codex_endpoint(known.Place(preset, preset.regions[0], None)) if preset else None
            text = _("Provider '{name}' has no base_url: its key is sent to api.openai.com.").format(name=name)
            level: Level = "problem" if active(house, name) else "warning"
            if endpoint is not None and endpoint.base_url:
                fix = _("Set it to {url}.").format(url=endpoint.base_url)
                yield at_key(house, level, here, text, fix, Set((*here, "base_url"), endpoint.base_url))
            else:
                yield at_key(house, level, here, text, _('Add a line base_url = "https://…" to its table.'))
    name = selected(house)
    table = house.providers.get(name, {})
    if table and not house.codex.get("model"):
        place = known.place(house, as_text(table.get("base_url")), "codex")
        endpoint = known.codex_endpoint(place)
        model = as_text(table.get("model")) or (endpoint.model if endpoint else "")
        text = _("No model is set: Codex asks provider '{name}' for a model of OpenAI's.").format(name=name)
        if model:
            fix = _('Set model = "{model}".').format(model=model)
            yield at_key(house, "problem", ("model_provider",), text, fix, Set(("model",), model))
        else:
            yield at_key(house, "problem", ("model_provider",), text, _('Add a line model = "…" at the top.'))


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
            yield at_key(house, level, key, text, _("Change it to {url}.").format(url=better), Set(key, better))
            continue
        place = known.place(house, url, "codex")
        if place is None or table.get("wire_api") not in (None, "responses") or not active(house, name):
            continue
        regions = (known.Place(place.preset, r, None) for r in place.preset.regions)
        if not any(known.codex_endpoint(r) for r in regions):
            text = _("{provider} has no endpoint that Codex can speak to.").format(provider=place.preset.name)
            fix = _("Use another provider: ccsetup init -T codex -p PROVIDER -k KEY")
            yield at_key(house, "problem", ("model_providers", name, "base_url"), text, fix)


def provider(house: House) -> Iterator[Finding]:
    for stop in stopping(house, "codex-provider"):
        saved = next((p for p in house.profiles if selected(house) == "ccsetup-" + p), "")
        if selected(house) == facts.SHARED_ID and house.profiles:
            saved = "NAME"
        if saved and not stop.edits:
            stop = stop._replace(fix=_("Run: ccsetup config-switch {name} -T codex").format(name=saved))
        yield stop_found(house, stop)


def ignored(house: House) -> Iterator[Finding]:
    if house.version("codex") < facts.IGNORED_TOLD:
        return
    keys: list[KeyPath] = [(n,) for n in facts.IGNORED if n in house.codex]
    for name, table in house.providers.items():
        keys += [("model_providers", name, n) for n in facts.IGNORED_IN_PROVIDER if n in table]
    if keys:
        shown = ", ".join(k[-1] for k in keys)
        text = _("Codex warns at every start that it ignores: {names}").format(names=shown)
        yield at_key(house, "warning", keys[0], text, _("Take them out."), *(Unset(k) for k in keys))


def legacy(house: House) -> Iterator[Finding]:
    for name, table in house.providers.items():
        url = as_text(table.get("base_url"))
        place = known.place(house, url, "codex")
        if place is None:
            continue
        endpoint = known.codex_endpoint(place)
        # A provider that is to change from chat is moved by that repair.
        if place.legacy is not None and endpoint is not None and table.get("wire_api") in (None, "responses"):
            yield at_key(
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
            yield at_key(house, "warning", ("model",), text, fix, Set(("model",), better))


def selected_url(house: House) -> Optional[str]:
    return as_text(lookup(house.codex, ("model_providers", selected(house), "base_url"))) or None
