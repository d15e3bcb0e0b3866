"""Lossless edits of JSON documents, comments and trailing commas included.  Refuses rather than guesses.

How it works: comments and trailing commas are blanked to spaces of the same length, so that CPython's own scanner
finds every value at its place in the original text.  The edits are collected on a view of the objects that they
touch (``_Object``), written as splices of the text, and proved by parsing the text before and after (``_prove``).

``apply`` keeps one more promise: what was set where nothing was, and is then unset (with ``prune`` for the parents
that came with it), gives the bytes of before.  Exception: a document without any value becomes ``{}``, because
nothing tells it from an empty object afterwards.
"""

from __future__ import annotations

import json
import re
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any, Callable, Iterable, Iterator, NamedTuple, NoReturn, Optional, Sequence, Union

from ccsetup.documents.edit import MISSING, Edit, KeyPath, Missing, Set, Unset
from ccsetup.documents.encoding import BOM, check_size, decode, encode, place
from ccsetup.documents.schema import Document, Path, Place
from ccsetup.errors import DocumentError
from ccsetup.i18n import _

__all__ = ["apply", "decode", "document", "encode", "locate", "parse", "strict", "strict_problem"]

# A parsed document that forgets nothing: an object is a tuple of (key, value) pairs in order and with duplicates,
# an array a list, a number the bytes of its text.  These types are made and compared in C, and none equals another.
_Tree = Union[tuple[Any, ...], list[Any], bytes, str, bool, None]

_Splice = tuple[int, int, str]
"""Start and end in the text, and what comes there instead."""

# Both always match to the end of an open string or comment: were they to fail there, the search would start again
# at every later quote, and take quadratic time.
_STRING = r'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)'
_COMMENT = r"//[^\r\n]*|/\*.*?(?:\*/|\Z)"

_STRING_OR_COMMENT = re.compile(f"{_STRING}|{_COMMENT}", re.S)
_STRING_OR_TRAILING = re.compile(rf"{_STRING}|,(?=[ \t\r\n]*[}}\]])", re.S)
_ONE_COMMENT = re.compile(_COMMENT, re.S)
_NOT_LINE_END = re.compile(r"[^\r\n]")
_LINE_END = re.compile(r"\r\n|\n|\r")
_SPACE = re.compile(r"[ \t\r\n]*")
_BLANKS = re.compile(r"[ \t]*")
_REST_OF_LINE = re.compile(r"(?:[ \t]|/\*[^\r\n]*?\*/)*(?://[^\r\n]*)?")
_SURROGATE = re.compile("[\ud800-\udfff]")


def parse(text: str) -> Any:
    """Return the data of *text*: JSON, or JSON with comments and trailing commas.

    A text without any value gives ``{}``.  Of duplicate keys the last one counts, as in JSON.parse.
    Raises DocumentError with line and column.
    """
    document = _read(text, _plain_decoder)
    return {} if document.empty else document.tree


def strict_problem(text: str) -> Optional[DocumentError]:
    """Return the first place where *text* is not strict JSON, or None.

    Claude Code ignores a whole settings.json for one comment or one trailing comma, without a word
    (observed with 2.1.197); a byte order mark, CRLF and duplicate keys are fine with it.
    """
    try:
        document = _read(text)
    except DocumentError as error:
        return error
    if document.comment >= 0 and (document.trailing < 0 or document.comment < document.trailing):
        position, message = document.comment, _("There is a comment here, which strict JSON does not allow.")
    elif document.trailing >= 0:
        position, message = document.trailing, _("There is a trailing comma here, which strict JSON does not allow.")
    else:
        return None
    line, column = place(document.text, position)
    return DocumentError(message, line=line, column=column)


def strict(text: str) -> str:
    """Return *text* without comments and trailing commas; lines that held only comments go, the rest stays.

    Raises DocumentError when the text is not JSON even so.
    """
    document = _read(text)
    if document.comment < 0 and document.trailing < 0:
        return text
    out = []
    position = 0
    for found in [*_LINE_END.finditer(document.text), None]:
        end = found.start() if found else len(document.text)
        after = found.end() if found else end
        line = document.plain[position:end]
        if line == document.text[position:end]:
            out.append(document.text[position:after])
        elif line.strip(" \t"):
            out.append(line.rstrip(" \t") + document.text[end:after])
        position = after
    result = "".join(out)
    if not document.empty and _read(result).tree != document.tree:
        raise _internal()
    return document.bom + result


def locate(text: str, path: KeyPath) -> int:
    """Return the line, from 1, where the last key of *path* stands; 0 if it is not there."""
    document = _read(text)
    node: Any = document.root() if isinstance(document.tree, tuple) and not document.empty else None
    member = None
    for key in path:
        if not isinstance(node, _Object) or key not in node.effective:
            return 0
        member = node.members[node.effective[key]]
        node = node.get(key)
    return place(document.text, member.key_start)[0] if member else 0


def document(text: str, name: str) -> Document:
    """Return *text* ready to be read by a table; DocumentError names file, line and column."""
    try:
        data = parse(text)
    except DocumentError as e:
        raise DocumentError(f"{name}:{e.line}:{e.column}: {e.message}", line=e.line, column=e.column) from None
    return Document(name, data, lambda path, key: _place(_read(text), path, key))


def _place(document: _Document, path: Path, key: bool) -> Place:
    """Return where the value at *path*, or its key, stands; else that of the deepest value on the way."""
    plain = document.plain
    start = _space(plain, 0)
    for i, step in enumerate(path):
        members = {name: places for name, *places in _members(plain, start)}
        if step not in members:
            break
        start = members[step][0 if key and i == len(path) - 1 else 1]
    return place(document.text, start)


def _members(plain: str, start: int) -> Iterator[tuple[Union[str, int], int, int]]:
    """Yield key, or index, of everything in the object or the array at *start*: where it begins, and its value."""
    closing = {"{": "}", "[": "]"}.get(plain[start : start + 1], "")
    at, index = _space(plain, start + 1), 0
    while closing and plain[at] != closing:
        name: Union[str, int] = index
        begin = at
        if closing == "}":
            name, at = scanstring(plain, at + 1)
            at = _space(plain, _space(plain, at) + 1)  # past the colon
        yield name, begin, at
        at = _space(plain, _scan_once(plain, at)[1])
        if plain[at] == ",":
            at = _space(plain, at + 1)
        index += 1


def apply(text: str, edits: Sequence[Edit]) -> str:
    """Return *text* after *edits*, in their order; nothing else changes.

    A dict as value makes an object hold exactly these members: those that are there already keep their place and
    their comments.  A parent that would be pruned stays when it holds a comment.  Raises DocumentError when the text
    is not JSON, when something on a path is no object, and when the result does not prove right.
    """
    document = _read(text)
    try:
        return _apply(document, text, edits)
    except RecursionError:
        raise _too_deep() from None


def _apply(document: _Document, text: str, edits: Sequence[Edit]) -> str:
    if document.empty:
        data: dict[str, Any] = {}
        for edit in edits:
            _perform(data, edit, document)
        if not data:
            return text
        gap = "" if not document.text.strip() or document.text.endswith(("\n", "\r")) else document.eol
        return document.bom + document.text + gap + _render(data, document, "") + document.eol
    resolved, splices = _plan(document, edits)
    if not splices:
        return text
    after = _spliced(document.text, splices)
    _prove(document.tree, resolved, after, edits)
    return document.bom + after


def _plan(document: _Document, edits: Sequence[Edit]) -> tuple[list[Edit], list[_Splice]]:
    """Return the edits as they are done (see ``_perform``), and what they change in the text."""
    if not isinstance(document.tree, tuple):
        line, column = place(document.text, _space(document.plain, 0))
        raise DocumentError(_("The document is not a JSON object."), line=line, column=column)
    root = document.root()
    resolved = [_perform(root, edit, document) for edit in edits]
    splices: list[_Splice] = []
    _splices(root, splices)
    return resolved, splices


# Reading


class _Document:
    """A text, what it means, and where its values stand."""

    __slots__ = ("bom", "commas", "comment", "empty", "eol", "plain", "text", "trailing", "tree", "unit")

    def __init__(self, bom: str, text: str) -> None:
        self.bom = bom
        self.text = text
        self.plain = self.commas = text
        """``commas``: comments blanked; ``plain``: trailing commas too.  As long as the text."""
        self.comment = self.trailing = -1
        """Where the first comment and the first trailing comma stand."""
        self.tree: _Tree = None
        self.empty = False
        # A file with lone CRs is old Mac; a CR before the first LF elsewhere is only that line's.
        found = re.search(r"\r?\n", text) or re.search(r"\r", text)
        self.eol = found[0] if found else "\n"
        found = re.search(r"[\r\n]([ \t]+)\"", text)
        self.unit = found[1] if found else "  "

    def root(self) -> _Object:
        return _Object(self, _space(self.plain, 0))


def _refuse_constant(text: str) -> NoReturn:
    raise _ConstantError(text)


class _ConstantError(ValueError):
    """NaN or Infinity, which CPython's scanner takes and JSON does not have."""


def _number(text: Union[str, bytes]) -> Union[int, float]:
    try:
        return int(text)
    except ValueError:
        # Not an integer, or one of more digits than Python converts (4300): then the nearest float, as JavaScript.
        return float(text)


_plain_decoder = json.JSONDecoder(parse_int=_number, parse_constant=_refuse_constant)
_decoder = json.JSONDecoder(
    object_pairs_hook=tuple, parse_int=str.encode, parse_float=str.encode, parse_constant=_refuse_constant
)
_scan_once: Callable[[str, int], tuple[Any, int]] = _decoder.scan_once  # type: ignore[attr-defined]


def _read(text: str, decoder: json.JSONDecoder = _decoder) -> _Document:
    check_size(text)
    document = _Document(BOM, text[1:]) if text.startswith(BOM) else _Document("", text)
    try:
        try:
            document.tree = decoder.decode(document.text)
        except json.JSONDecodeError:
            _blank(document)
            document.empty = not document.plain.strip(" \t\r\n")
            if not document.empty:
                document.tree = decoder.decode(document.plain)
    except json.JSONDecodeError as error:
        line, column = place(document.text, error.pos)
        raise DocumentError(
            _("This is not JSON: {reason}.").format(reason=error.msg[:1].lower() + error.msg[1:]),
            line=line,
            column=column,
        ) from None
    except _ConstantError as error:
        found = re.search(rf"(?<![\w\"]){error}(?![\w\"])", document.plain)
        line, column = place(document.text, found.start()) if found else (0, 0)
        raise DocumentError(_("JSON has no NaN and no Infinity."), line=line, column=column) from None
    except RecursionError:
        raise _too_deep() from None
    return document


def _too_deep() -> DocumentError:
    return DocumentError(_("The document is nested too deeply."))


def _blank(document: _Document) -> None:
    def comment(found: re.Match[str]) -> str:
        token = found[0]
        if token[0] == '"':
            return token
        if document.comment < 0:
            document.comment = found.start()
        if token[1] == "*" and (len(token) < 4 or not token.endswith("*/")):
            line, column = place(document.text, found.start())
            raise DocumentError(_("A comment that begins here does not end."), line=line, column=column)
        return _NOT_LINE_END.sub(" ", token)

    def comma(found: re.Match[str]) -> str:
        token = found[0]
        if token[0] == '"':
            return token
        before = found.start() - 1
        while before >= 0 and document.commas[before] in " \t\r\n":
            before -= 1
        if before < 0 or document.commas[before] in "{[,:":
            return token  # a comma after nothing, which no dialect allows: the parser will say so
        if document.trailing < 0:
            document.trailing = found.start()
        return " "

    document.commas = _STRING_OR_COMMENT.sub(comment, document.text)
    document.plain = _STRING_OR_TRAILING.sub(comma, document.commas)


def _space(text: str, position: int) -> int:
    return _SPACE.match(text, position).end()  # type: ignore[union-attr]


# The view of the objects that are touched


class _Member(NamedTuple):
    key: str
    key_start: int
    key_end: int
    start: int
    end: int
    comma: int
    """Where its comma stands, or -1."""


class _Object:
    """An object of the text, with what is to become of its members."""

    __slots__ = ("at", "changes", "close", "document", "effective", "members")

    def __init__(self, document: _Document, at: int) -> None:
        self.document = document
        self.at = at
        self.members: list[_Member] = []
        self.effective: dict[str, int] = {}
        """Index of the member that counts for a key: the last one."""
        self.changes: dict[str, Any] = {}
        """By key: an _Object (an object of the text, perhaps changed inside), MISSING, or a new value."""
        plain, commas = document.plain, document.commas
        position = _space(plain, at + 1)
        while plain[position] != "}":
            key, key_end = scanstring(plain, position + 1)
            start = _space(plain, _space(plain, key_end) + 1)
            _value, end = _scan_once(plain, start)
            comma = _space(commas, end)
            following = comma + 1 if commas[comma] == "," else comma
            self.effective[key] = len(self.members)
            self.members.append(_Member(key, position, key_end, start, end, comma if following > comma else -1))
            position = _space(plain, following)
        self.close = position

    def get(self, key: str) -> Any:
        """Return an _Object, a dict that is new, another value (a tree if it comes from the text), or MISSING."""
        if key in self.changes:
            return self.changes[key]
        index = self.effective.get(key)
        if index is None:
            return MISSING
        member = self.members[index]
        if self.document.plain[member.start] == "{":
            child = self.changes[key] = _Object(self.document, member.start)
            return child
        return _scan_once(self.document.plain, member.start)[0]

    def put(self, key: str, value: Any) -> None:
        """Set *key*; where the text holds that value already, nothing is to change."""
        self.changes.pop(key, None)
        original = self.get(key)
        if isinstance(original, _Object) and isinstance(value, dict):
            _hold(original, value)
        elif original is MISSING or isinstance(original, _Object) or not _same(original, value):
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


_Container = Union[dict[str, Any], _Object]


def _perform(root: _Container, edit: Edit, document: _Document) -> Edit:
    """Do *edit* on the view, and return it as it was done: an Unset names how many parents really went."""
    path = edit.path
    if not path:
        raise DocumentError(_("An edit has to name a key."))
    node = root
    chain = [node]
    for depth, key in enumerate(path[:-1], 1):
        child = _get(node, key)
        if child is MISSING:
            if isinstance(edit, Unset):
                return Unset(path)
            child = {}
            _put(node, key, child)
            child = _get(node, key)
        if not isinstance(child, (dict, _Object)):
            if isinstance(edit, Unset):
                return Unset(path)
            raise _no_object(document, path[:depth])
        node = child
        chain.append(node)
    if isinstance(edit, Set):
        value = _checked(edit.value)
        child = _get(node, path[-1])
        if isinstance(value, dict) and isinstance(child, (dict, _Object)):
            _hold(child, value)
        else:
            _put(node, path[-1], value)
        return edit
    if _get(node, path[-1]) is MISSING:
        return Unset(path)
    _drop(node, path[-1])
    pruned = 0
    while pruned < edit.prune and len(chain) > 1 and not _keys(chain[-1]):
        parent = chain.pop()
        if isinstance(parent, _Object) and parent.has_comment():
            break
        pruned += 1
        _drop(chain[-1], path[-1 - pruned])
    return Unset(path, pruned)


def _hold(node: _Container, value: dict[str, Any]) -> None:
    """Make *node* hold exactly the members of *value*, those it has in their present order."""
    for key in _keys(node):
        if key not in value:
            _drop(node, key)
    for key, item in value.items():
        child = _get(node, key)
        if isinstance(item, dict) and isinstance(child, (dict, _Object)):
            _hold(child, item)
        else:
            _put(node, key, item)


def _get(node: _Container, key: str) -> Any:
    return node.get(key) if isinstance(node, _Object) else node.get(key, MISSING)


def _put(node: _Container, key: str, value: Any) -> None:
    if isinstance(node, _Object):
        node.put(key, value)
    else:
        node[key] = value


def _drop(node: _Container, key: str) -> None:
    if isinstance(node, _Object):
        node.drop(key)
    else:
        del node[key]


def _keys(node: _Container) -> list[str]:
    return node.keys() if isinstance(node, _Object) else list(node)


def _no_object(document: _Document, path: KeyPath) -> DocumentError:
    line = locate(document.text, path)
    return DocumentError(_("“{key}” is not an object.").format(key=".".join(path)), line=line, column=1 if line else 0)


def _checked(value: Any) -> Any:
    """Return a copy of *value*, or refuse what JSON cannot hold."""
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise DocumentError(_("A key of a JSON object has to be text."))
        return {key: _checked(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_checked(item) for item in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        raise DocumentError(_("JSON has no NaN and no Infinity."))
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    raise DocumentError(_("JSON cannot hold a value of type {type}.").format(type=type(value).__name__))


def _same(tree: Any, value: Any) -> bool:
    """Tell whether *tree*, or a value, is *value*, types included."""
    if isinstance(tree, bytes):
        tree = _number(tree)
    if isinstance(tree, tuple):
        return (
            isinstance(value, dict)
            and len(tree) == len(value)
            and all(key in value and _same(item, value[key]) for key, item in tree)
        )
    if isinstance(tree, list):
        return (
            isinstance(value, list)
            and len(tree) == len(value)
            and all(_same(item, other) for item, other in zip(tree, value, strict=True))
        )
    return type(tree) is type(value) and bool(tree == value)


# Writing


def _quote(text: str) -> str:
    """Return *text* as a JSON string.  A lone surrogate has no UTF-8 form, so it is written as an escape."""
    quoted = json.dumps(text, ensure_ascii=False)
    return _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", quoted)


def _render(value: Any, document: _Document, indent: str) -> str:
    """Return *value* over several lines, as JSON.stringify and both clients do; *indent* is that of its first line."""
    inner = document.eol + indent + document.unit
    if isinstance(value, dict) and value:
        items = [f"{_quote(key)}: {_render(item, document, indent + document.unit)}" for key, item in value.items()]
        return "{" + inner + ("," + inner).join(items) + document.eol + indent + "}"
    if isinstance(value, list) and value:
        items = [_render(item, document, indent + document.unit) for item in value]
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


def _spliced(text: str, splices: Iterable[_Splice]) -> str:
    parts: list[str] = []
    position = 0
    for start, end, new in sorted(splices, key=lambda splice: splice[:2]):
        if start < position:
            raise _internal()
        parts += (text[position:start], new)
        position = end
    parts.append(text[position:])
    return "".join(parts)


class _Style(NamedTuple):
    """How the members of one object are written."""

    multiline: bool
    colon: str
    gap: str
    """Between a comma and the next key, in one line."""
    indent: str
    """Of the keys, on several lines."""


def _style(node: _Object, index: int) -> _Style:
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


def _write(value: Any, style: _Style, document: _Document) -> str:
    if style.multiline:
        return _render(value, document, style.indent)
    colon_gap = " " if style.colon.endswith((" ", "\t")) else ""
    return _render_inline(value, colon_gap, colon_gap)


def _splices(node: _Object, out: list[_Splice]) -> None:
    """Append the splices for *node* and what is inside it; they do not overlap."""
    text, members = node.document.text, node.members
    gone = {key for key, value in node.changes.items() if value is MISSING}
    new = [(key, value) for key, value in node.changes.items() if key not in node.effective and value is not MISSING]
    for key, value in node.changes.items():
        if isinstance(value, _Object):
            _splices(value, out)
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


def _append(node: _Object, index: int, new: list[tuple[str, Any]], comma_after: bool, out: list[_Splice]) -> None:
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


def _fill(node: _Object, new: list[tuple[str, Any]]) -> _Splice:
    """Add members to an object that has none, in a way that ``_empty`` takes back exactly."""
    text, document = node.document.text, node.document
    inner = text[node.at + 1 : node.close]
    comments = list(_ONE_COMMENT.finditer(inner))
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


def _empty(node: _Object, out: list[_Splice]) -> None:
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


def _remove_before(text: str, member: _Member, out: list[_Splice]) -> None:
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


def _remove_tail(node: _Object, index: int, out: list[_Splice]) -> None:
    """Remove the members from *index* to the last one, with the space before each; comments stay."""
    text, document = node.document.text, node.document
    position = node.members[index - 1].comma + 1 if index else node.at + 1
    in_line_comment = False

    def keep(end: int) -> int:
        """Keep the comments before *end*, and return where the last one of them ends."""
        nonlocal in_line_comment
        comments = list(_ONE_COMMENT.finditer(text, position, end))
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


# Proving


class _Expected:
    """What an object should be afterwards: worked out on the parsed data alone, without the text."""

    __slots__ = ("pairs", "touched")

    def __init__(self, pairs: tuple[Any, ...]) -> None:
        self.pairs = pairs
        self.touched: dict[str, Any] = {}
        """By key: an _Expected, a tree, or MISSING."""

    def get(self, key: str) -> Any:
        if key not in self.touched:
            found: Any = MISSING
            for name, value in self.pairs:
                if name == key:
                    found = value
            self.touched[key] = _Expected(found) if isinstance(found, tuple) else found
        return self.touched[key]

    def put(self, key: str, value: Any) -> None:
        old = self.get(key)
        if isinstance(value, dict):
            if not isinstance(old, _Expected):
                old = self.touched[key] = _Expected(())
            for name in {name for name, _value in old.pairs} | set(old.touched):
                if name not in value:
                    old.touched[name] = MISSING
            for name, item in value.items():
                old.put(name, item)
        elif isinstance(old, (_Expected, Missing)) or not _same(old, value):
            self.touched[key] = _tree(value)

    def holds(self) -> bool:
        return any(self.get(name) is not MISSING for name in {name for name, _v in self.pairs} | set(self.touched))

    def perform(self, edit: Edit) -> None:
        node, chain = self, [self]
        for key in edit.path[:-1]:
            child = node.get(key)
            if not isinstance(child, _Expected):
                if isinstance(edit, Unset):
                    return
                child = node.touched[key] = _Expected(())
            node = child
            chain.append(node)
        if isinstance(edit, Set):
            node.put(edit.path[-1], edit.value)
            return
        node.touched[edit.path[-1]] = MISSING
        for depth in range(1, edit.prune + 1):
            if chain[-depth].holds():
                raise _internal()
            chain[-depth - 1].touched[edit.path[-1 - depth]] = MISSING

    def matches(self, tree: Any) -> bool:
        if not isinstance(tree, tuple):
            return False
        touched = self.touched
        if [p for p in tree if p[0] not in touched] != [p for p in self.pairs if p[0] not in touched]:
            return False
        values = dict(tree)
        for key, value in touched.items():
            if value is MISSING:
                if key in values:
                    return False
                continue
            if key not in values:
                return False
            if not (value.matches(values[key]) if isinstance(value, _Expected) else value == values[key]):
                return False
        return True


def _tree(value: Any) -> _Tree:
    if isinstance(value, dict):
        return tuple((key, _tree(item)) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return [_tree(item) for item in value]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return json.dumps(value).encode()
    return value if value is None or isinstance(value, bool) else str(value)


def _prove(tree: _Tree, resolved: Sequence[Edit], after: str, edits: Sequence[Edit]) -> None:
    """Raise DocumentError unless *after* means *tree* with the edits done, and doing them again changes nothing."""
    try:
        document = _read(after)
    except DocumentError:
        raise _internal() from None
    try:
        again = _plan(document, edits)[1]
    except DocumentError:  # one edit sets an object where a later one sets something else
        raise DocumentError(_("The edits contradict one another, so nothing was changed.")) from None
    expected = _Expected(tree if isinstance(tree, tuple) else ())
    for edit in resolved:
        expected.perform(edit)
    if again or not expected.matches(document.tree):
        raise _internal()


def _internal() -> DocumentError:
    return DocumentError(
        _("An internal check of the edit failed, so nothing was changed. This is a bug in ccsetup."),
        hint=_("Please report it, with the file if it holds no keys."),
    )
