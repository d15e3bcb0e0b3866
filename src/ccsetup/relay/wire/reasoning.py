"""Reasoning that a client keeps and sends back, with the name of the upstream that it belongs to.

What one upstream thought goes back to it and to no other: it verifies its signatures and decrypts only its own text.
The relay stores nothing, so what the client's format has no member for travels inside one that it has, as an envelope
with our prefix:

- a Responses client gets ``encrypted_content = pack(text, upstream, signature)``: Codex sends that member back, but not
  the text of ``content``;
- a Messages client gets ``signature = mark(upstream)`` for thinking that nobody signed, and for thinking whose upstream
  speaks Responses ``signature = pack("", upstream, encrypted=…)``, or that as the ``data`` of a ``redacted_thinking``
  block when there was no text: Claude Code sends both back unread.

``for_upstream`` opens the envelopes again, before a request is written.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from typing import NamedTuple, Optional

from ccsetup.relay.wire.messages import Conversation, Message, Part, Reasoning

PREFIX = "ccsetup-relay."
"""Every envelope and mark begins with it: bytes of a request that do not hold it hold none."""

_PACKED = PREFIX + "r1."
_MARK = PREFIX + "m1."

MAX_TEXT = 1 << 20
"""Characters of an envelope's content; a longer text is cut and its signature left out."""
_MAX_BYTES = 4 * MAX_TEXT + 4096
_MAX_NAME = 200


class Packed(NamedTuple):
    text: str
    upstream: str
    signature: str = ""
    """Anthropic's, of *text*."""
    encrypted: str = ""
    """``encrypted_content`` of the upstream itself, or the data of its redacted_thinking block."""


def pack(text: str, upstream: str, signature: str = "", encrypted: str = "") -> str:
    """Return an envelope: printable ASCII, at most some 6 MB.  It hides nothing; it is only compressed."""
    if len(text) + len(signature) + len(encrypted) > MAX_TEXT:
        text, signature, encrypted = text[:MAX_TEXT], "", ""
    plain = "\0".join((_name(upstream), signature, encrypted, text)).encode("utf-8", "replace")
    return _PACKED + _encode(zlib.compress(plain))


def unpack(envelope: str) -> Optional[Packed]:
    """Return what *pack* was given; None for anything else, also when it is broken.  Never raises."""
    if not envelope.startswith(_PACKED):
        return None
    data = _decode(envelope[len(_PACKED) :])
    if data is None:
        return None
    try:
        inflate = zlib.decompressobj()
        plain = inflate.decompress(data, _MAX_BYTES)
        if not inflate.eof:
            return None
        upstream, signature, encrypted, text = plain.decode().split("\0", 3)
    except (zlib.error, ValueError):
        return None
    return Packed(text, upstream, signature, encrypted)


def mark(upstream: str) -> str:
    """Return what stands as the signature of thinking that *upstream* did not sign."""
    return _MARK + _encode(_name(upstream).encode("utf-8", "replace"))


def is_mark(signature: str) -> bool:
    """Whether the relay made it, mark or envelope: no upstream may ever see it."""
    return signature.startswith(PREFIX)


def origin(signature: str) -> str:
    """Return the name of the upstream in a mark or an envelope; "" when the relay did not make it."""
    if signature.startswith(_MARK):
        data = _decode(signature[len(_MARK) :][: 4 * _MAX_NAME * 2])
        return "" if data is None else data.decode("utf-8", "replace")
    packed = unpack(signature)
    return packed.upstream if packed is not None else ""


def for_upstream(conversation: Conversation, upstream: str, *, moved: bool = False) -> Conversation:
    """Return *conversation* as *upstream* may see it: envelopes opened, foreign signatures and encrypted text removed.

    The text of the reasoning always stays.  *moved*: an earlier answer came from another upstream, so that signatures
    and encrypted reasoning without an envelope are foreign too; with no *upstream* besides, everything is.  The same
    object is returned when nothing changes.
    """
    if not _sealed(conversation):
        return conversation
    changed = False
    messages: list[Message] = []
    for message in conversation.messages:
        parts: list[Part] = []
        for part in message.parts:
            if isinstance(part, Reasoning) and (part.signature or part.encrypted):
                own = _own(part, upstream, moved)
                changed = changed or own != part
                if own is not None:
                    parts.append(own)
            else:
                parts.append(part)
        if parts:
            messages.append(Message(message.role, tuple(parts)))
    return conversation._replace(messages=tuple(messages)) if changed else conversation


def _sealed(conversation: Conversation) -> bool:
    for role, parts in conversation.messages:
        if role == "assistant":
            for part in parts:
                if isinstance(part, Reasoning) and (part.signature or part.encrypted):
                    return True
    return False


def _own(part: Reasoning, upstream: str, moved: bool) -> Optional[Reasoning]:
    """Return *part* with only what *upstream* can verify, None when nothing is left of it."""
    text, signature, encrypted, redacted = part.text, "", "", part.redacted
    for given, is_signature in ((part.signature, True), (part.encrypted, False)):
        if not given:
            continue
        if not is_mark(given):
            if not moved:
                signature, encrypted = (given, encrypted) if is_signature else (signature, given)
            continue
        packed = unpack(given)
        if packed is None:
            continue
        text = packed.text or text
        if upstream and packed.upstream == upstream:
            signature, encrypted = packed.signature or signature, packed.encrypted or encrypted
    if not (text or signature or encrypted):
        return None
    summary = part.summary and text == part.text
    return Reasoning(text, summary, signature, encrypted, redacted and bool(encrypted) and not text, part.id)


def _name(upstream: str) -> str:
    return upstream.replace("\0", "")[:_MAX_NAME]


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> Optional[bytes]:
    if len(text) > 2 * _MAX_BYTES:
        return None
    try:
        return base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
