"""What is wrong with what Claude Code reads: one list, each entry with its place, what to do, and a repair where that
is certain.  ``doctor`` shows and repairs it, ``test`` says what stops the client, a switch notes what is left.

Every consequence was observed with the client.  What only the presets know of an address is in ``advice``.
"""

from __future__ import annotations

import os
from typing import Any, Callable, Iterator

from ccsetup import urls
from ccsetup.clients.claude import facts
from ccsetup.clients.claude.facts import API_KEY, AUTH_TOKEN, BASE_URL, CREDENTIALS, HELPER, env
from ccsetup.clients.claude.scopes import Held, Scope, Sources, moved_away
from ccsetup.clients.house import Edits, Finding, Level, Whole
from ccsetup.documents.edit import MISSING, Edit, KeyPath, Set, Unset, lookup
from ccsetup.i18n import _
from ccsetup.model import Auth
from ccsetup.tuples import NamedTuple


class Problem(NamedTuple):
    """An entry of the list."""

    id: str
    """The check of ``doctor`` that shows it."""
    finding: Finding
    """Level ``stops``: with these settings Claude Code reaches no provider, or not the one that they name."""


def problems(s: Sources, auth: Callable[[str], Auth | None] = lambda _url: None) -> Iterator[Problem]:
    """Yield everything that is wrong; *auth* tells which variable holds the key of an address, where that is known."""
    yield from _files(s)
    yield from _config_dir(s)
    yield from _onboarding(s)
    yield from _elsewhere(s)
    yield from _around(s)
    url = s.env(BASE_URL)
    if not url and not any(s.env(n) for n in CREDENTIALS) and not s.setting(HELPER[0]):
        return
    yield from _login_forced(s)
    yield from _trust(s)
    yield from _leads_away(s)
    yield from _credentials(s, auth)
    yield from _connection(s)
    yield from _models(s)


def at(level: Level, held: Held | Scope, text: str, fix: str, *edits: Edit, key: KeyPath = ()) -> Finding:
    """Return a finding at a value, or at *key* of a file; *edits* are made in the user's own settings only."""
    scope = held if isinstance(held, Scope) else held.scope
    if scope.kind == "managed":
        fix = _("Ask your administrator.")
    line = scope.line(*(key or (held.key if isinstance(held, Held) else ())))
    repairs = (Edits(scope.path, "json", edits),) if edits and scope.kind == "user" and not scope.odd else ()
    return Finding(level, text, fix, scope.path, line, repairs)


def _files(s: Sources) -> Iterator[Problem]:
    for scope in s.scopes:
        if scope.odd:
            text = _("{what} Claude Code reads it, and ccsetup changes nothing in it.").format(what=scope.odd)
            finding = Finding("warning", text, _("Save it as UTF-8 in your editor."), scope.path)
            yield Problem("claude-syntax", finding)
        # A project's file that is not read leaves the user's in effect; the others take something away.
        level: Level = "warning" if scope.kind == "project" else "stops"
        for wrong in scope.refusals:
            text = _("{what}: Claude Code ignores the whole file.").format(what=wrong.why)
            if wrong.fix and wrong.whole is not None:
                text = _("{what} makes Claude Code ignore the whole file.").format(what=wrong.why)
            repairs: tuple[Edits | Whole, ...] = ()
            if wrong.whole is not None:
                repairs = (Whole(scope.path, wrong.whole),)
            elif wrong.key:
                edit = Unset(wrong.key) if wrong.good is MISSING else Set(wrong.key, wrong.good)
                repairs = (Edits(scope.path, "json", (edit,)),)
            fix = _("Ask your administrator.") if scope.kind == "managed" else wrong.fix
            found = Finding(level, text, fix, scope.path, wrong.line, repairs if scope.kind == "user" else ())
            yield Problem("claude-types" if wrong.key else "claude-syntax", found)


def _config_dir(s: Sources) -> Iterator[Problem]:
    held = s.env(facts.CONFIG_DIR)
    if held and held.scope.path:
        text = _("CLAUDE_CONFIG_DIR makes Claude Code read another folder's settings.")
        yield Problem("claude-config-dir", at("problem", held, text, _("Take it out."), Unset(held.key)))
    if moved_away(s.paths):
        text = _("CLAUDE_CONFIG_DIR is set and empty: Claude Code reads settings.json in the folder it starts in.")
        finding = Finding("problem" if s.user else "stops", text, _("Run: unset {name}").format(name=facts.CONFIG_DIR))
        yield Problem("claude-config-dir", finding)


def has_provider(s: Sources) -> bool:
    """Tell whether files name an address, and a key for it."""
    credential = any((h := s.env(n)) and h.scope.path for n in CREDENTIALS)
    url = s.env(BASE_URL)
    return bool(url and url.scope.path) and bool(credential or s.setting(HELPER[0]))


def _onboarding(s: Sources) -> Iterator[Problem]:
    scope = s.claude_json
    for wrong in scope.refusals:
        text = _("The file cannot be read: Claude Code starts as if it were new, and asks everything again.")
        text = text if wrong.line else f"{wrong.why}. {_('Claude Code starts as if it were new.')}"
        yield Problem("claude-onboarding", Finding("problem", text, wrong.fix, scope.path, wrong.line))
    if scope.refusals or not has_provider(s) or lookup(scope.data, facts.ONBOARDED) is True:
        return
    text = _("The first start asks for a theme and a login before it uses the provider.")
    fix = _("Answer it: hasCompletedOnboarding = true.")
    yield Problem("claude-onboarding", _in_claude_json(s, "warning", text, fix, Set(facts.ONBOARDED, True)))


def _in_claude_json(s: Sources, level: Level, text: str, fix: str, *edits: Edit, key: KeyPath = ()) -> Finding:
    scope = s.claude_json
    line = next((n for i in range(len(key), 0, -1) if (n := scope.line(*key[:i]))), 0)
    return Finding(level, text, fix, scope.path, line, (Edits(scope.path, "json", edits, claude_lock=True),))


# What the folder, the administrator and the shell add.

_TELLING = (BASE_URL, *CREDENTIALS, *facts.MODELS, *facts.OTHER_BACKENDS)


def _elsewhere(s: Sources) -> Iterator[Problem]:
    """What wins over the user's own settings."""
    for scope in (x for x in s.scopes if x.kind in ("managed", "project")):
        keys: list[KeyPath] = [env(n) for n in _TELLING if _filled(scope, env(n))]
        keys += [(n,) for n in ("apiKeyHelper", "model", "forceLoginMethod") if _filled(scope, (n,))]
        keys = [k for k in keys if k not in scope.ours]
        if scope.kind == "managed" and lookup(scope.data, env(BASE_URL)) == "":
            keys.append(env(BASE_URL))
        if not keys:
            continue
        names = ", ".join(k[-1] for k in keys)
        if scope.kind == "managed":
            text = _("The administrator sets these, and they win: {names}").format(names=names)
            yield Problem("claude-managed", at("warning", scope, text, "", key=keys[0]))
            continue
        own = any(k in keys for k in (HELPER, *(env(n) for n in CREDENTIALS)))
        alone = env(BASE_URL) in keys and not own
        text = _("In this folder, these win over your settings: {names}").format(names=names)
        if alone:
            text = _("This folder sends your key to an address of its own.")
        fix = _("Remove them from the file, or work in another folder.")
        yield Problem("claude-project", at("problem" if alone else "warning", scope, text, fix, key=keys[0]))


def _filled(scope: Scope, key: KeyPath) -> bool:
    value = lookup(scope.data, key)
    return isinstance(value, str) and bool(value.strip())


def _around(s: Sources) -> Iterator[Problem]:
    """What the shell adds."""
    url, helper = s.env(BASE_URL), s.setting(HELPER[0])
    shell = {n: h for n in (BASE_URL, *CREDENTIALS, *facts.MODELS) if (h := s.env(n)) and not h.scope.path}
    unset = _("Run: unset {name}")
    if url and BASE_URL in shell and facts.foreign(url.text):
        text = _("ANTHROPIC_BASE_URL of this shell sends Claude Code to {url}.").format(url=urls.host(url.text))
        yield Problem("claude-shell", Finding("warning", text, unset.format(name=BASE_URL)))
    keys = [n for n in CREDENTIALS if n in shell]
    if url is None and keys:
        text = _("{names} of this shell is used instead of your login.").format(names=", ".join(keys))
        yield Problem("claude-shell", Finding("warning", text, unset.format(name=" ".join(keys))))
    if url is None or not facts.foreign(url.text):
        held = s.env(facts.HEADERS)
        headers = facts.key_headers(held.text) if held else []
        if held and headers:
            text = _("{name} sends a key to Anthropic, in: {headers}")
            fix = _("Take it out of the file if it was meant for another provider.")
            if not held.scope.path:
                fix = unset.format(name=held.key[-1])
            text = text.format(name=held.key[-1], headers=", ".join(headers))
            yield Problem("claude-headers", at("problem", held, text, fix))
        return
    if keys and url.scope.path and not helper and not any(n not in shell and s.env(n) for n in CREDENTIALS):
        text = _("The address is in the settings, but its key is {name} of this shell.").format(name=keys[0])
        yield Problem("claude-shell", Finding("warning", text, _("Save both with: ccsetup init -p PROVIDER -k KEY")))
    ride = [n for n in (facts.HEADERS, facts.BETAS) if s.env(n)]
    models = [n for n in facts.MODELS if n in shell]
    names = [n for n in ride if not s.env(n).scope.path] + models  # type: ignore[union-attr]
    if names:
        text = _("This shell adds to the requests: {names}").format(names=", ".join(names))
        yield Problem("claude-shell", Finding("warning", text, unset.format(name=" ".join(names))))
    for held in (h for n in ride if (h := s.env(n)) and h.scope.path):
        fix = _("Take it out of the file if it was meant for another provider.")
        text, keys = _("{name} is sent to this provider too.").format(name=held.key[-1]), facts.key_headers(held.text)
        if keys:
            text = _("{name} sends a key to this provider too, in: {headers}").format(
                name=held.key[-1], headers=", ".join(keys)
            )
        yield Problem("claude-headers", at("problem" if keys else "warning", held, text, fix))


# What keeps requests from the provider.


def _login_forced(s: Sources) -> Iterator[Problem]:
    held = s.setting("forceLoginMethod")
    if held and held.scope.kind == "managed":
        text = _("The administrator requires a login at Anthropic: with a key Claude Code does not start.")
        yield Problem("claude-managed", at("stops", held, text, ""))


def _trust(s: Sources) -> Iterator[Problem]:
    leads = (BASE_URL, *facts.PROXIES, "NODE_EXTRA_CA_CERTS", facts.UNCHECKED, *facts.OTHER_BACKENDS)
    values = [h for h in (s.env(BASE_URL), s.setting(HELPER[0]), *map(s.env, leads[1:])) if h]
    values = [h for h in values if h.scope.kind == "project" and h.key not in h.scope.ours]
    if values and not s.trusted():
        text = _("This folder is not trusted, and sets {name}: with -p Claude Code sends your key there all the same.")
        fix = _("Trust the folder in Claude Code first, or remove the setting.")
        yield Problem("claude-project", at("stops", values[0], text.format(name=values[0].key[-1]), fix))


def silenced() -> Finding:
    """Return what a socket in the shell does to an address and a key in the settings."""
    text = _("ANTHROPIC_UNIX_SOCKET of this shell keeps the key from the provider: Claude Code says 'Not logged in'.")
    return Finding("stops", text, _("Run: unset {name}").format(name=facts.UNIX_SOCKET))


def _leads_away(s: Sources) -> Iterator[Problem]:
    url = s.env(BASE_URL)
    key = s.setting(HELPER[0]) or next((h for h in map(s.env, CREDENTIALS) if h and not h.scope.path), None)
    if s.paths.environ.get(facts.UNIX_SOCKET) and not (url and not url.scope.path and key):
        yield Problem("claude-other-backend", silenced())
    for name in facts.OTHER_BACKENDS if url else ():
        held = s.env(name)
        if held is None or not facts.on(held.text):
            continue
        if held.scope.path:
            text = _("{name} makes Claude Code ignore the provider's address.").format(name=name)
            yield Problem("claude-other-backend", at("stops", held, text, _("Take it out."), Unset(held.key)))
            continue
        text = _("{name} of this shell makes Claude Code ignore the provider's address.").format(name=name)
        if url and url.scope.kind == "user":
            finding = at("stops", url, text, _("Blank it in the settings."), Set(env(name), ""))
        else:
            finding = Finding("stops", text, _("Run: unset {name}").format(name=name))
        yield Problem("claude-other-backend", finding)


def _credentials(s: Sources, auth: Callable[[str], Auth | None]) -> Iterator[Problem]:
    url, helper = s.env(BASE_URL), s.setting(HELPER[0])
    keys = [h for h in (s.env(AUTH_TOKEN), s.env(API_KEY)) if h]
    foreign = url is not None and facts.foreign(url.text)
    for held in keys:
        yield from _written(held)
    if url and not keys and not helper:
        text = _("An address is set without a key: Claude Code says 'Not logged in'.")
        if foreign and s.login():
            text = _("An address is set without a key: Claude Code sends your Anthropic login there.")
        fix = _("Run: ccsetup init -p {provider} -k KEY, or: ccsetup config-switch official -T claude-code")
        fix = fix.format(provider="PROVIDER")
        yield Problem("claude-no-key", at("stops", url, text, fix))
    if len(keys) == 2:
        yield Problem("claude-two-keys", _two_keys(s, keys[0], keys[1], url, auth))
    if helper and any(h.scope.path for h in keys):
        text = _("apiKeyHelper stands next to a key: what it prints is sent to the provider as well.")
        fix = _("Take apiKeyHelper out.")
        yield Problem("claude-helper", at("problem" if foreign else "warning", helper, text, fix, Unset(HELPER)))
    console = lookup(s.claude_json.data, facts.CONSOLE_KEY)
    key = s.env(API_KEY)
    if foreign and isinstance(console, str) and console and not key:
        text = _("primaryApiKey, a key of Anthropic's console, is sent to the provider as well.")
        fix = _("Take it out; log in again when you go back to Anthropic.")
        edit = Unset(facts.CONSOLE_KEY)
        finding = _in_claude_json(s, "problem", text, fix, edit, key=facts.CONSOLE_KEY)
        yield Problem("claude-console-key", finding)
    if foreign and key and len(keys) == 1 and not s.claude_json.refusals:
        yield from _approval(s, key)


def _written(held: Held) -> Iterator[Problem]:
    name, value = held.key[-1], held.text
    where = "" if held.scope.path else _("of this shell") + ": "
    if not all("!" <= c <= "~" for c in value):
        text = _("{name} has a character that no header can carry.").format(name=name)
        fix = _("Copy the key again, without anything around it.")
        yield Problem("claude-key", at("stops", held, where + text, fix))
    elif held.scope.path and not (len(value) >= 20 and value.replace("-", "").replace("_", "").isalnum()):
        yield from _stands_for_a_key(held)


def _stands_for_a_key(held: Held) -> Iterator[Problem]:
    import re

    from ccsetup.keys import form

    name = held.key[-1]
    found = re.fullmatch(r"(?:\$|%)(?:env:)?\{?(\w+)[^}]*\}?|\{env:(\w+)\}", held.text)
    if found and (found[2] or form.placeholder(held.text)):
        text = _("{name} is sent as it stands: Claude Code puts no variable's value in its place.").format(name=name)
        fix = _("Have it read from the variable: ccsetup init -p PROVIDER --key-storage env --key-env {name}")
        yield Problem("claude-key", at("stops", held, text, fix.format(name=found[1] or found[2])))
    elif form.placeholder(held.text):
        text = _("{name} holds what a page shows where the key belongs.").format(name=name)
        yield Problem("claude-key", at("problem", held, text, _("Save your key with: ccsetup init -p PROVIDER -k KEY")))


def _two_keys(s: Sources, token: Held, key: Held, url: Held | None, auth: Callable[[str], Auth | None]) -> Finding:
    text = _("ANTHROPIC_AUTH_TOKEN and ANTHROPIC_API_KEY are set: both are sent.")
    if not token.scope.path and not key.scope.path:
        text = _("shell: {text}").format(text=text)
        return Finding("warning", text, _("Run: unset {name}").format(name=API_KEY))
    known = auth(url.text) if url else None
    keep = token if (known == "auth_token" if known else bool(token.scope.path)) else key
    if not keep.scope.path:  # never throw away the only key that is saved
        keep = token if token.scope.path else key
    other = key if keep is token else token
    name = other.key[-1]
    blank = other is key or s.version >= facts.BLANK_TOKEN
    if not other.scope.path:
        text = _("{name} of this shell is sent beside the key of the settings.").format(name=name)
        if not blank or keep.scope.kind == "managed":
            return Finding("problem", text, _("Run: unset {name}").format(name=name))
    level: Level = "problem" if url and facts.foreign(url.text) else "warning"
    fix = _("Blank {name} in the settings; {kept} stays.").format(name=name, kept=keep.key[-1])
    edit: Edit = Set(env(name), "") if blank else Unset(env(name))
    return at(level, other if other.scope.path else keep, text, fix, edit)


def _approval(s: Sources, key: Held) -> Iterator[Problem]:
    data, suffix = s.claude_json.data, facts.key_suffix(key.text)
    approved: Any = lookup(data, facts.APPROVED)
    rejected: Any = lookup(data, facts.REJECTED)
    approved = approved if isinstance(approved, list) else []
    no = isinstance(rejected, list) and suffix in rejected
    if not key.scope.path or (suffix in approved and not no):
        return
    edits: list[Edit] = [] if suffix in approved else [Set(facts.APPROVED, [*approved, suffix])]
    if no:
        edits.append(Set(facts.REJECTED, [r for r in rejected if r != suffix]))
    responses = lookup(data, facts.APPROVED[:1])
    if responses is not MISSING and not isinstance(responses, dict):
        edits = [Set(facts.APPROVED[:1], {facts.APPROVED[1]: [suffix]})]
    text = _("A session asks whether to use this ANTHROPIC_API_KEY, and the default is No.")
    if no:
        text = _("You once answered No to this ANTHROPIC_API_KEY: sessions do not use it.")
    place = facts.REJECTED if no else facts.APPROVED
    fix = _("Note the key as approved.")
    yield Problem(
        "claude-key-approval", _in_claude_json(s, "problem" if no else "warning", text, fix, *edits, key=place)
    )


def _connection(s: Sources) -> Iterator[Problem]:
    held = s.env(facts.UNCHECKED)
    if held and held.text == "0":
        text = _("NODE_TLS_REJECT_UNAUTHORIZED=0: Claude Code checks no certificate, and sends the key to anybody.")
        fix = _("Take it out.") if held.scope.path else _("Run: unset {name}").format(name=facts.UNCHECKED)
        ca = _("For a certificate of your own, set NODE_EXTRA_CA_CERTS to its file.")
        yield Problem("claude-tls", at("problem", held, text, f"{fix} {ca}", Unset(held.key)))
    held = s.env("NODE_EXTRA_CA_CERTS")
    if held and not os.path.isfile(os.path.join(s.paths.cwd, held.text)):
        text = _("NODE_EXTRA_CA_CERTS names a file that is not there: Claude Code goes on without it.")
        yield Problem("claude-tls", at("warning", held, text, _("Correct the path, or take the variable out.")))


def _models(s: Sources) -> Iterator[Problem]:
    allowed = s.allowed()
    model, held = s.primary()
    if allowed is None or held is None or model.strip() in (*facts.ALIASES, "default", "best", "opusplan"):
        return
    names, where = allowed
    wanted = facts.wire_id(model).lower()
    if wanted in (facts.wire_id(n).lower() for n in names) or wanted.startswith("claude-"):
        return
    used = facts.wire_id(s.value(facts.TIERS["opus"])) or facts.DEFAULTS["opus"]
    text = _("availableModels shuts {model} out: Claude Code asks for {used} instead.").format(model=model, used=used)
    user = s.user
    mine = list(user.data.get("availableModels", ())) if user and where.scope is user else []
    fix = _("Add {model} to the list.").format(model=model)
    yield Problem("claude-models", at("problem", where, text, fix, Set(where.key, [*mine, model])))
