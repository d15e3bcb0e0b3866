"""A request, as upstreams get it: what is let go of while they think comes back when another one is asked."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import pytest

from ccsetup.keys.reference import KeyRef
from ccsetup.model import WireFormat
from ccsetup.relay.config.model import Upstream
from ccsetup.relay.routing.failover import Choice
from ccsetup.relay.serving.request import ClientRequest
from ccsetup.relay.wire.messages import Dialect, Tool

DATA = Path(__file__).parents[2] / "data/relay"
RECORDED: dict[WireFormat, bytes] = {
    "anthropic": (DATA / "claude-code-messages-request.json").read_bytes(),
    "responses": (DATA / "codex-responses-request.json").read_bytes(),
}


def way(wire: WireFormat) -> tuple[Choice, Dialect]:
    upstream = Upstream("up", {wire: "http://up"}, (KeyRef("inline", "k"),))
    return Choice(upstream, 0, wire, "their-model"), Dialect()


@pytest.mark.parametrize("wire", list(RECORDED))
def test_what_is_let_go_of_comes_back(wire: WireFormat) -> None:
    """Another attempt, in the same or another format, gets what the first would have got."""
    chat, own = way("chat"), way(wire)
    request = ClientRequest(wire, RECORDED[wire])
    translated = request.translated(*chat)
    same = request.same(*own, marks=0)
    thread = request.thread()
    for _ in range(2):
        request.lighten()
        assert request.translated(*chat) == translated
        request.lighten()
        assert request.same(*own, marks=0) == same
        request.lighten()
        assert request.thread() == thread


@pytest.mark.parametrize("wire", list(RECORDED))
def test_nothing_large_is_kept_for_the_answer(wire: WireFormat) -> None:
    """What the writer of an answer holds has no history, no schema and, once the tokens are known, no body."""
    request = ClientRequest(wire, RECORDED[wire])
    asked = request.asked(way("chat")[0], "0" * 32, 0)
    tools = [tool.name for tool in request.conversation().tools if tool.kind == "function"]
    request.settle()
    assert asked.input_estimate > 1000
    request.settle()
    assert (request.body, asked.conversation.messages, asked.conversation.tools) == (b"", (), ())
    assert asked.names.back(tools[0]) == Tool(tools[0])
    assert asked.input_estimate > 1000
    if wire == "anthropic":  # Responses repeats the tools in its answers
        assert _reached(asked) < 100_000


def _reached(start: Any) -> int:
    """Return about how many characters are in what *start* holds."""
    seen: set[int] = set()
    found = [start]
    size = 0
    while found:
        each = found.pop()
        if id(each) in seen or isinstance(each, type) or type(each).__name__ in ("module", "function"):
            continue
        seen.add(id(each))
        if isinstance(each, (str, bytes)):
            size += len(each)
        found += gc.get_referents(each)
    return size
