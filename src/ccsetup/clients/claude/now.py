"""What Claude Code uses in the current folder, for ``list``: merged from every place that decides it, no further."""

from __future__ import annotations

from typing import Optional

from ccsetup.clients.claude import facts
from ccsetup.clients.claude.scopes import from_disk, read
from ccsetup.clients.values import Effective, Files
from ccsetup.i18n import _


def effective(files: Files, etc: str = "/etc") -> Effective:
    """Return *files* with the settings that count here in the place of the user's, and where the address stands."""

    def text(path: str) -> Optional[str]:
        return files.text[path] if path in files.text else from_disk(path)

    seen = read(files.paths, text, files.version, etc=etc, claude_json={})
    helper, (model, named) = seen.setting(facts.HELPER[0]), seen.primary()
    env = {n: seen.value(n) for n in (facts.BASE_URL, *facts.CREDENTIALS)}
    env[facts.MODEL] = model if named else ""
    own = {"env": env, **({facts.HELPER[0]: helper.text} if helper else {})}
    files = files._replace(data={**files.data, files.paths.claude_settings: own})
    for name, backend in facts.OTHER_BACKENDS.items():
        held = seen.env(name)
        if held and facts.on(held.text):
            return Effective(files, held.source, problem=f"{backend} ({held.source})")
    user, url = seen.user, seen.env(facts.BASE_URL)
    if user is not None and user.refusals and not user.data:
        text_ = _("{place}: {what}. Claude Code ignores the whole file because of it.")
        line = user.refusals[0].line
        place = f"{user.shown}:{line}" if line else user.shown
        return Effective(files, problem=text_.format(place=place, what=user.refusals[0].why))
    if url is None or url.scope.kind == "user":
        return Effective(files)
    return Effective(files, url.source, project=bool(url.scope.ours))
