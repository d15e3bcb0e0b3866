"""Other upstreams in the text of ``relay.yaml``, with everything else in it left as it is.  Pure.

An entry goes with the comment right above it and those inside it; empty lines, and comments that stand alone, stay
where they are.  A comment between two entries, without an empty line to either, is the lower one's, however far it is
indented, unless it is a setting of the upper one that was commented out.  What comes out is read again, and compared
with what it was to become.

*name* is what people call the file.  CcsetupError where it is written in a way that cannot be changed so, DocumentError
where it cannot be read.
"""

from __future__ import annotations

import re
from typing import NamedTuple, Optional, Sequence

from ccsetup.documents import yamldoc
from ccsetup.errors import CcsetupError
from ccsetup.i18n import _
from ccsetup.relay.config import rules, table
from ccsetup.relay.config.dump import dump
from ccsetup.relay.config.model import Config, Group, Listen, PresetLoader, Upstream
from ccsetup.relay.config.parse import parse


def add(text: str, name: str, upstream: Upstream, index: int, load_preset: PresetLoader) -> str:
    """Return *text* with *upstream* at *index* of its upstreams."""
    before = parse(text.encode(), name, load_preset)
    lines = _entry(upstream, load_preset)
    parts = _parts(text, name)
    if parts is not None:
        between = min(parts.gaps[1:-1], default=[], key=len)
        between = between if _blank(between) else []
        # What stands in front of a present entry belongs to that one.
        parts.gaps.insert(min(index + 1, len(parts.entries)), between)
        parts.entries.insert(index, parts.lines(lines))
    wanted = (*before.upstreams[:index], upstream, *before.upstreams[index:])
    hint = _("Add these lines to it yourself:\n{lines}").format(lines="\n".join(lines))
    return _checked(parts, name, before._replace(upstreams=wanted), load_preset, hint)


def remove(text: str, name: str, which: int, load_preset: PresetLoader) -> str:
    """Return *text* without the upstream at *which*."""
    before = parse(text.encode(), name, load_preset)
    parts = _parts(text, name)
    if parts is not None:
        del parts.entries[which]
        above, below = parts.gaps[which : which + 2]
        if _blank(above) and _blank(below):
            joined = above if which == 0 else max(above, below, key=len)
        else:
            joined = below if _blank(above) else [*above, *([] if _blank(below) else below)]
        parts.gaps[which : which + 2] = [joined]
    wanted = (*before.upstreams[:which], *before.upstreams[which + 1 :])
    return _checked(parts, name, before._replace(upstreams=wanted), load_preset)


def move(text: str, name: str, which: int, index: int, group: Group, load_preset: PresetLoader) -> str:
    """Return *text* with the upstream that was at *which* at *index*, and in *group*."""
    before = parse(text.encode(), name, load_preset)
    moved = before.upstreams[which]
    if moved.group != group:
        text = _regrouped(text, name, which, group)
    parts = _parts(text, name)
    if parts is not None:
        parts.entries.insert(index, parts.entries.pop(which))
    wanted = [*before.upstreams[:which], *before.upstreams[which + 1 :]]
    wanted.insert(index, moved._replace(group=group))
    return _checked(parts, name, before._replace(upstreams=tuple(wanted)), load_preset)


def replace(text: str, name: str, upstreams: Sequence[Upstream], listen: Listen, load_preset: PresetLoader) -> str:
    """Return *text* with *upstreams* instead of its own, and *listen* where it has another one."""
    before = parse(text.encode(), name, load_preset)
    if before.listen != listen:
        text = _listening(text, name, listen, load_preset)
    parts = _parts(text, name)
    if parts is not None:
        parts.entries[:] = [parts.lines(_entry(upstream, load_preset)) for upstream in upstreams]
        parts.gaps[1:-1] = [[] for _one in upstreams[1:]]
    return _checked(parts, name, before._replace(upstreams=tuple(upstreams), listen=listen), load_preset)


class _Parts(NamedTuple):
    """The lines of a file, without their LF."""

    head: list[str]
    """Up to the key ``upstreams``."""
    entries: list[list[str]]
    gaps: list[list[str]]
    """What stands in front of each entry, and behind the last one."""
    indent: str
    end: str
    """"" or CR."""
    complete: bool
    """The last line has an end, too."""

    def text(self) -> str:
        lines = [*self.head, *self.gaps[0]]
        for entry, gap in zip(self.entries, self.gaps[1:], strict=True):
            lines += [*entry, *gap]
        out = "\n".join(lines)
        return out + "\n" if self.complete else out.removesuffix(self.end)

    def lines(self, entry: Sequence[str]) -> list[str]:
        """Return *entry*, as ``_entry`` has it, as it stands in this file."""
        return [self.indent + line + self.end for line in entry]


def _parts(text: str, name: str) -> Optional[_Parts]:
    """Return the parts of *text*; None where its list of upstreams is not written line by line."""
    root = yamldoc.parse(text, name)
    assert isinstance(root.value, dict)
    complete = text.endswith("\n")
    rows = text.removesuffix("\n").split("\n")
    end = "\r" if rows[0].endswith("\r") else ""
    if not complete:
        rows[-1] += end
    listed = root.value.get("upstreams")
    items = listed.value if listed is not None and isinstance(listed.value, list) else []
    indent = listed.column - 1 if listed is not None and items else 2
    if "upstreams" in root.keys:
        key, _column = root.keys["upstreams"]
    else:
        rows += [end, f"upstreams:{end}"]
        key = len(rows)
    below = min((line for line, _column in root.keys.values() if line > key), default=len(rows) + 1) - 1
    below = next((i for i in range(key, below) if rows[i].startswith("...")), below)
    starts = [_dash(rows, item.line - 1, indent, key) for item in items]
    if -1 in starts or sorted(set(starts)) != starts:
        return None
    gaps, entries, last = [], [], key
    for start, limit in zip(starts, [*starts[1:], below], strict=bool(starts)):
        stop = _end(rows, start, limit, indent, last=limit == below)
        while start > last and rows[start - 1].lstrip().startswith("#"):
            start -= 1
        gaps.append(rows[last:start])
        entries.append(rows[start:stop])
        last = stop
    return _Parts(rows[:key], entries, [*gaps, rows[last:]], " " * indent, end, complete)


def _dash(rows: Sequence[str], row: int, indent: int, key: int) -> int:
    """Return the row of the dash of an entry that begins in *row*; -1 where it has none of its own."""
    while row >= key:
        if rows[row][: indent + 1] == " " * indent + "-":
            return row
        row -= 1
    return -1


_SETTING = re.compile(rf"\s*#[#\s]*(?:(?:{'|'.join(table.UPSTREAM.keys)})['\"]?\s*:(?:\s|$)|-\s|[\]}}])")
"""A line of an entry that was commented out."""


def _end(rows: Sequence[str], start: int, limit: int, indent: int, *, last: bool) -> int:
    """Return the row behind the entry that begins in *start*; in *limit* the next one begins, or, *last*, none."""
    content = limit
    while content > start + 1 and rows[content - 1].strip()[:1] in ("", "#"):
        content -= 1
    stop = next((i for i in range(content, limit) if not rows[i].strip()), limit)
    touches = stop == limit and not last
    while stop > content and (_between(rows[stop - 1], indent) or (touches and not _SETTING.match(rows[stop - 1]))):
        stop -= 1
    return stop


def _between(row: str, indent: int) -> bool:
    """Tell whether *row*, below an entry, is not a part of it: it is empty, or a comment as far left as the entry."""
    bare = row.lstrip()
    return not bare or (bare.startswith("#") and len(row) - len(bare) <= indent)


def _blank(gap: Sequence[str]) -> bool:
    return not any(row.strip() for row in gap)


def _regrouped(text: str, name: str, which: int, group: Group) -> str:
    """Return *text* with another *group* for the upstream at *which*."""
    root = yamldoc.parse(text, name)
    assert isinstance(root.value, dict)
    items = root.value["upstreams"].value
    assert isinstance(items, list)
    item = items[which]
    assert isinstance(item.value, dict)
    rows = text.split("\n")
    if "group" in item.value:
        place = item.value["group"]
        row, column = place.line - 1, place.column - 1
        rows[row] = rows[row][:column] + re.sub("primary|backup", group, rows[row][column:], count=1)
        return "\n".join(rows)
    line, column = item.keys["name"]
    if rows[item.line - 1][item.column - 1 :].startswith("{"):
        rows[line - 1] = rows[line - 1][: column - 1] + f"group: {group}, " + rows[line - 1][column - 1 :]
    else:
        end = "\r" if rows[line - 1].endswith("\r") else ""
        rows.insert(line, " " * (column - 1) + f"group: {group}{end}")
    return "\n".join(rows)


def _listening(text: str, name: str, listen: Listen, load_preset: PresetLoader) -> str:
    """Return *text* with *listen* in one line, where it has its own one or below its first key."""
    root = yamldoc.parse(text, name)
    rows = text.split("\n")
    end = "\r" if rows[0].endswith("\r") else ""
    dumped = dump(Config((), listen=listen), load_preset).split("\n")
    line = [one + end for one in dumped if one.startswith("listen:")]
    if "listen" in root.keys:
        first = root.keys["listen"][0] - 1
        last = min((key for key, _column in root.keys.values() if key > first + 1), default=len(rows) + 1) - 1
        while last > first + 1 and _between(rows[last - 1], 0):
            last -= 1
        rows[first:last] = line
    else:
        first = root.keys["relay"][0]
        rows[first:first] = line
    return "\n".join(rows)


def _entry(upstream: Upstream, load_preset: PresetLoader) -> list[str]:
    """Return the entry as it stands in a file, without indentation."""
    text = dump(Config(upstreams=(upstream,), rules=rules.DEFAULT_RULES), load_preset)
    body = text.partition("\nupstreams:\n")[2].rstrip("\n").split("\n")
    return [line.removeprefix("  ") for line in body]


def _checked(parts: Optional[_Parts], name: str, wanted: Config, load_preset: PresetLoader, hint: str = "") -> str:
    out = parts.text() if parts is not None else ""
    if not out or parse(out.encode(), name, load_preset) != wanted:
        raise CcsetupError(
            _("{file}: the list of upstreams is written in a way that cannot be changed here.").format(file=name),
            hint=hint or _("Change it yourself; the relay takes it over when you save it."),
        )
    return out
