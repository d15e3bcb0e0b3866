"""Hand-written files: one table says what may stand in a file; it reads the file, and it becomes its JSON Schema.

A *kind* turns the plain value at a place of the file into the value that the program uses, or refuses it with
``name:line:column: key: problem`` and the nearest known word.  The tables stand beside the values that they make:
``presets.spec``, ``relay.config.table`` and ``relay.config.access``, ``profiles.declare``, ``profiles.apiconfigs`` and
``profiles``.  Any parser gives the plain value (YAML, JSON, TOML); where a key stands in the text is asked only when
something is wrong.

Plain classes, because those are made faster than NamedTuples: every command reads ``profiles.toml``.
"""

from __future__ import annotations

import math
import re
from typing import Any, Callable, Collection, Mapping, NoReturn, Optional, Union

from ccsetup import urls
from ccsetup.errors import CcsetupError, DocumentError, printable
from ccsetup.i18n import _

Path = tuple[Union[str, int], ...]
"""Keys and, in lists, indexes from 0."""

Place = tuple[int, int]
"""Line and column, counted from 1."""

Places = Callable[[Path, bool], Place]
"""Where the value at a path stands, or, with True, its key; where it is missing: what should hold it."""

ABSENT: Any = object()
"""The default of a key that has none: nothing is made of it where it is missing."""


class Document:
    """One file while it is read."""

    def __init__(self, name: str, data: Any, places: Optional[Places] = None, *, shipped: bool = False) -> None:
        """*places* None: the data stands in no text."""
        self.name = name
        self.data = data
        self.shipped = shipped
        """One of our own files: what users may leave out can be required there."""
        self.unknown: dict[Path, Any] = {}
        """What stands in blocks that keep what they do not know."""
        self.failed: Path = ()
        """Where the last error is."""
        self._places = places

    def read(self, kind: Kind) -> Any:
        """Return what *kind* makes of the document.  Raises DocumentError."""
        return kind.read(self, self.data, ())

    def version(self, key: str, version: int) -> None:
        """Refuse a document that does not say *version* at *key*; one without the key is left to its table."""
        found = self.data.get(key, version) if isinstance(self.data, dict) else version
        if found != version or isinstance(found, bool):
            problem = _("This is not version {version} of the document.").format(version=version)
            self.fail((key,), problem, _("It begins with the line: {line}").format(line=f"{key}: {version}"))

    def place(self, path: Path, *, key: bool = False) -> Place:
        return self._places(path, key) if self._places else (0, 0)

    def error(
        self, path: Path, problem: str, hint: str = "", *, key: bool = False, where: bool = True
    ) -> DocumentError:
        """Return the error that *problem* at *path*, or with *key* at its key, is; *where*: it names the path."""
        self.failed = path
        line, column = self.place(path, key=key)
        name = f"{self.name}:{line}:{column}" if line else self.name
        named = f"{written(path)}: " if path and where else ""
        return DocumentError(f"{name}: {named}{problem}", line=line, column=column, hint=hint)

    def fail(self, path: Path, problem: str, hint: str = "", *, key: bool = False) -> NoReturn:
        raise self.error(path, problem, hint, key=key)

    def missing(self, path: Path, key: str) -> NoReturn:
        self.fail(path, _("'{key}' is missing.").format(key=key))

    def mapping(self, value: Any, path: Path) -> dict[str, Any]:
        if not isinstance(value, dict):
            self.fail(path, _("This has to be a mapping of names to values."))
        return value

    def stranger(self, path: Path, known: Collection[str], hint: str = "") -> NoReturn:
        """Refuse the key at *path*, which is none of *known*."""
        word = str(path[-1])
        at = f"{written(path[:-1])}: " if path[:-1] else ""
        problem = at + _("unknown field '{word}'.").format(word=printable(word, 40))
        from ccsetup.documents.nearest import suggestion

        raise self.error(path, problem, hint or suggestion(word, known), key=True, where=False)


class Kind:
    """What may stand at one place."""

    null = False
    """Nothing says something here, too."""

    def read(self, at: Document, value: Any, path: Path) -> Any:
        """Return what the program uses for *value*, which stands at *path*.  Raises DocumentError."""
        raise NotImplementedError

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema (draft 2020-12), for editors; it says less where only the program can know more."""
        raise NotImplementedError


class String(Kind):
    """One line of text."""

    def __init__(
        self,
        pattern: str = "",
        problem: Optional[Callable[[], str]] = None,
        *,
        hint: Optional[Callable[[], str]] = None,
        one_of: Collection[str] = (),
        empty: bool = False,
        make: Optional[Callable[[str], Any]] = None,
        schema: Mapping[str, Any] = {},
    ) -> None:
        """*pattern* matches the whole text; *problem* and *hint* say what is wrong where it does not.

        *make* turns the text into a value; it may raise CcsetupError.  *schema*: what JSON Schema can say of that.
        """
        self.pattern = pattern
        self.problem = problem
        self.hint = hint
        self.one_of = tuple(one_of)
        self.empty = empty or "" in self.one_of
        self.make = make
        self._more = schema

    def read(self, at: Document, value: Any, path: Path) -> Any:
        if not isinstance(value, str):
            at.fail(path, _("This has to be text."), _("Put it in quotes."))
        return self.value(at, value, path)

    def value(self, at: Document, text: str, path: Path, *, key: bool = False) -> Any:
        """Return what is made of *text*, which stands at *path*, or is the key there."""
        if not text and not self.empty:
            at.fail(path, _("This is empty."), key=key)
        if self.one_of and text not in self.one_of:
            problem = _("This has to be one of: {known}.").format(known=", ".join(filter(None, self.one_of)))
            from ccsetup.documents.nearest import suggestion

            at.fail(path, problem, suggestion(text, self.one_of, else_all=False), key=key)
        if self.pattern and text and not re.fullmatch(self.pattern, text):
            problem = self.problem() if self.problem else _("This is not what can stand here.")
            at.fail(path, problem, self.hint() if self.hint else "", key=key)
        if self.make is None:
            return text
        try:
            return self.make(text)
        except CcsetupError as error:
            at.fail(path, error.message, error.hint, key=key)

    def schema(self) -> dict[str, Any]:
        schema: dict[str, Any] = {"type": "string"}
        if self.one_of:
            schema["enum"] = list(self.one_of)
        elif not self.empty:
            schema["minLength"] = 1
        patterns = self.patterns()
        if self.empty:
            patterns = [f"^$|{pattern}" for pattern in patterns]
        if len(patterns) == 1:
            schema["pattern"] = patterns[0]
        elif patterns:
            schema["allOf"] = [{"pattern": pattern} for pattern in patterns]
        return {**schema, **self._more}

    def patterns(self) -> list[str]:
        return [f"^(?:{self.pattern})$"] if self.pattern else []


class Url(String):
    """A base URL."""

    def __init__(
        self, *, empty: bool = False, claude: bool = False, make: Optional[Callable[[str], Any]] = None
    ) -> None:
        """*claude*: Claude Code appends ``/v1/messages`` to it, which must not stand there already."""
        super().__init__(empty=empty, make=make)
        self.claude = claude

    def value(self, at: Document, text: str, path: Path, *, key: bool = False) -> Any:
        problem = urls.problem(text, claude=self.claude) if text else ""
        if problem:
            at.fail(path, problem, key=key)
        return super().value(at, text, path, key=key)

    def patterns(self) -> list[str]:
        return [urls.PATTERN, urls.CLAUDE_PATTERN] if self.claude else [urls.PATTERN]


class Number(Kind):
    """A number from *low* to *high*; None: any.  *unit* is for readers of the schema; *null*: "no limit" is one too."""

    def __init__(
        self,
        low: Optional[float] = 0,
        high: Optional[float] = None,
        *,
        decimal: bool = False,
        unit: str = "",
        null: bool = False,
    ) -> None:
        self.low = low
        self.high = high
        self.decimal = decimal
        self.unit = unit
        self.null = null

    def read(self, at: Document, value: Any, path: Path) -> Any:
        if value is None and self.null:
            return None
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            at.fail(path, _("This has to be a number.") if self.decimal else _("This has to be a whole number."))
        if not self.decimal and isinstance(value, float):
            if not value.is_integer():
                at.fail(path, _("This has to be a whole number."))
            value = int(value)
        low, high = self.low, self.high
        if (low is not None and value < low) or (high is not None and value > high):
            if high is None:
                at.fail(path, _("This has to be at least {n}.").format(n=low))
            at.fail(path, _("This has to be a number from {low} to {high}.").format(low=low, high=high))
        return value

    def schema(self) -> dict[str, Any]:
        out: dict[str, Any] = {"type": "number" if self.decimal else "integer"}
        out.update({k: v for k, v in (("minimum", self.low), ("maximum", self.high)) if v is not None})
        return _nullable(out) if self.null else out


class Flag(Kind):
    """true or false."""

    def read(self, at: Document, value: Any, path: Path) -> Any:
        if not isinstance(value, bool):
            at.fail(path, _("This has to be true or false."))
        return value

    def schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


class Scalar(Kind):
    """Text, a number, true or false."""

    def read(self, at: Document, value: Any, path: Path) -> Any:
        if value is None or isinstance(value, (list, dict)):
            at.fail(path, _("This has to be text, a number, true or false."))
        return value

    def schema(self) -> dict[str, Any]:
        return {"type": ["string", "number", "boolean"]}


class Many(Kind):
    """A list of at least *least* entries; with *single* the entry itself may stand where there is just one."""

    def __init__(
        self, item: Kind, least: int = 0, *, single: bool = False, make: Callable[[list[Any]], Any] = list
    ) -> None:
        self.item = item
        self.least = least
        self.single = single
        self.make = make

    def read(self, at: Document, value: Any, path: Path) -> Any:
        if not isinstance(value, list):
            if self.single:
                return self.make([self.item.read(at, value, path)])
            at.fail(path, _("This has to be a list."))
        if len(value) < self.least:
            at.fail(path, _("This list is empty."))
        return self.make([self.item.read(at, child, (*path, i)) for i, child in enumerate(value)])

    def schema(self) -> dict[str, Any]:
        least = {"minItems": self.least} if self.least else {}
        many = {"type": "array", "items": self.item.schema(), **least}
        return {"anyOf": [self.item.schema(), many]} if self.single else many


class Mapped(Kind):
    """A mapping whose keys are the user's own, of the kind *name*, to values of one kind."""

    def __init__(self, item: Kind, name: String) -> None:
        self.item = item
        self.name = name

    def read(self, at: Document, value: Any, path: Path) -> Any:
        out: dict[str, Any] = {}
        for name, item in at.mapping(value, path).items():
            here = (*path, name)
            if self.name.one_of and name not in self.name.one_of:
                at.stranger(here, self.name.one_of)
            self.name.value(at, name, here, key=True)
            out[name] = self.item.read(at, item, here)
        return out

    def schema(self) -> dict[str, Any]:
        if self.name.one_of:
            properties = {name: self.item.schema() for name in self.name.one_of}
            return {"type": "object", "properties": properties, "additionalProperties": False}
        names = self.name.schema()
        names.pop("type")
        return {"type": "object", "propertyNames": names, "additionalProperties": self.item.schema()}


class Key:
    """One key of a block."""

    def __init__(
        self,
        kind: Kind,
        what: str,
        field: Optional[str] = None,
        default: Any = ABSENT,
        *,
        required: bool = False,
        shipped: bool = False,
    ) -> None:
        """*field*: its name in what is made of the block; "" leaves it out.  *shipped*: required in files of ours."""
        self.kind = kind
        self.what = what
        self.field = field
        self.default = default
        self.required = required
        self.shipped = shipped


class Block(Kind):
    """A mapping with known keys."""

    def __init__(
        self,
        title: str,
        keys: Mapping[str, Key],
        *,
        make: Optional[Callable[..., Any]] = None,
        rule: Optional[Callable[[Document, dict[str, Any], Path], None]] = None,
        blank: bool = False,
        null: bool = False,
        keep: bool = False,
        spelling: Optional[Callable[[str], str]] = None,
        hint: Optional[Callable[[str], str]] = None,
        schema: Mapping[str, Any] = {},
    ) -> None:
        """*make* is given what the file has, by field; without it a dict with every field is made.

        *rule* checks what concerns several keys.  *blank*: a key with nothing behind it is as if it were not there;
        *null*: so is every key of a block with nothing behind it.  *keep*: what is not known is noted, not refused.
        *spelling*: the known name of a key that may be spelt in several ways; *hint*: what was meant by another.
        *schema*: what JSON Schema can say of *rule*.
        """
        self.title = title
        self.keys = keys
        self.make = make
        self.rule = rule
        self.blank = blank
        self.null = null
        self.keep = keep
        self.spelling = spelling
        self.hint = hint
        self._more = schema
        self._defaults: Mapping[str, Any] = getattr(make, "_field_defaults", {})

    def read(self, at: Document, value: Any, path: Path) -> Any:
        value = {} if value is None and self.null else at.mapping(value, path)
        here = self._known(at, value, path)
        given: dict[str, Any] = {}
        for name, key in self.keys.items():
            if name in here:
                field = name if key.field is None else key.field
                read = key.kind.read(at, value[here[name]], (*path, here[name]))
                if field:
                    given[field] = read
            elif key.required:
                at.missing(path, name)
        for name, key in self.keys.items() if self.make is None else ():
            field = name if key.field is None else key.field
            if at.shipped and key.shipped and name not in here:
                at.missing(path, name)
            if field and field not in given:
                given[field] = None if key.default is ABSENT else key.default
        if self.rule is not None:
            self.rule(at, given, path)
        return given if self.make is None else self.make(**given)

    def _known(self, at: Document, value: dict[str, Any], path: Path) -> dict[str, str]:
        """Return the keys of *value* that say something: our name, and how it is spelt there."""
        here: dict[str, str] = {}
        for spelt, item in value.items():
            name = self.spelling(spelt) if self.spelling else spelt
            key = self.keys.get(name)
            if key is None:
                if not self.keep:
                    at.stranger((*path, spelt), self.keys, self.hint(spelt) if self.hint else "")
                at.unknown[*path, spelt] = item
            elif name in here:
                at.fail((*path, spelt), _("The key '{key}' appears twice.").format(key=name), key=True)
            elif item is not None or not self.blank or key.kind.null:
                here[name] = spelt
        return here

    def schema(self) -> dict[str, Any]:
        properties = {}
        for name, key in self.keys.items():
            own = key.kind.schema()
            optional = self.blank and not key.required
            default = self._defaults.get(name if key.field is None else key.field, ABSENT)
            default = default if key.default is ABSENT else key.default
            unit = getattr(key.kind, "unit", "")
            out = {
                "description": f"{key.what} ({unit})" if unit else key.what,
                **(_nullable(own) if optional and not key.kind.null else own),
            }
            if isinstance(default, (str, int, float, list, dict)) and default not in ("", [], {}):
                out["default"] = default
            properties[name] = out
        required = [name for name, key in self.keys.items() if key.required]
        schema: dict[str, Any] = {"title": self.title, "type": "object", "properties": properties}
        if not self.keep:
            schema["additionalProperties"] = False
        if required:
            schema["required"] = required
        return {**(_nullable(schema) if self.null else schema), **self._more}


VARIABLE = String("[A-Za-z_][A-Za-z0-9_]*", lambda: _("This is not the name of a variable."))
CURRENCY = String("[A-Z]{3}", lambda: _("A currency is written as USD or CNY."))


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    if isinstance(schema.get("type"), str) and "enum" not in schema:
        return {**schema, "type": [schema["type"], "null"]}
    return {"anyOf": [schema, {"type": "null"}]}


def written(path: Path) -> str:
    """Return *path* as people write it: ``regions[0].claude-code.auth``; in a list at the top, ``entry 1.name``."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{printable(step, 64)}" for step in path)
    if path and isinstance(path[0], int):
        text = _("entry {n}").format(n=path[0] + 1) + text[text.index("]") + 1 :]
    return text.removeprefix(".")
