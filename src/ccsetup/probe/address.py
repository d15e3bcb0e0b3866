"""Whether a base URL is one that a client can call.  Pure."""

from __future__ import annotations

import re

from ccsetup import urls
from ccsetup.i18n import _
from ccsetup.plan import Note
from ccsetup.probe.target import Target


def check(target: Target, *, insecure_http: bool = False) -> list[Note]:
    """Return what is wrong with *target*'s address; [] when nothing is."""
    url = target.base_url
    if not url:
        return []  # said where the address is looked for
    claude = target.wire == "anthropic"
    stripped = url.strip() if claude else url  # Claude Code tolerates white space around it
    path = re.split(r"[?#]", stripped, maxsplit=1)[0].rstrip("/")
    if not re.match(r"(?i)https?://", stripped):
        near = "https://" + re.sub(r"(?i)^(?:https?:)?/*", "", stripped) if "://" not in stripped else ""
        return [
            Note(
                "blocked",
                _("The URL has no https:// in front."),
                _("Write {url}").format(url=near) if near and not urls.problem(near) else "",
            )
        ]
    for tail in ("/v1/messages", "/messages", "/v1") if claude else ("/responses", "/chat/completions"):
        if path.endswith(tail):
            good = path.removesuffix(tail)
            if claude:
                text = _("Claude Code adds /v1/messages itself, so {tail} must not be at the end of the URL.")
            elif tail == "/responses":
                text = _("Codex adds /responses itself, so {tail} must not be at the end of the URL.")
            else:
                text = _("Codex adds /responses to the URL and does not speak Chat Completions; remove {tail}.")
            return [Note("blocked", text.format(tail=tail), _("Write {url}").format(url=good))]
    stripped = re.sub(r"(?i)^https?", lambda scheme: scheme[0].lower(), stripped)  # as the clients do
    if urls.is_loopback(stripped):  # they call 0.0.0.0, [::] and [::ffff:127.0.0.1], too
        stripped = re.sub(r"(?<=//)(\[[^]/]*\]|[^/:?#@]*)", "127.0.0.1", stripped, count=1)
    # and a name with the dot of the root zone (observed with Claude Code 2.1.332 and Codex 0.171.0)
    found = urls.problem(re.sub(r"(//[^/:?#@]*\w)\.(?=[:/]|$)", r"\1", stripped))
    if found and insecure_http and stripped.startswith("http://") and not urls.problem("https" + stripped[4:]):
        return [Note("info", _("The key is sent in the clear, as --insecure-http allows."))]
    if found:
        hint = ""
        if "?" in stripped:
            hint = _("Write {url}").format(url=path)
        elif stripped.startswith("http://"):
            hint = _("Write https://, or allow it for this test with --insecure-http.")
        return [Note("blocked", found, hint)]
    return []
