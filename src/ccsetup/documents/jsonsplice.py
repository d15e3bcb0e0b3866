"""Objects of a JSON text as they will be, and the splices of the text that make them so."""

from __future__ import annotations

import json
import re
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any, Union

from ccsetup.documents.edit import MISSING
from ccsetup.documents.jsontext import COMMENT, JsonText, number, scan_once, space
from ccsetup.documents.splices import Splice
from ccsetup.tuples import NamedTuple

ONE_COMMENT = re.compile(COMMENT, re.S)
_LINE_END = re.compile(r"\r\n|\n|\r")
_BLANKS = re.compile(r"[ \t]*")
_REST_OF_LINE = re.compile(r"(?:[ \t]|/\*[^\r\n]*?\*/)*(?://[^\r\n]*)?")


class Member(NamedTuple):
    key: str
    key_start: int
    key_end: int
    start: int
    end: int
    comma: int
    """Where its comma stands, or -1."""


class ObjectView:
    """An object of the text, with what is to become of its members."""

    __slots__ = ("at", "changes", "close", "document", "effective", "members")

    def __init__(self, document: JsonText, at: int) -> None:
        self.document = document
        self.at = at
        self.members: list[Member] = []
        self.effective: dict[str, int] = {}
        """Index of the member that counts for a key: the last one."""
        self.changes: dict[str, Any] = {}
        """By key: an ObjectView (an object of the text, perhaps changed inside), MISSING, or a new value."""
        plain, commas = document.plain, document.commas
        position = space(plain, at + 1)
        while plain[position] != "}":
            key, key_end = scanstring(plain, position + 1)
            start = space(plain, space(plain, key_end) + 1)
            _value, end = scan_once(plain, start)
            comma = space(commas, end)
            following = comma + 1 if commas[comma] == "," else comma
            self.effective[key] = len(self.members)
            self.members.append(Member(key, position, key_end, start, end, comma if following > comma else -1))
            position = space(plain, following)
        self.close = position

    def get(self, key: str) -> Any:
        """Return an ObjectView, a dict that is new, another value (a tree if it comes from the text), or MISSING."""
        if key in self.changes:
            return self.changes[key]
        index = self.effective.get(key)
        if index is None:
            return MISSING
        member = self.members[index]
        if self.document.plain[member.start] == "{":
            child = self.changes[key] = ObjectView(self.document, member.start)
            return child
        return scan_once(self.document.plain, member.start)[0]

    def put(self, key: str, value: Any) -> None:
        """Set *key*; where the text holds that value already, nothing is to change."""
        self.changes.pop(key, None)
        original = self.get(key)
        if isinstance(original, ObjectView) and isinstance(value, dict):
            hold(original, value)
        elif original is MISSING or isinstance(original, ObjectView) or not same(original, value):
            self.changes[key] = value

    def drop(self, key: str) -> None:
        if key in self.effective:
            self.changes[key] = MISSING
        else:
            self.changes.pop(key, None)

    def keys(self) -> list[str]:
        keys = dict.fromkeys(self.effective)
        keys.update(dict.fromkeys(self.changes))
        return [key for key in keys if self.changes.get(key) is not MISSING]

    def has_comment(self) -> bool:
        text, position = self.document.text, self.at + 1
        for member in self.members:
            if "/" in text[position : member.key_start] or "/" in text[member.key_end : member.start]:
                return True
            position = member.end
        return "/" in text[position : self.close]


Container = Union[dict[str, Any], ObjectView]
"""A new object, or one of the text."""


def hold(node: Container, value: dict[str, Any]) -> None:
    """Make *node* hold exactly the members of *value*, those it has in their present order."""
    for key in keys(node):
        if key not in value:
            drop(node, key)
    for key, item in value.items():
        child = member(node, key)
        if isinstance(item, dict) and isinstance(child, (dict, ObjectView)):
            hold(child, item)
        else:
            put(node, key, item)


def member(node: Container, key: str) -> Any:
    return node.get(key) if isinstance(node, ObjectView) else node.get(key, MISSING)


def put(node: Container, key: str, value: Any) -> None:
    if isinstance(node, ObjectView):
        node.put(key, value)
    else:
        node[key] = value


def drop(node: Container, key: str) -> None:
    if isinstance(node, ObjectView):
        node.drop(key)
    else:
        del node[key]


def keys(node: Container) -> list[str]:
    return node.keys() if isinstance(node, ObjectView) else list(node)


def same(tree: Any, value: Any) -> bool:
    """Tell whether *tree*, or a value, is *value*, types included."""
    if isinstance(tree, bytes):
        tree = number(tree)
    if isinstance(tree, tuple):
        return (
            isinstance(value, dict)
            and len(tree) == len(value)
            and all(key in value and same(item, value[key]) for key, item in tree)
        )
    if isinstance(tree, list):
        return (
            isinstance(value, list)
            and len(tree) == len(value)
            and all(same(item, other) for item, other in zip(tree, value, strict=True))
        )
    return type(tree) is type(value) and bool(tree == value)


def _quote(text: str) -> str:
    """Return *text* as a JSON string.  A lone surrogate has no UTF-8 form, so it is written as an escape."""
    quoted = json.dumps(text, ensure_ascii=False)
    return quoted.encode("utf-8", "backslashreplace").decode("utf-8")


def render(value: Any, document: JsonText, indent: str) -> str:
    """Return *value* over several lines, as JSON.stringify and both clients do; *indent* is that of its first line."""
    inner = document.eol + indent + document.unit
    if isinstance(value, dict) and value:
        items = [f"{_quote(key)}: {render(item, document, indent + document.unit)}" for key, item in value.items()]
        return "{" + inner + ("," + inner).join(items) + document.eol + indent + "}"
    if isinstance(value, list) and value:
        items = [render(item, document, indent + document.unit) for item in value]
        return "[" + inner + ("," + inner).join(items) + document.eol + indent + "]"
    return _render_inline(value, "", "")


def _render_inline(value: Any, gap: str, colon_gap: str) -> str:
    """Return *value* in one line, with *gap* after a comma and *colon_gap* after a colon."""
    if isinstance(value, dict):
        items = [f"{_quote(key)}:{colon_gap}{_render_inline(item, gap, colon_gap)}" for key, item in value.items()]
        return "{" + f",{gap}".join(items) + "}"
    if isinstance(value, list):
        return "[" + f",{gap}".join(_render_inline(item, gap, colon_gap) for item in value) + "]"
    return _quote(value) if isinstance(value, str) else json.dumps(value, allow_nan=False)


def _line_indent(text: str, position: int) -> str:
    start = max(text.rfind("\n", 0, position), text.rfind("\r", 0, position)) + 1
    return _BLANKS.match(text, start)[0]  # type: ignore[index]


class _Style(NamedTuple):
    """How the members of one object are written."""

    multiline: bool
    colon: str
    gap: str
    """Between a comma and the next key, in one line."""
    indent: str
    """Of the keys, on several lines."""


def _style(node: ObjectView, index: int) -> _Style:
    """Read the style off the member *index*."""
    text, plain = node.document.text, node.document.plain
    member = node.members[index]
    colon = text[member.key_end : member.start]
    if _LINE_END.search(colon) or "/" in colon:
        colon = ": "
    before = plain[node.at + 1 if index == 0 else node.members[index - 1].end : member.key_start]
    if _LINE_END.search(before):
        return _Style(True, colon, "", _line_indent(text, member.key_start))
    spaced = before.endswith(" ") if index else colon.endswith(" ")
    return _Style(False, colon, " " if spaced else "", "")


def _write(value: Any, style: _Style, document: JsonText) -> str:
    if style.multiline:
        return render(value, document, style.indent)
    colon_gap = " " if style.colon.endswith((" ", "\t")) else ""
    return _render_inline(value, colon_gap, colon_gap)


def splices(node: ObjectView, out: list[Splice]) -> None:
    """Append the splices for *node* and what is inside it; they do not overlap."""
    text, members = node.document.text, node.members
    gone = {key for key, value in node.changes.items() if value is MISSING}
    new = [(key, value) for key, value in node.changes.items() if key not in node.effective and value is not MISSING]
    for key, value in node.changes.items():
        if isinstance(value, ObjectView):
            splices(value, out)
        elif key in node.effective and value is not MISSING:
            index = node.effective[key]
            out.append((members[index].start, members[index].end, _write(value, _style(node, index), node.document)))
    if not gone and not new:
        return
    kept = [index for index, member in enumerate(members) if member.key not in gone]
    if not members:
        out.append(_fill(node, new))
        return
    if not kept and not new:
        _empty(node, out)
        return
    if not kept:
        # The first new member takes the place of the first old one, so that its surroundings fit without a rule.
        key, value = new.pop(0)
        style, first = _style(node, 0), members[0]
        out.append((first.key_start, first.end, _quote(key) + style.colon + _write(value, style, node.document)))
        kept = [0]
    last = kept[-1]
    kept_set = set(kept)
    for index in range(last):
        if index not in kept_set:
            _remove_before(text, members[index], out)
    comma_after = members[-1].comma >= 0
    if last + 1 < len(members):
        if not new and not comma_after:
            out.append((members[last].comma, members[last].comma + 1, ""))
        _remove_tail(node, last + 1, out)
    if new:
        _append(node, last, new, comma_after, out)


def _append(node: ObjectView, index: int, new: list[tuple[str, Any]], comma_after: bool, out: list[Splice]) -> None:
    """Add members after the member *index*, the last one that stays."""
    text, document, style = node.document.text, node.document, _style(node, index)
    member = node.members[index]
    position = member.end
    if member.comma >= 0:
        position = member.comma + 1
    elif style.multiline:
        out.append((member.end, member.end, ","))
    if style.multiline:
        # A comment on the same line belongs to that member.
        position += len(_REST_OF_LINE.match(text, position)[0].rstrip(" \t"))  # type: ignore[index]
    lead = document.eol + style.indent if style.multiline else style.gap
    added = ",".join(lead + _quote(key) + style.colon + _write(value, style, document) for key, value in new)
    if member.comma < 0 and not style.multiline:
        added = "," + added
    out.append((position, position, added + "," if comma_after else added))


def _fill(node: ObjectView, new: list[tuple[str, Any]]) -> Splice:
    """Add members to an object that has none, in a way that ``_empty`` takes back exactly."""
    text, document = node.document.text, node.document
    inner = text[node.at + 1 : node.close]
    comments = list(ONE_COMMENT.finditer(inner))
    single_line = not _LINE_END.search(text.strip()) and document.plain.strip("{} \t\r\n") != ""
    if single_line and not comments:
        spaced = " " if re.search(r"\":[ \t]", text) else ""
        style = _Style(False, ":" + spaced, spaced, "")
        added = ("," + spaced).join(_quote(key) + style.colon + _write(value, style, document) for key, value in new)
        return (node.close, node.close, added)
    base = _line_indent(text, node.at)
    style = _Style(True, ": ", "", base + document.unit)
    lead = document.eol + style.indent
    added = ",".join(lead + _quote(key) + style.colon + _write(value, style, document) for key, value in new)
    if comments:
        position = node.at + 1 + comments[-1].end()
        return (position, position, added)
    if _LINE_END.search(inner):
        return (node.at + 1, node.at + 1, added + document.eol)
    return (node.close, node.close, added + document.eol + base)


def _empty(node: ObjectView, out: list[Splice]) -> None:
    """Remove all members.  White space as ``_fill`` found it is restored, comments stay."""
    text, first, last = node.document.text, node.members[0], node.members[-1]
    if node.has_comment():
        _remove_tail(node, 0, out)
        return
    before = text[node.at + 1 : first.key_start]
    after = text[max(last.end, last.comma + 1) : node.close]
    line_end = _LINE_END.search(before)
    if line_end:
        before = before[: line_end.start()]
        line_end = _LINE_END.search(after)
        after = after[line_end.end() :] if line_end else ""
        if not _LINE_END.search(after):
            after = ""
    else:
        after = ""
    out.append((node.at + 1, node.close, before + after))


def _remove_before(text: str, member: Member, out: list[Splice]) -> None:
    """Remove a member that others follow: its lines if it has them to itself, else up to the next key."""
    start, end = member.key_start, member.comma + 1
    if text[member.end : member.comma].strip(" \t\r\n"):  # a comment between value and comma
        out += ((start, member.end, ""), (member.comma, end, ""))
        return
    line_start = max(text.rfind("\n", 0, start), text.rfind("\r", 0, start)) + 1
    end = _BLANKS.match(text, end).end()  # type: ignore[union-attr]
    line_end = _LINE_END.match(text, end)
    if line_end and not text[line_start:start].strip(" \t"):
        start, end = line_start, line_end.end()
    out.append((start, end, ""))


def _remove_tail(node: ObjectView, index: int, out: list[Splice]) -> None:
    """Remove the members from *index* to the last one, with the space before each; comments stay."""
    text, document = node.document.text, node.document
    position = node.members[index - 1].comma + 1 if index else node.at + 1
    in_line_comment = False

    def keep(end: int) -> int:
        """Keep the comments before *end*, and return where the last one of them ends."""
        nonlocal in_line_comment
        comments = list(ONE_COMMENT.finditer(text, position, end))
        if not comments:
            return position
        if in_line_comment and not _LINE_END.match(text, _BLANKS.match(text, position).end()):  # type: ignore[union-attr]
            out.append((position, position, document.eol))
        in_line_comment = comments[-1][0].startswith("//")
        return comments[-1].end()

    for member in node.members[index:]:
        start = keep(member.key_start)
        out.append((start, member.end, ""))
        position = member.end
        if member.comma >= 0:
            start = keep(member.comma)
            out.append((start, member.comma + 1, ""))
            position = member.comma + 1
    if in_line_comment and not _LINE_END.match(text, _BLANKS.match(text, position).end()):  # type: ignore[union-attr]
        out.append((position, position, document.eol))
