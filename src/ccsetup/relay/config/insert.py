"""One more upstream in the text of ``relay.yaml``, with everything else in it left as it is.  Pure."""

from __future__ import annotations

from ccsetup.documents import yamldoc
from ccsetup.errors import CcsetupError
from ccsetup.i18n import _
from ccsetup.relay.config import rules
from ccsetup.relay.config.dump import dump
from ccsetup.relay.config.model import Config, PresetLoader, Upstream
from ccsetup.relay.config.parse import parse


def first(text: str, name: str, upstream: Upstream, load_preset: PresetLoader) -> str:
    """Return *text* with *upstream* in front of its upstreams.

    CcsetupError, with the lines to add, where the list is not written line by line; *name* is what people call the
    file.  DocumentError where *text* cannot be read.
    """
    before = parse(text.encode(), name, load_preset)
    lines = _lines(upstream, load_preset)
    out = _with(text, name, lines)
    wanted = before._replace(upstreams=(upstream, *before.upstreams))
    if out is None or parse(out.encode(), name, load_preset) != wanted:
        raise CcsetupError(
            _("{file}: the list of upstreams is written in a way that cannot be added to.").format(file=name),
            hint=_("Add these lines to it yourself:\n{lines}").format(lines="\n".join(lines)),
        )
    return out


def _lines(upstream: Upstream, load_preset: PresetLoader) -> list[str]:
    """Return the entry as it stands in a file, without indentation."""
    text = dump(Config(upstreams=(upstream,), rules=rules.DEFAULT_RULES), load_preset)
    body = text.partition("\nupstreams:\n")[2].rstrip("\n").split("\n")
    return [line[2:] if line.startswith("  ") else line for line in body]


def _with(text: str, name: str, lines: list[str]) -> str | None:
    root = yamldoc.parse(text, name)
    assert isinstance(root.value, dict)
    items, (line, _column) = root.value["upstreams"], root.keys["upstreams"]
    rows = text.split("\n")
    if items.line <= line or not rows[items.line - 1][items.column - 1 :].startswith("-"):
        return None
    end = "\r" if rows[line - 1].endswith("\r") else ""
    indent = " " * (items.column - 1)
    # Right below its key: what stands in front of the present first entry belongs to that one.
    rows[line:line] = [f"{indent}{one}{end}" if one else end for one in lines]
    return "\n".join(rows)
