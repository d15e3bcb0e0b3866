"""How many input tokens a request has, estimated without a tokenizer.  Pure.

Claude Code compacts its history by this figure, so it is meant to be high rather than low.  The weights were fitted as
an upper bound of three tokenizers (cl100k and o200k of OpenAI, Anthropic's of Claude 2) over prose, source code, JSON
schemas, YAML, directory lists, minified JavaScript, base64, and prose in Chinese, Japanese, Korean, Russian, Arabic and
Hindi, plus a tenth, as newer tokenizers of Anthropic count more: prose and code come out at 1.2 to 1.25 of the highest
of the three, JSON schemas at 1.5, Chinese at 1.15.  Random base64 alone, which nobody reads, is counted as it is.
"""

from __future__ import annotations

import base64
import binascii
import string
from typing import Iterator, Optional, Union

from ccsetup.relay.wire import codec
from ccsetup.relay.wire.messages import Conversation, File, Image, Message, Reasoning, Text, ToolCall, ToolResult

_LOWER, _UPPER, _DIGIT = (s.encode() for s in (string.ascii_lowercase, string.ascii_uppercase, string.digits))
_CONTINUED = bytes(range(0x80, 0xC0))
_CLASSES = (
    (_UPPER, 0.92),
    (_DIGIT, 1.15),
    (b" ", 0.17),
    (b"\n", 0.1),
    (_CONTINUED, 0.0),
    # The first bytes of characters: each class is a range of scripts.
    (bytes(range(0xC2, 0xE0)), 1.1),  # Latin with accents, Greek, Cyrillic, Hebrew, Arabic
    (bytes(range(0xE0, 0xE3)), 1.4),  # scripts of India and South-East Asia, symbols
    (bytes(range(0xE3, 0xEA)), 1.12),  # Chinese, Japanese
    (bytes(range(0xEA, 0xF0)), 1.4),  # Korean
    (bytes(range(0xF0, 0xF8)), 3.2),  # emoji
)
_LOWER_WEIGHT, _OTHER_WEIGHT = 0.36, 0.3

_REQUEST, _MESSAGE, _TOOLS, _TOOL, _CALL = 10, 5, 350, 10, 10
"""Tokens around the texts; _TOOLS is the text that Anthropic puts before the tools."""

IMAGE = 1600
"""Tokens of an image of unknown size: the most that Anthropic's models before Opus 4.7 count for one."""
_IMAGE_MOST, _PIXELS = 4800, 750
PAGE = 3000
"""Tokens of a page of a PDF, with its picture; 50 kB are taken for a page."""
_PAGE_BYTES = 50_000
_RUN, _BYTES_PER_TOKEN = 4096, 4
_OPAQUE = 5
"""Characters of encrypted reasoning for a token."""


def estimate(conversation: Conversation) -> int:
    """Return the input tokens of *conversation*, roughly; never 0.  A body of 115 kB takes half a millisecond."""
    counted = _Counted()
    counted.texts += [t.text for t in conversation.system]
    for message in conversation.messages:
        counted.message(message)
    tokens = counted.tokens + _REQUEST + _MESSAGE * len(conversation.messages)
    if conversation.tools:
        tokens += _TOOLS
    for tool in conversation.tools:
        tokens += _TOOL
        counted.texts += [tool.namespace, tool.name, tool.description]
        for value in (tool.schema, tool.format, tool.raw):
            if value:
                counted.texts.append(codec.written_or_nothing(value))
    if conversation.format is not None:
        counted.texts.append(codec.written_or_nothing(conversation.format.schema))
    return tokens + of_text("\n".join(counted.texts))


def at_least(conversation: Conversation) -> int:
    """Return how many input tokens *conversation* has for certain; a megabyte of text takes some milliseconds.

    No tokenizer in use makes one token of letters and digits on both sides of a space or a mark, so that words are
    counted, and for Chinese and Japanese, which have no spaces, a quarter of the characters.  Tools, images, files and
    thinking, which providers may leave out, count for nothing, nor do arguments whose letters are written as numbers.
    """
    texts = [text.text for text in conversation.system]
    for message in conversation.messages:
        for part in message.parts:
            if isinstance(part, Text):
                texts.append(part.text)
            elif isinstance(part, ToolCall) and "\\u" not in part.arguments:
                texts.append(part.arguments)
            elif isinstance(part, ToolResult):
                texts += [shown.text for shown in part.content if isinstance(shown, Text)]
    kinds = b" " + "\n".join(texts).encode("utf-8", "replace").translate(_KINDS)
    return kinds.count(b" a") + kinds.count(b"c") // 4


_KINDS = bytes(
    ord(
        "x" if 0x80 <= byte < 0xC0  # continues a character
        else "c" if 0xE3 <= byte < 0xEA
        else "a" if byte > 0x7F or chr(byte).isalnum() or byte == ord("'")
        else " "
    )
    for byte in range(256)
)  # fmt: skip
LEAST_BYTES = 2
"""Bytes of a request for each of its tokens that ``at_least`` counts: a letter, and what ends the word."""


def of_body(body: bytes) -> int:
    """Return the tokens of a request by the size of its *body*: pictures and files are long runs of base64.

    At most so many places are looked at that it takes some milliseconds.
    """
    step = max(_RUN, len(body) // 1024)
    tokens = text = 0
    inside = False
    for at in range(0, len(body), step):
        piece = body[at : at + _RUN]
        packed = len(piece) == _RUN and piece.isascii() and not any(c in piece for c in (b" ", b'"', b"\\"))
        if not packed:
            text += min(step, len(body) - at)
        elif not inside:
            tokens += IMAGE
        inside = packed
    return tokens + text // _BYTES_PER_TOKEN


def of_text(text: str) -> int:
    """Return the tokens of *text* alone."""
    whole = text.encode("utf-8", "replace")
    rest = whole.translate(None, _LOWER)
    weight = (len(whole) - len(rest)) * _LOWER_WEIGHT
    plain = rest.isascii()
    for members, each in _CLASSES[:4] if plain else _CLASSES:
        size = len(rest)
        rest = rest.translate(None, members)
        weight += (size - len(rest)) * each
    return round(weight + len(rest) * _OTHER_WEIGHT + 0.5)


class _Counted:
    """Texts to be counted at once, and what was counted already."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.tokens = 0

    def message(self, message: Message) -> None:
        for part in message.parts:
            if isinstance(part, Text):
                self.texts.append(part.text)
            elif isinstance(part, ToolCall):
                self.tokens += _CALL
                self.texts += [part.name, part.arguments]
            elif isinstance(part, ToolResult):
                self.tokens += _CALL
                for shown in part.content:
                    self._shown(shown)
            elif isinstance(part, Reasoning):
                self.texts.append(part.text)
                if not part.text:
                    self.tokens += len(part.encrypted or part.signature) // _OPAQUE
            else:
                self._shown(part)

    def _shown(self, part: Union[Text, Image, File]) -> None:
        if isinstance(part, Text):
            self.texts.append(part.text)
        elif isinstance(part, Image):
            self.tokens += _image(part)
        elif part.text:
            self.texts += [part.name, part.text]
        else:
            self.tokens += PAGE * max(1, len(part.data) * 3 // 4 // _PAGE_BYTES)


def _image(image: Image) -> int:
    size = _size(image.data[: 256 << 10]) if image.data else None
    if size is None:
        return IMAGE
    return min(max(size[0] * size[1] // _PIXELS, 1), _IMAGE_MOST)


def _size(data: str) -> Optional[tuple[int, int]]:
    """Return width and height as the head of a PNG, GIF, WebP or JPEG file tells them."""
    try:
        head = base64.b64decode(data[: len(data) // 4 * 4])
    except (binascii.Error, ValueError):
        return None
    if head[:8] == b"\x89PNG\r\n\x1a\n" and len(head) >= 24:
        return _number(head[16:20]), _number(head[20:24])
    if head[:4] == b"GIF8" and len(head) >= 10:
        return int.from_bytes(head[6:8], "little"), int.from_bytes(head[8:10], "little")
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP" and len(head) >= 30:
        return _webp(head)
    if head[:2] == b"\xff\xd8":
        return next(_jpeg(head), None)
    return None


def _number(part: bytes) -> int:
    return int.from_bytes(part, "big")


def _webp(head: bytes) -> Optional[tuple[int, int]]:
    if head[12:16] == b"VP8X":
        return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
    if head[12:16] == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if head[12:16] == b"VP8 ":
        return int.from_bytes(head[26:28], "little") & 0x3FFF, int.from_bytes(head[28:30], "little") & 0x3FFF
    return None


def _jpeg(head: bytes) -> Iterator[tuple[int, int]]:
    at = 2
    while at + 9 <= len(head) and head[at] == 0xFF:
        kind = head[at + 1]
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
            yield _number(head[at + 7 : at + 9]), _number(head[at + 5 : at + 7])
        at += 2 + _number(head[at + 2 : at + 4])
