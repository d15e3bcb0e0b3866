"""What a command that changes Claude Code's settings says of the list of problems, and what ``--repair`` corrects."""

from __future__ import annotations

from typing import Literal, Optional, cast

from ccsetup.clients.claude import facts
from ccsetup.clients.claude.problems import Problem, problems
from ccsetup.clients.claude.scopes import Held, Refusal, Sources, from_disk, of, read
from ccsetup.clients.values import Correction, Files, Use
from ccsetup.documents.edit import MISSING, Set, lookup
from ccsetup.errors import CcsetupError
from ccsetup.i18n import _
from ccsetup.model import ClaudeEndpoint
from ccsetup.plan import Note
from ccsetup.urls import host


def notes(files: Files, use: Optional[Use], etc: str = "/etc") -> tuple[Note, ...]:
    """Tell what is left that stops these settings, wins over them or rides along."""
    own = dict.fromkeys((files.paths.claude_settings, files.names.get(files.paths.claude_settings, "")))
    seen = _sources(files, etc)
    managed = [lookup(scope.data, facts.env(facts.BASE_URL)) for scope in seen.scopes if scope.kind == "managed"]
    urls = [facts.text(url).strip().rstrip("/") for url in managed if url is not MISSING]  # "" is Anthropic's own
    elsewhere = use is not None and urls and urls[0] != use.endpoint.base_url.rstrip("/")
    meant = cast(ClaudeEndpoint, use.endpoint).env if use is not None else {}
    out = []
    for problem in problems(seen):
        if problem.id == "claude-syntax" and problem.finding.path in own and problem.finding.repairs:
            continue  # ``repairs`` says it
        if problem.id == "claude-headers" and facts.HEADERS in meant:
            continue  # the profile's own
        said = note(files, problem)
        out.append(said._replace(level="blocked") if elsewhere and problem.id == "claude-managed" else said)
    if use is not None and use.preset.id == "custom" and cast(ClaudeEndpoint, use.endpoint).models is None:
        text = _("No model is named: Claude Code asks {url} for its own (claude-…), which has to serve them.")
        out.append(Note("info", text.format(url=use.endpoint.base_url), _("Name another one with -M MODEL.")))
    return tuple(out)


def _sources(files: Files, etc: str) -> Sources:
    def text(path: str) -> Optional[str]:
        return files.text[path] if path in files.text else from_disk(path)

    return read(files.paths, text, files.version, etc=etc, claude_json=files.get(files.paths.claude_json))


def hindrances(files: Files, etc: str = "/etc") -> list[Note]:
    """Return what is used in the place of its own account, and is not ours to take out."""
    seen = _sources(files, etc)

    def note(held: Held, text: str, **words: str) -> Note:
        name = held.key[-1]
        fix = _("Take the line out.") if held.scope.path else _("Run: unset {name}").format(name=name)
        fix = _("Ask your administrator.") if held.scope.kind == "managed" else fix
        place = f"{held.source}: " if held.scope.path else ""
        return Note("blocked", place + text.format(name=name, **words), fix)

    on = [(h, b) for n, b in facts.OTHER_BACKENDS.items() if (h := seen.env(n)) and facts.on(h.text)]
    said = _("{name} is set: Claude Code uses {backend}, not its own account.")
    out = [note(held, said, backend=backend) for held, backend in on]
    url = seen.env(facts.BASE_URL)
    if url is not None and facts.foreign(url.text):
        return [*out, note(url, _("{name} sends Claude Code to {host}, not to its own account."), host=host(url.text))]
    key = next((h for n in facts.CREDENTIALS if (h := seen.env(n))), None)
    if key is not None and not key.text.startswith("sk-ant-"):
        out.append(note(key, _("{name} goes before your login, and is no key of Anthropic's.")))
    if key is None and (helper := seen.setting(facts.HELPER[0])):
        said = _("{name} goes before your login: what it prints is sent in its place.")
        out.append(note(helper, said)._replace(level="warning"))  # it may print a key of one's own account
    return out


def note(files: Files, problem: Problem) -> Note:
    """Return an entry of the list with its place, as a line of a command's report."""
    found = problem.finding
    place = files.paths.short(found.path) + (f":{found.line}" if found.line else "") if found.path else ""
    hint = _("Run: ccsetup doctor --fix") if found.repairs else found.fix
    level: Literal["blocked", "warning"] = "blocked" if found.level == "stops" else "warning"
    return Note(level, f"{place}: {found.text}" if place else found.text, hint)


def repairs(files: Files) -> list[Correction]:
    """Return how what makes Claude Code ignore settings.json is set right, where that is plain."""
    path = files.paths.claude_settings
    name = files.names.get(path, path)
    scope = of("user", name, files.paths.short(name), lambda _path: files.text.get(path, ""))
    found = (_correction(name, scope.shown, r) for r in scope.refusals) if scope else ()
    return [c for c in found if c is not None]


def _correction(path: str, shown: str, wrong: Refusal) -> Optional[Correction]:
    if wrong.whole is None and wrong.good is MISSING:
        return None
    place = ":".join([shown, *(str(n) for n in (wrong.line, wrong.column) if n)])
    if wrong.whole is not None:
        text = _("{place}: {what} makes Claude Code ignore the whole file.").format(place=place, what=wrong.why)
        hint = _("Run the same command with --repair to take comments and trailing commas out (undo brings them back).")
        done = _("comments and trailing commas were taken out.")
        return Correction(path, "json", done, whole=wrong.whole, refusal=CcsetupError(text, hint=hint))
    text = _("{place}: {what}. Claude Code ignores the whole file because of it.").format(place=place, what=wrong.why)
    hint = _("Run the same command with --repair to correct its type (undo brings it back).")
    done = _("the type of {key} was corrected.").format(key=".".join(wrong.key))
    edits = (Set(wrong.key, wrong.good),)
    return Correction(path, "json", done, edits, refusal=CcsetupError(text, hint=hint))


def console_note(files: Files) -> list[Note]:
    """Tell of a key from a login at Anthropic's console, which is sent beside the profile's."""
    path = files.paths.claude_json
    if lookup(files.get(path), facts.CONSOLE_KEY) is MISSING:
        return []
    text = _("A key from a login at Anthropic's console is in {file}: Claude Code sends it along.")
    return [Note("warning", text.format(file=files.paths.short(path)), _("Log out with: claude auth logout"))]
