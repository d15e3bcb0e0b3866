"""The places that Claude Code reads its settings from, strongest first, each as the client takes it.

Managed settings, the project's settings.local.json and settings.json, the user's settings.json, the shell; ``env`` is
merged key by key (observed with 2.0.76, 2.1.197, 2.1.329 and 2.1.332).  Reads files; writes nothing.
"""

from __future__ import annotations

import os
from typing import Any, Callable, Iterator, Literal, Mapping, Optional

from ccsetup.clients.claude import facts
from ccsetup.disk.read import read as disk_read
from ccsetup.documents import encoding, jsondoc
from ccsetup.documents.edit import MISSING, KeyPath, lookup
from ccsetup.errors import CcsetupError, DocumentError
from ccsetup.i18n import _
from ccsetup.model import Version
from ccsetup.paths import Paths
from ccsetup.plan import is_ours, owned_from_json
from ccsetup.tuples import NamedTuple

Kind = Literal["managed", "project", "user", "shell"]
Read = Callable[[str], Optional[str]]
"""Returns the text of a file, None where there is none; raises CcsetupError for one that cannot be read."""


class Refusal(NamedTuple):
    """Why Claude Code takes nothing of a file."""

    why: str
    fix: str
    line: int = 0
    column: int = 0
    key: KeyPath = ()
    """The key whose value is of the wrong type."""
    good: Any = MISSING
    """The value that it was plainly meant to be."""
    whole: Optional[str] = None
    """The whole file, corrected."""


class Scope(NamedTuple):
    """One settings file that exists, or the shell."""

    kind: Kind
    path: str
    shown: str
    text: str
    data: Mapping[str, Any]
    """{} where the client takes nothing of the file."""
    refusals: tuple[Refusal, ...] = ()
    odd: str = ""
    """Why ccsetup cannot change a file that the client reads, as a sentence."""
    ours: frozenset[KeyPath] = frozenset()
    """Of a project's file: what ``--project`` wrote, so that nobody has to be warned of it."""

    def line(self, *key: str) -> int:
        """Return the line of *key*; 0: none, or the shell."""
        return jsondoc.locate(self.text, key) if self.path else 0

    def where(self, *key: str) -> str:
        """Return the place of a key for people: ``file:line``."""
        if not self.path:
            return f"shell: {key[-1]}"
        line = self.line(*key)
        return f"{self.shown}:{line}" if line else self.shown


class Held(NamedTuple):
    """A value, where it stands, and the weaker places that set the same name."""

    text: str
    scope: Scope
    key: KeyPath
    hides: tuple[str, ...]

    @property
    def source(self) -> str:
        return self.scope.where(*self.key)

    @property
    def line(self) -> int:
        return self.scope.line(*self.key)


class Sources(NamedTuple):
    """Everything that Claude Code reads in one folder."""

    paths: Paths
    scopes: tuple[Scope, ...]
    """Strongest first; the shell is the last."""
    claude_json: Scope
    version: Version

    @property
    def user(self) -> Optional[Scope]:
        return next((s for s in self.scopes if s.kind == "user"), None)

    def env(self, name: str) -> Optional[Held]:
        """Return a variable from the strongest place that has it; an empty one counts as unset."""
        key = facts.env(name)
        holders = [(s, facts.text(v)) for s in self.scopes if (v := lookup(s.data, key)) is not MISSING]
        if not holders or not holders[0][1].strip():
            return None
        hides = tuple(s.where(*key) for s, value in holders[1:] if value.strip())
        return Held(holders[0][1].strip(), holders[0][0], key, hides)

    def value(self, name: str) -> str:
        held = self.env(name)
        return held.text if held else ""

    def setting(self, name: str) -> Optional[Held]:
        """Return a text at the top level of the strongest file that has one."""
        found = [s for s in self.scopes if s.path and isinstance(s.data.get(name), str) and s.data[name].strip()]
        return Held(found[0].data[name], found[0], (name,), tuple(s.where(name) for s in found[1:])) if found else None

    def environ(self) -> dict[str, str]:
        """Return the variables as Claude Code has them: the shell's under those of the settings."""
        out = dict(self.paths.environ)
        for scope in reversed(self.scopes):
            block = scope.data.get("env")
            if scope.path and isinstance(block, dict):
                out.update({n: facts.text(v) for n, v in block.items() if n not in facts.SHELL_ONLY})
        return out

    def allowed(self) -> Optional[tuple[tuple[str, ...], Held]]:
        """Return the models that ``availableModels`` lets through, and where it stands; None: all of them.

        The administrator's list counts alone; those of all other files together.
        """
        having = [s for s in self.scopes if s.path and isinstance(s.data.get("availableModels"), list)]
        managed = [s for s in having if s.kind == "managed"]
        having = managed or having
        if not having:
            return None
        names = tuple(str(m) for s in having for m in s.data["availableModels"])
        return names, Held(", ".join(names), having[0], ("availableModels",), ())

    def primary(self) -> tuple[str, Optional[Held]]:
        """Return the model that is asked for, before aliases are resolved, and where it is named."""
        held = self.env(facts.MODEL) or self.setting("model")
        return (held.text if held else "default"), held

    def login(self) -> bool:
        """Tell whether there is a login at Anthropic that could be sent."""
        data = self.claude_json.data
        if self.paths.environ.get(facts.OAUTH) or data.get("oauthAccount") or data.get("primaryApiKey"):
            return True
        return os.path.isfile(os.path.join(self.paths.claude_dir, ".credentials.json"))

    def trusted(self) -> bool:
        """Tell whether the user trusted the current folder, or one above it, in Claude Code."""
        folder = self.paths.cwd
        while lookup(self.claude_json.data, ("projects", folder, "hasTrustDialogAccepted")) is not True:
            parent = os.path.dirname(folder)
            if parent == folder:
                return False
            folder = parent
        return True


def moved_away(paths: Paths) -> bool:
    """Tell whether CLAUDE_CONFIG_DIR is set and empty: settings.json is then read in the working folder."""
    return paths.environ.get(facts.CONFIG_DIR) == ""


def from_disk(path: str) -> Optional[str]:
    """Read a file as it is; the usual ``Read``."""
    found = disk_read(path)
    return encoding.decode(found.data) if found is not None else None


def read(
    paths: Paths,
    text: Read,
    version: Version,
    *,
    etc: str = "/etc",
    claude_json: Optional[Mapping[str, Any]] = None,
    through: bool = False,
) -> Sources:
    """Return what Claude Code *version* reads in the current folder; *claude_json* is that file where it is parsed.

    With *through*, a file that the client ignores for what can be repaired is read as it is meant.
    """
    scopes = []
    for kind, path in dict.fromkeys(_places(paths, etc)):
        scope = of(kind, path, paths.short(path), text, through=through)
        if scope is not None and kind == "project" and scope.data:
            state = of("user", paths.state, "", text, settings=False)
            scope = scope._replace(ours=ours(paths, path, scope.data, state.data if state else {}))
        if scope is not None:
            scopes.append(scope)
    scopes.append(Scope("shell", "", "shell", "", {"env": dict(paths.environ)}))
    path = paths.claude_json
    state = Scope("user", path, paths.short(path), "", claude_json or {})
    if claude_json is None:
        state = of("user", path, state.shown, text, settings=False) or state
    return Sources(paths, tuple(scopes), state, version)


def _places(paths: Paths, etc: str) -> Iterator[tuple[Kind, str]]:
    managed = os.path.join(etc, "claude-code")
    more = os.path.join(managed, "managed-settings.d")
    try:
        names = sorted((n for n in os.listdir(more) if n.endswith(".json") and not n.startswith(".")), reverse=True)
    except OSError:
        names = []
    for name in names:
        yield "managed", os.path.join(more, name)
    yield "managed", os.path.join(managed, "managed-settings.json")
    user = os.path.join(paths.cwd, "settings.json") if moved_away(paths) else paths.claude_settings
    for name in ("settings.local.json", "settings.json"):
        path = os.path.join(paths.cwd, ".claude", name)
        if path != user and os.path.realpath(path) != os.path.realpath(user):
            yield "project", path
    yield "user", user


def of(
    kind: Kind, path: str, shown: str, text: Read, *, settings: bool = True, through: bool = False
) -> Optional[Scope]:
    """Return the file at *path* as the client takes it, None where there is none or an empty one."""
    by_hand = _("Correct this line by hand; nothing tells for sure what was meant.")
    odd = ""
    try:
        found = text(path)
    except CcsetupError as e:
        found = e.text if isinstance(e, encoding.Utf16) else None
        if found is None:
            why = Refusal(e.short.rstrip(".。"), e.hint, getattr(e, "line", 0))
            return Scope(kind, path, shown, "", {}, (why,))
        odd = _("The file is in UTF-16.")
    if found is None or not found.strip("\ufeff \t\r\n"):
        return None
    try:
        data = jsondoc.parse(found)
        if not isinstance(data, dict):
            raise DocumentError(_("the top level is not an object"), line=1)
    except DocumentError as e:
        return Scope(kind, path, shown, found, {}, (Refusal(e.message.rstrip(".。"), by_hand, e.line),))
    if not settings:
        return Scope(kind, path, shown, found, data)
    wrong = tuple(_misfit(found, m) for m in facts.misfits(data))
    if kind == "managed":  # of the administrator's files only the value is ignored
        data, wrong = {k: v for k, v in data.items() if (k,) not in {r.key for r in wrong}}, ()
    strict = jsondoc.strict_problem(found)
    if strict is not None:
        comment = found.splitlines()[strict.line - 1][strict.column - 1 :].startswith("/")
        why = Refusal(
            _("A comment") if comment else _("A trailing comma"),
            _("Take comments and trailing commas out."),
            strict.line,
            strict.column,
            whole=jsondoc.strict(found),
        )
        wrong = (why, *wrong) if through else (why,)
    return Scope(kind, path, shown, found, {} if wrong and not through else data, wrong, odd)


def _misfit(text: str, wrong: facts.Misfit) -> Refusal:
    name = ".".join(wrong.key)
    why = _("'{key}' has the wrong type").format(key=name)
    if wrong.words:
        why = _("'{key}' is none of: {values}").format(key=name, values=", ".join(wrong.words))
    fix = _("Take it out.") if wrong.good is MISSING else _("Change it to {value}.").format(value=str(wrong.good))
    return Refusal(why, fix, jsondoc.locate(text, wrong.key), 0, wrong.key, wrong.good)


def ours(paths: Paths, path: str, data: Mapping[str, Any], state: Any) -> frozenset[KeyPath]:
    """Return the keys of the project's file *path* that still hold what ``--project`` wrote; *state* is state.json."""
    state = state if isinstance(state, dict) else {}
    shared = state.get("homes")
    bodies = [state, *(shared.values() if isinstance(shared, dict) else ())]
    name = paths.homes.name(path)
    kept: set[KeyPath] = set()
    for body in bodies:
        projects = body.get("projects") if isinstance(body, dict) else None
        for slot in projects.values() if isinstance(projects, dict) else ():
            items = lookup(slot, ("owned", name))
            kept |= {o.path for o in owned_from_json(items) if is_ours(lookup(data, o.path), o.value)}
    return frozenset(kept)
