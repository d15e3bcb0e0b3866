"""Hides keys in all that the program prints: those that this run has read, and words that look like one.

Everything here is linear in the length of the text.  Patterns are compiled when a text first needs them: most
commands print nothing that could hold a key.
"""

from __future__ import annotations

import contextlib
from typing import Any, Iterable, Iterator, Mapping, Sequence

from ccsetup.errors import OutputError

SHOWN = "***"

VENDORS = (
    *("sk-", "AIza", "csk-", "fw_", "nvapi-", "xai-", "gsk_", "gsk-", "pplx-", "hf_", "r8_", "tgp_", "ms-", "tp-"),
    *("ak-", "pk-", "sk_live_", "sk_test_", "ghp_", "gho_", "github_pat_", "glpat-", "xoxb-", "AKIA", "ccr-"),
)
"""How keys begin: the families of the presets (a test compares), and what public secret scanners know besides."""

_IDENTIFIERS = ("req_", "msg_", "resp_", "chatcmpl-", "toolu_", "call_", "gen-", "rs_", "fc_", "cmpl-", "batch_", "sha")
"""How random words begin that are no keys: what providers call requests and answers, and checksums."""

_STRONG = 8
"""Characters.  Shorter secrets, and plain words, are hidden only as a whole value in their place."""
_CERTAIN = 16
"""Characters.  Longer secrets are hidden inside other words, too."""
_PART = 24
"""Characters.  Of longer secrets a beginning or an end is hidden as well."""

_known: dict[str, None] = {}
_prefixes: list[str] = list(VENDORS)
_forms: list[tuple[str, bool]] | None = None
"""What to look for, the longest first, and whether it may be a part of a word; None: to be worked out."""


def remember(text: str) -> None:
    """Hide *text*, which this run has read as a key, from now on."""
    global _forms
    if text and text not in _known:
        _known[text] = None
        _forms = None


def forget() -> None:
    """Begin a run: nothing has been read yet."""
    global _forms
    _known.clear()
    _forms = None


def know_prefix(prefix: str) -> None:
    """Take words that begin with *prefix* for keys: a preset says so."""
    if prefix and prefix not in _prefixes:
        _prefixes.append(prefix)


def weak(secret: str) -> bool:
    """Tell whether *secret* might as well be an ordinary word."""
    if len(secret) < _STRONG:
        return True
    return len(secret) < _CERTAIN and all(c.isalpha() or c in "-_. " for c in secret)


def hide(text: str, secrets: Iterable[str] = (), enough: int = 12) -> str:
    """Return *text* without keys: those of this run, *secrets*, and what looks like one by itself.

    Of long ones also a beginning or an end of *enough* characters is hidden, and what encodes them.
    """
    if len(text) < _STRONG:
        return text
    more = [s for s in secrets if s not in _known]
    for form, inside in [*_sought(), *(_variants(more) if more else ())]:
        if form in text:
            text = _without(text, form, inside)
    for secret in (*_known, *more):
        if len(secret) >= _PART or (secrets and len(secret) >= 2 * enough):
            text = _without_parts(text, secret, enough)
    return _without_likely(text)


@contextlib.contextmanager
def _written() -> Iterator[None]:
    """Raise OutputError where the output's place takes no more (``/dev/full``); a reader that has gone is no error."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as e:
        raise OutputError(e.strerror) from None


class Stream:
    """A text stream in which keys are hidden; everything else is that of the stream behind it, *plain*."""

    def __init__(self, plain: Any) -> None:
        self.plain = plain

    def write(self, text: str) -> int:
        self.reveal(hide(text) if isinstance(text, str) else text)
        return len(text)

    def reveal(self, text: str) -> None:
        """Write *text* as it is."""
        with _written():
            self.plain.write(text)

    def flush(self) -> None:
        with _written():
            self.plain.flush()

    def writelines(self, lines: Iterable[str]) -> None:
        for one in lines:
            self.write(one)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.plain, name)


def hide_values(value: Any, name: str = "") -> Any:
    """Return the JSON value *value*, a member *name*, with the keys in its texts and member names hidden."""
    done: dict[str, str] = {}  # a list of many things says the same words again and again

    def hidden(text: str) -> str:
        if text not in done:
            done[text] = hide(text)
        return done[text]

    def inner(value: Any, name: str) -> Any:
        if isinstance(value, str):
            return SHOWN if value in _known and (not weak(value) or says_key(name)) else hidden(value)
        if isinstance(value, Mapping):
            return {hidden(n) if isinstance(n, str) else n: inner(v, str(n)) for n, v in value.items()}
        if isinstance(value, (list, tuple)):
            return [inner(v, name) for v in value]
        return value

    return inner(value, name)


def says_key(name: str) -> bool:
    """Tell whether a member of this *name* holds a key."""
    low = name.lower().replace("-", "_")
    return low in ("key", "apikey", "bearer") or low.endswith(
        ("api_key", "_apikey", "token", "secret", "password", "authorization", "credential")
    )


def likely(word: str) -> bool:
    """Tell whether *word*, the whole of it, looks like a key by how it begins or by its form."""
    word = word.strip()
    return bool(word) and not any(c.isspace() for c in word) and _without_likely(word) == SHOWN


def suspect(word: str) -> bool:
    """As ``likely``, where a name belongs: a checksum or a UUID is no name that anybody types."""
    plain = word.strip().replace("-", "")
    return likely(word) or (len(plain) >= 32 and all(c in "0123456789abcdefABCDEF" for c in plain))


# Secrets that are known.


def _sought() -> Sequence[tuple[str, bool]]:
    global _forms
    if _forms is None:
        _forms = _variants(_known)
    return _forms


def _variants(secrets: Iterable[str]) -> list[tuple[str, bool]]:
    """Return each secret as it may stand in a text: as it is, in a URL, in JSON, in Base64, and its end."""
    found: dict[str, bool] = {}
    for secret in secrets:
        if weak(secret):
            continue
        inside = len(secret) >= _CERTAIN
        found[secret] = inside
        if not (secret.isascii() and secret.replace("-", "").replace("_", "").isalnum()):
            import json
            from urllib.parse import quote

            for other in (quote(secret, safe=""), quote(secret), json.dumps(secret)[1:-1], repr(secret)[1:-1]):
                found.setdefault(other, inside)
        if inside:
            from binascii import b2a_base64

            found[b2a_base64(secret.encode("utf-8", "surrogatepass"), newline=False).decode("ascii")] = True
        if len(secret) > 20:
            found[secret[-20:]] = True  # what Claude Code keeps of an approved key
    return sorted(found.items(), key=lambda pair: -len(pair[0]))


def _without(text: str, form: str, inside: bool) -> str:
    if inside:
        return text.replace(form, SHOWN)
    out: list[str] = []
    done = at = 0
    while (at := text.find(form, at)) >= 0:
        end = at + len(form)
        before, after = text[at - 1 : at] if at else "", text[end : end + 1]
        if (before.isalnum() and form[0].isalnum()) or (after.isalnum() and form[-1].isalnum()):
            at += 1
            continue
        out += [text[done:at], SHOWN]
        done = at = end
    return "".join([*out, text[done:]]) if out else text


def _without_parts(text: str, secret: str, enough: int) -> str:
    head, tail = secret[:enough], secret[-enough:]
    if head in text:
        out: list[str] = []
        done = at = 0
        while (at := text.find(head, at)) >= 0:
            end = at + enough
            while end < len(text) and end - at < len(secret) and text[end] == secret[end - at]:
                end += 1
            out += [text[done:at], SHOWN]
            done = at = end
        text = "".join([*out, text[done:]])
    if tail in text:
        pieces: list[str] = []
        rest = len(text)
        while (at := text.rfind(tail, 0, rest)) >= 0:
            start, end = at, at + enough
            while start > 0 and end - start < len(secret) and text[start - 1] == secret[len(secret) - end + start - 1]:
                start -= 1
            pieces += [text[end:rest], SHOWN]
            rest = start
        text = "".join(reversed([*pieces, text[:rest]]))
    return text


# Words that look like keys.


_patterns: dict[str, Any] = {}


def _pattern(name: str, text: str) -> Any:
    if name not in _patterns:
        import re

        _patterns[name] = re.compile(text)
    return _patterns[name]


_WORD = r"[A-Za-z0-9_.-]{10,}"
_USER = r"(://[^/\s:@\"']{0,200}:)([^/\s@\"']{1,2000}+)@"
_QUERY = r"(?i)([?&](?:[a-z_-]{0,40}(?:key|token|secret|password)|sig|auth)=)([^&\s\"'#]+)"
_BEARER = r"(?i)\b(bearer|basic)(\s{1,8})([A-Za-z0-9._~+/=-]{8,})"


def _without_likely(text: str) -> str:
    """Return *text* without words that look like keys."""
    if "://" in text and "@" in text:
        text = _pattern("user", _USER).sub(r"\1***@", text)
    if "?" in text and "=" in text:
        text = _pattern("query", _QUERY).sub(_value, text)
    low = text.lower()
    if "bearer" in low or "basic" in low:
        text = _pattern("bearer", _BEARER).sub(_bearer, text)
    return str(_pattern("word", _WORD).sub(_word, text))


def _value(found: Any) -> str:
    return str(found[0] if found[2].isupper() and found[2].isalpha() else found[1] + SHOWN)  # ?key=KEY is an example


def _bearer(found: Any) -> str:
    plain = found[3].rstrip(".").isalpha() or found[3].islower()
    return str(found[0] if plain and not any(c.isdigit() for c in found[3]) else found[1] + found[2] + SHOWN)


def _word(found: Any) -> str:
    word: str = found[0]
    if word.isalpha():
        return word
    for prefix in _prefixes:
        at = word.find(prefix)
        while at > 0 and word[at - 1].isalnum():
            at = word.find(prefix, at + 1)
        if at < 0:
            continue
        rest = word[at + len(prefix) :].rstrip(".-_")
        if _tail(rest, certain=prefix.startswith("sk-") or len(prefix) > 3):
            return word[:at] + SHOWN + word[at + len(prefix) + len(rest) :]
    if len(word) < 24:
        return word
    if word.startswith("eyJ") and word.count(".") == 2:
        return SHOWN
    text, start = found.string, found.start()
    if word.startswith(_IDENTIFIERS) or _checksum(text, start):
        return word
    head, _dot, tail = word.partition(".")
    if len(head) == 32 and not head.strip("0123456789abcdefABCDEF") and len(tail) >= 12 and tail.isalnum():
        return SHOWN  # the id and the secret of a Z.AI key
    for segment in _segments(word):
        if _random(segment):
            return word.replace(segment, SHOWN)
    return word


def _checksum(text: str, start: int) -> bool:
    """Tell whether the word at *start* goes on with a checksum: ``sha256-47DEQpj8+/TImW…``, ``SHA256:…``."""
    before = text[max(0, start - 90) : start].lower()
    last = max(before.rfind(" "), before.rfind("\n"), before.rfind('"'), before.rfind("'"))
    return before[last + 1 :].startswith("sha")


def _tail(rest: str, *, certain: bool) -> bool:
    """Tell whether *rest*, which stands after a vendor's prefix, is that of a key and not that of a name."""
    digits = sum(c.isdigit() for c in rest)
    if certain:
        return len(rest) >= 12 or (len(rest) >= 6 and digits > 0)
    # Some prefixes are short enough to begin ordinary names: ms-python.debugpy-2026.1
    longest = max((len(s) for s in _segments(rest)), default=0)
    return len(rest) >= 16 and digits > 1 and any(c.isalpha() for c in rest) and (longest >= 12 or len(rest) >= 32)


def _segments(word: str) -> Iterator[str]:
    yield from word.replace("_", "-").replace(".", "-").split("-")


def _random(segment: str) -> bool:
    """Tell whether *segment* mixes capitals, small letters and digits as no name does."""
    if len(segment) < 24 or not segment.isalnum():
        return False
    kinds = ["0" if c.isdigit() else "A" if c.isupper() else "a" for c in segment]
    changes = sum(kinds[i] != kinds[i - 1] for i in range(1, len(kinds)))
    return min(kinds.count(k) for k in "0Aa") >= 2 and changes >= 0.42 * len(segment)
