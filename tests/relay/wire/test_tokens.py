"""The estimate of a request's tokens, held against what tokenizers count."""

from __future__ import annotations

import base64
import json
import os
import struct

import pytest

from ccsetup.relay.wire import tokens
from ccsetup.relay.wire.messages import (
    AnswerFormat,
    Conversation,
    File,
    Image,
    Message,
    Reasoning,
    Text,
    Tool,
    ToolCall,
    ToolResult,
)

PROSE = (
    "Decide first, as plain values; act last, in one place. A dry run is the same plan, shown but not committed. "
    "When two habits conflict, choose what a newcomer reads more easily."
)
CODE = (
    "def of_text(text: str) -> int:\n    whole = text.encode()\n    rest = whole.translate(None, _LOWER)\n"
    "    for members, each in _CLASSES[:4]:\n        weight += (size - len(rest)) * each\n    return round(weight)\n"
)
SCHEMA = (
    '{"type":"object","properties":{"command":{"type":"string","description":"The command to execute"},'
    '"timeout":{"type":"number","maximum":600000}},"required":["command"],"additionalProperties":false}'
)
LISTING = "-rw-r--r-- 1 root root 17259 Nov 21 11:30 errors.py\n-rw-r--r-- 1 root root  6758 Nov 21 11:35 history.py\n"
CHINESE = "先决定，再行动：所有修改都先算成普通的值，最后在一个地方写入磁盘。演练模式显示的是同一份计划。"
JAPANESE = "ツールの呼び出しと結果を正しい順序で送る必要があります。"
KOREAN = "도구 호출과 결과를 올바른 순서로 보내야 합니다."
RUSSIAN = "Вызовы инструментов и их результаты нужно посылать в правильном порядке."
EMOJI = "✅ done 🚀 and ❌ failed 🔥"
COUNTED = [
    # The highest count of cl100k_base, o200k_base and Claude 2's tokenizer.
    (PROSE, 42),
    (CODE, 65),
    (SCHEMA, 43),
    (LISTING, 47),
    (CHINESE, 51),
    (JAPANESE, 30),
    (KOREAN, 28),
    (RUSSIAN, 38),
    (EMOJI, 14),
]


@pytest.mark.parametrize(("text", "counted"), COUNTED)
def test_not_below_the_tokenizers_and_not_far_above(text: str, counted: int) -> None:
    estimated = tokens.of_text(text * 20)
    assert counted * 20 <= estimated <= counted * 20 * 1.9


@pytest.mark.parametrize(("text", "counted"), COUNTED)
def test_what_a_prompt_has_for_certain_is_less_than_the_tokenizers_count(text: str, counted: int) -> None:
    """It is what a request is refused for, so it is never too much; but it is enough to be of use."""
    said = Conversation("m", system=(Text(text),), messages=(Message("user", (Text(text), Text(text))),))
    assert counted / 8 <= tokens.at_least(said) / 3 <= counted * 0.95


@pytest.mark.parametrize(
    ("text", "most"),
    [
        (" " * 1000, 0),
        ("=" * 1000 + "\n", 0),
        ("x" * 1000, 1),
        ("don't", 1),
        ("naïveté", 1),
        ("1,000,000", 3),
        ("\\u4f60\\u597d", 2),
        ("你好", 0),
        ("— “ok”", 3),
        ("", 0),
    ],
)
def test_runs_of_one_kind_are_one_token_at_most(text: str, most: int) -> None:
    assert tokens.at_least(Conversation("m", system=(Text(text),))) <= most


def test_what_a_provider_may_leave_out_is_not_certain() -> None:
    long = "word " * 1000
    parts = (
        Reasoning(long),
        ToolCall("a", "b", '{"x": "\\u4f60 and so on"}'),
        Image("image/png", long),
        File("text/plain", long),
    )
    assert tokens.at_least(Conversation("m", messages=(Message("user", parts),), tools=(Tool("a", long),))) == 0


def test_everything_that_a_model_reads_is_counted() -> None:
    empty = tokens.estimate(Conversation("m"))
    assert empty > 0
    long = "word " * 1000
    for conversation in (
        Conversation("m", system=(Text(long),)),
        Conversation("m", messages=(Message("user", (Text(long),)),)),
        Conversation("m", messages=(Message("assistant", (ToolCall("a", "b", long),)),)),
        Conversation("m", messages=(Message("assistant", (Reasoning(long),)),)),
        Conversation("m", messages=(Message("user", (ToolResult("a", (Text(long),)),)),)),
        Conversation("m", messages=(Message("user", (File("text/plain", text=long),)),)),
        Conversation("m", tools=(Tool("a", long),)),
        Conversation("m", tools=(Tool("a", schema={"description": long}),)),
        Conversation("m", tools=(Tool("a", kind="custom", format={"definition": long}),)),
        Conversation("m", format=AnswerFormat("json_schema", schema={"description": long})),
    ):
        assert tokens.estimate(conversation) >= empty + 1000


def picture(conversation: Image) -> int:
    base = tokens.estimate(Conversation("m", messages=(Message("user", ()),)))
    return tokens.estimate(Conversation("m", messages=(Message("user", (conversation,)),))) - base


def jpeg(width: int, height: int) -> bytes:
    return b"\xff\xd8\xff\xe0\x00\x04ab\xff\xc0\x00\x11\x08" + struct.pack(">HH", height, width) + b"\x03" * 12


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + struct.pack(">II", 750, 1000) + b"\x08", 1000),
        (jpeg(1000, 750), 1000),
        (b"GIF89a" + struct.pack("<HH", 75, 100), 10),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 " + b"\0" * 10 + struct.pack("<HH", 750, 1000), 1000),
        (b"RIFF\x00\x00\x00\x00WEBPVP8L\0\0\0\0\x2f" + struct.pack("<I", 749 | 999 << 14) + b"\0" * 8, 1000),
        (
            b"RIFF\x00\x00\x00\x00WEBPVP8X" + b"\0" * 8 + (749).to_bytes(3, "little") + (999).to_bytes(3, "little"),
            1000,
        ),
        (jpeg(10000, 9000), 4800),
        (jpeg(1, 1), 1),
        (b"\xff\xd8\xff", tokens.IMAGE),
        (b"RIFF....WEBPwhat" + b"\0" * 20, tokens.IMAGE),
        (b"unknown", tokens.IMAGE),
        (b"", tokens.IMAGE),
    ],
)
def test_images_by_their_size(head: bytes, expected: int) -> None:
    assert picture(Image("image/x", base64.b64encode(head).decode())) == expected


def test_images_that_cannot_be_seen() -> None:
    assert picture(Image("", url="https://example.org/a.png")) == tokens.IMAGE
    assert picture(Image("image/png", "not base64 at all, é")) == tokens.IMAGE


def test_documents_by_their_pages() -> None:
    def pages(data: str) -> int:
        part = File("application/pdf", data=data)
        return tokens.estimate(Conversation("m", messages=(Message("user", (part,)),)))

    assert pages("A" * 4_000_000) > pages("A" * 400_000) > pages("A" * 4_000) >= tokens.PAGE


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("The quick brown fox jumps over the lazy dog. " * 40_000, 0.6, 1.1),
        ("def total(rows):\n    return sum(row.cost for row in rows)\n" * 30_000, 0.5, 1.1),
        ("今天天气很好，我们去公园散步吧。" * 40_000, 0.5, 1.5),
    ],
    ids=["prose", "code", "chinese"],
)
def test_a_large_request_goes_by_its_size(text: str, low: float, high: float) -> None:
    """Near the estimate that reads it, in both spellings of JSON."""
    estimated = tokens.of_text(text)
    for ascii_only in (False, True) if text.isascii() else (False,):
        body = json.dumps({"messages": [{"role": "user", "content": text}]}, ensure_ascii=ascii_only).encode()
        assert low * estimated <= tokens.of_body(body) <= high * estimated


@pytest.mark.parametrize("size", [100_000, 3_000_000])
def test_pictures_count_as_pictures_whatever_their_size(size: int) -> None:
    """Base64 is no text: two pictures are two pictures."""
    image = base64.b64encode(os.urandom(size)).decode()
    url = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{image}"}}
    body = json.dumps({"messages": [{"role": "user", "content": [url, {"type": "text", "text": "x " * 9000}, url]}]})
    assert 2 * tokens.IMAGE <= tokens.of_body(body.encode()) <= 2 * tokens.IMAGE + 10_000
