"""What imports from other relays have in common: reading JSON of unknown make, and names, addresses and keys."""

from __future__ import annotations

import itertools
import re
from typing import Any, Mapping, Optional

from ccsetup import urls
from ccsetup.documents import jsondoc
from ccsetup.errors import DocumentError, printable
from ccsetup.i18n import _
from ccsetup.keys.reference import KeyRef
from ccsetup.model import WireFormat
from ccsetup.relay.config.dialects import dialect
from ccsetup.relay.config.model import Upstream
from ccsetup.relay.config.parse import near, url_problem
from ccsetup.relay.config.table import NAME


def read(data: bytes, name: str, known: tuple[str, ...]) -> dict[str, Any]:
    """Return the object in *data*, JSON with comments or without, that has one of the keys *known*."""
    try:
        value = jsondoc.parse(jsondoc.decode(data))
    except DocumentError as error:
        raise DocumentError(
            f"{name}:{error.line}:{error.column}: {error.message}", line=error.line, column=error.column
        ) from None
    if not isinstance(value, dict) or not any(key in value for key in known):
        raise DocumentError(
            _("{file}: this is not the configuration that it should be: it has none of {keys}.").format(
                file=name, keys=", ".join(known)
            )
        )
    return value


def table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def entries(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def text(body: Mapping[str, Any], field: str) -> str:
    value = body.get(field)
    return value.strip() if isinstance(value, str) and value.isprintable() else ""


def number(body: Mapping[str, Any], field: str) -> Optional[float]:
    value = body.get(field)
    good = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < 1e6
    return value if good else None


class Imported:
    """The upstreams that were found so far, and what there is to say."""

    def __init__(self) -> None:
        self.upstreams: list[Upstream] = []
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    def check(self, file: str) -> None:
        """Raise DocumentError when nothing was found that can be asked."""
        if not self.upstreams:
            raise DocumentError(
                _("{file}: no entry of it can be used.").format(file=file), hint=self.notes[0] if self.notes else ""
            )

    def add(self, said: str, kind: str, wire: WireFormat, url: str, key: str, **fields: Any) -> Optional[Upstream]:
        """Add an upstream called *said* by the other relay; None, with a note, when it cannot be used.

        *key* is the key itself, or ``$NAME`` of a variable.
        """
        shown = printable(said, 40) or kind
        url = urls.base(url, wire)
        problem = url_problem(url, insecure=True)
        if problem:
            self.note(_("{name} was left out: {problem}").format(name=shown, problem=problem))
            return None
        insecure = bool(url_problem(url, insecure=False))
        ref = _key(key)
        if ref is None and key:
            self.note(_("{name} was left out: what it has as its key is none.").format(name=shown))
            return None
        if ref is None and not near(url):
            self.note(_("{name} was left out: it has no key.").format(name=shown))
            return None
        name = self._name(said, kind)
        if name != said:
            self.note(_("'{old}' is called '{new}' here.").format(old=shown, new=name))
        if insecure:
            self.note(
                _(
                    "Upstream '{name}' gets keys and prompts over plain http: everybody on the way can read them."
                ).format(name=name)
            )
        upstream = Upstream(
            name,
            {wire: url},
            (ref,) if ref is not None else (),
            insecure=insecure,
            auth="x-api-key" if url.startswith("https://api.anthropic.com") else "bearer",
            dialect={wire: dialect(None, "", wire, url)},
            **fields,
        )
        self.upstreams.append(upstream)
        return upstream

    def _name(self, said: str, kind: str) -> str:
        """Return a name that is free: *said* where it is fit, else made of *kind*."""
        taken = {u.name.lower() for u in self.upstreams}
        slug = re.sub(r"[ /]+", "-", said)
        fit = re.fullmatch(NAME.pattern, slug) is not None
        base = slug[:50] if fit else kind
        first = [slug, f"{base}-{kind}"] if fit else []
        tries = itertools.chain(first, (f"{base}-{n}" for n in itertools.count(2 if fit else 1)))
        return next(name for name in tries if name.lower() not in taken)


def _key(text: str) -> Optional[KeyRef]:
    variable = re.fullmatch(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)\}?", text)
    if variable:
        return KeyRef("env", variable[1])
    return KeyRef("inline", text) if re.fullmatch(r"[!-~]+", text) else None
