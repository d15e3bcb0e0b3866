"""Checks of what is around Claude Code's own settings: shell, folder, administrator, proxies."""

from __future__ import annotations

import os
from typing import Iterator, Optional

from ccsetup import urls
from ccsetup.clients.claude import problems as claude
from ccsetup.clients.claude.edits import BASE_URL, CREDENTIALS, MODELS, OTHER_BACKENDS, env
from ccsetup.clients.house import Address, Edits, Finding, House, as_text
from ccsetup.documents import jsondoc
from ccsetup.documents.edit import Set, lookup
from ccsetup.errors import DocumentError
from ccsetup.i18n import _

_RIDE = ("ANTHROPIC_CUSTOM_HEADERS", "ANTHROPIC_BETAS", *MODELS)


def shell(house: House) -> Iterator[Finding]:
    set_here = {n: v for n, v in house.environ.items() if v.strip()}
    own = house.settings_env
    url = claude.value(house, BASE_URL)
    if BASE_URL in set_here and BASE_URL not in own and claude.foreign(set_here[BASE_URL]):
        text = _("ANTHROPIC_BASE_URL of this shell sends Claude Code to {url}.").format(
            url=urls.host(set_here[BASE_URL])
        )
        yield Finding("warning", text, _("Run: unset {name}").format(name=BASE_URL))
    if not claude.foreign(url.text):
        names = [n for n in CREDENTIALS if n in set_here and n not in own]
        if names and not url.text:
            text = _("{names} of this shell is used instead of your login.").format(names=", ".join(names))
            yield Finding("warning", text, _("Run: unset {name}").format(name=" ".join(names)))
        return
    names = [n for n in CREDENTIALS if url.path and n in set_here and n not in own]
    if names and not any(as_text(own.get(n)) for n in CREDENTIALS) and not house.settings.get("apiKeyHelper"):
        text = _("The address is in the settings, but its key is {name} of this shell.").format(name=names[0])
        yield Finding("warning", text, _("Save both with: ccsetup init -p PROVIDER -k KEY"))
    ride = [n for n in _RIDE if n in set_here and n not in own]
    if ride:
        text = _("This shell adds to the requests: {names}").format(names=", ".join(ride))
        yield Finding("warning", text, _("Run: unset {name}").format(name=" ".join(ride)))


_INTERESTING = (BASE_URL, *CREDENTIALS, *MODELS, *OTHER_BACKENDS)


def _names(house: House, path: str) -> tuple[list[str], int]:
    """Return what a settings file sets that decides about the provider, and the first line of it."""
    try:
        data = jsondoc.parse(house.text(path)) if house.exists(path) else {}
    except DocumentError:
        return [], 0
    names = [n for n in _INTERESTING if as_text(lookup(data, ("env", n))).strip()]
    keys: list[tuple[str, ...]] = [("env", n) for n in names]
    for name in ("apiKeyHelper", "model", "forceLoginMethod"):
        if isinstance(data, dict) and as_text(data.get(name)):
            names.append(name)
            keys.append((name,))
    return names, house.line(path, "json", keys[0]) if keys else 0


def project(house: House) -> Iterator[Finding]:
    for name in ("settings.local.json", "settings.json"):
        path = os.path.join(house.paths.cwd, ".claude", name)
        if os.path.realpath(path) == os.path.realpath(house.paths.claude_settings) or not house.exists(path):
            continue
        names, line = _names(house, path)
        if not names:
            continue
        alone = BASE_URL in names and not any(n in names for n in (*CREDENTIALS, "apiKeyHelper"))
        text = (
            _("This folder sends your key to an address of its own.")
            if alone
            else _("In this folder, these win over your settings: {names}").format(names=", ".join(names))
        )
        fix = _("Remove them from the file, or work in another folder.")
        yield Finding("problem" if alone else "warning", text, fix, path, line)


def managed(house: House) -> Iterator[Finding]:
    folder = os.path.join(house.facts.etc, "claude-code")
    more = house.names(os.path.join(folder, "managed-settings.d"), ".json")
    for path in (os.path.join(folder, "managed-settings.json"), *more):
        names, line = _names(house, path)
        if names:
            text = _("The administrator sets these, and they win: {names}").format(names=", ".join(names))
            yield Finding("warning", text, _("Ask your administrator."), path, line)


def address(house: House) -> Optional[Address]:
    """Return the address in settings.json, for the check of proxies."""
    url, path = claude.value(house, BASE_URL), house.paths.claude_settings
    if not url.path:
        return None
    settings = {n: str(v) for n, v in house.settings_env.items() if isinstance(v, (str, int))}
    return Address(
        url.text,
        {**house.environ, **settings},
        (path, house.line(path, "json", env(BASE_URL))),
        _("Set {name} in the settings."),
        lambda name, value: Edits(path, "json", (Set(env(name), value),)),
    )
