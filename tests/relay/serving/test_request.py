"""A request, as upstreams get it: what is let go of while they think comes back when another one is asked."""

from __future__ import annotations

import gc
import json
from pathlib import Path
from typing import Any

import pytest

from ccsetup.keys.reference import KeyRef
from ccsetup.model import WireFormat
from ccsetup.relay.config.model import Upstream
from ccsetup.relay.reporting.explain import explain
from ccsetup.relay.routing.choice import Choice
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


FILLED = [
    # what the client said, what the upstream's entry says, what reaches the endpoint besides the message
    ("chat", "chat", {}, {"temperature": 0.2, "max_tokens": 9}, {}, {"temperature": 0.2, "max_tokens": 9}),
    ("chat", "chat", {"temperature": 1}, {"temperature": 0.2}, {}, {"temperature": 1}),
    ("chat", "chat", {"temperature": 0}, {"temperature": 0.2}, {}, {"temperature": 0}),
    ("chat", "chat", {"temperature": None}, {"temperature": 0.2}, {}, {"temperature": 0.2}),
    ("chat", "chat", {"max_completion_tokens": 5}, {"max_tokens": 9}, {}, {"max_completion_tokens": 5}),
    ("responses", "responses", {}, {"max_tokens": 9}, {}, {"max_output_tokens": 9}),
    ("anthropic", "anthropic", {"max_tokens": 5}, {"top_p": 0.5, "max_tokens": 9}, {}, {"max_tokens": 5, "top_p": 0.5}),
    ("anthropic", "anthropic", {"max_tokens": 5, "thinking": {"type": "adaptive"}}, {"temperature": 0.2}, {},
     {"max_tokens": 5, "thinking": {"type": "adaptive"}}),
    ("responses", "chat", {}, {"temperature": 0.2, "max_tokens": 9}, {}, {"temperature": 0.2, "max_tokens": 9}),
    ("responses", "chat", {"temperature": 1}, {"temperature": 0.2}, {}, {"temperature": 1}),
    ("chat", "anthropic", {}, {"max_tokens": 9}, {}, {"max_tokens": 9}),
    ("chat", "chat", {}, {}, {"provider": {"sort": "price"}}, {"provider": {"sort": "price"}}),
    ("chat", "chat", {"provider": {"sort": "speed"}}, {}, {"provider": {"sort": "price", "only": ["a"]}},
     {"provider": {"sort": "speed", "only": ["a"]}}),
    ("chat", "chat", {"provider": "x"}, {}, {"provider": {"sort": "price"}}, {"provider": "x"}),
    ("responses", "chat", {}, {}, {"provider": {"sort": "price"}}, {"provider": {"sort": "price"}}),
]  # fmt: skip


@pytest.mark.parametrize(("wire", "out", "said", "defaults", "extra", "reaches"), FILLED)
def test_what_the_client_left_out_is_filled_in(
    wire: WireFormat, out: WireFormat, said: Any, defaults: Any, extra: Any, reaches: Any
) -> None:
    """The upstream's own defaults and members go along where the client said nothing; ``relay explain`` shows them."""
    place = "input" if wire == "responses" else "messages"
    body = json.dumps({"model": "m", place: [{"role": "user", "content": "hi"}], **said}).encode()
    upstream = Upstream("up", {out: "http://up"}, (), defaults=defaults, extra_body=extra)
    choice = Choice(upstream, 0, out, "m")
    request = ClientRequest(wire, body)
    sent = request.same(choice, Dialect(), marks=0) if wire == out else request.translated(choice, Dialect())
    members = ("temperature", "top_p", "thinking", "provider", "max_tokens", "max_completion_tokens")
    got = {name: value for name, value in json.loads(sent).items() if name in (*members, "max_output_tokens")}
    assert got == reaches
    assert json.loads(explain(wire, body, upstream, out).body) == json.loads(sent)


ON = {"type": "enabled", "budget_tokens": 10240}
THOUGHT = [
    # client, upstream, the model, what the client said, the upstream's dialect, what tells it to think
    ("anthropic", "anthropic", "m", {"max_tokens": 32000}, {}, {"thinking": ON, "max_tokens": 32000}),
    ("anthropic", "anthropic", "m", {"max_tokens": 9}, {},
     {"thinking": {**ON, "budget_tokens": 1543}, "max_tokens": 2057}),
    ("anthropic", "anthropic", "m", {"max_tokens": 32000, "thinking": {"type": "disabled"}, "temperature": 0.5}, {},
     {"thinking": ON, "max_tokens": 32000}),
    ("anthropic", "anthropic", "m", {"max_tokens": 9000, "thinking": {**ON, "budget_tokens": 2000}}, {},
     {"thinking": {**ON, "budget_tokens": 2000}, "max_tokens": 9000}),
    ("anthropic", "anthropic", "claude-opus-5-5", {"max_tokens": 9000}, {"official": True},
     {"thinking": {"type": "adaptive", "display": "summarized"}, "max_tokens": 9000}),
    ("responses", "responses", "m", {}, {}, {"reasoning": {"summary": "auto", "effort": "medium"}}),
    ("responses", "responses", "m", {"reasoning": {"effort": "none", "context": "x"}}, {},
     {"reasoning": {"effort": "medium", "summary": "auto", "context": "x"}}),
    ("responses", "responses", "m", {"reasoning": {"effort": "high"}}, {}, {"reasoning": {"effort": "high"}}),
    ("chat", "chat", "m", {}, {"thinking_switch": "thinking"}, {"thinking": {"type": "enabled"}}),
    ("chat", "chat", "m", {"thinking": {"type": "disabled"}}, {"thinking_switch": "thinking"},
     {"thinking": {"type": "enabled"}}),
    ("chat", "chat", "m", {}, {"thinking_switch": "enable_thinking"}, {"enable_thinking": True}),
    ("chat", "chat", "m", {}, {"thinking_switch": "reasoning_effort"}, {"reasoning_effort": "medium"}),
    ("chat", "chat", "m", {"reasoning_effort": "high"}, {"thinking_switch": "reasoning_effort"},
     {"reasoning_effort": "high"}),
    ("chat", "chat", "m", {}, {"thinking_switch": "reasoning"}, {"reasoning": {"effort": "medium"}}),
    ("chat", "chat", "m", {"reasoning": {"enabled": False, "exclude": True}}, {"thinking_switch": "reasoning"},
     {"reasoning": {"effort": "medium", "exclude": True}}),
    ("anthropic", "anthropic", "m", {"max_tokens": 32000, "output_config": {"effort": "none", "task_budget": 5}}, {},
     {"thinking": ON, "max_tokens": 32000, "output_config": {"task_budget": 5}}),
    ("chat", "chat", "m", {}, {}, {}),
    ("anthropic", "chat", "m", {"max_tokens": 9}, {"thinking_switch": "thinking"},
     {"thinking": {"type": "enabled"}, "max_tokens": 9}),
    ("anthropic", "responses", "m", {"max_tokens": 99}, {}, {"reasoning": {"effort": "medium", "summary": "auto"}}),
    ("responses", "anthropic", "m", {}, {"max_output": 32000}, {"thinking": ON, "max_tokens": 32000}),
    ("chat", "anthropic", "m", {"max_tokens": 32000}, {}, {"thinking": ON, "max_tokens": 32000}),
    ("responses", "chat", "m", {"reasoning": {"summary": "auto"}}, {"thinking_switch": "enable_thinking"},
     {"enable_thinking": True}),
]  # fmt: skip


@pytest.mark.parametrize(("wire", "out", "model", "said", "dialect", "reaches"), THOUGHT)
def test_a_model_is_told_to_think(
    wire: WireFormat, out: WireFormat, model: str, said: Any, dialect: Any, reaches: Any
) -> None:
    """In the way of the endpoint's format; what the client said of it stays.  ``relay explain`` shows the same."""
    place = "input" if wire == "responses" else "messages"
    body = json.dumps({"model": "m-thinking", place: [{"role": "user", "content": "hi"}], "x": 1, **said}).encode()
    upstream = Upstream("up", {out: "http://up"}, (), dialect={out: Dialect(**dialect)})
    choice = Choice(upstream, 0, out, model, thinking=True)
    request = ClientRequest(wire, body)
    told = Dialect(**dialect)
    sent = json.loads(request.same(choice, told, marks=0) if wire == out else request.translated(choice, told))
    members = ("thinking", "reasoning", "enable_thinking", "reasoning_effort", "max_tokens", "temperature")
    assert {name: value for name, value in sent.items() if name in (*members, "output_config")} == reaches
    assert (sent["model"], sent.get("x", 1)) == (model, 1)
    assert json.loads(explain(wire, body, upstream, out, model, thinks=True).body) == sent


HELLO = b'"messages":[{"role":"user","content":"hi"}],"stream":true'
ASKING = b'"stream_options":{"include_usage":true}'
STREAMS = [
    # the client's body, the model's name there, the dialect, what goes out
    (b'{"model":"m",%b}' % HELLO, "m", {}, b'{%b,"model":"m",%b}' % (ASKING, HELLO)),
    (b' {\n "model": "m", %b}' % HELLO, "n", {}, b' {%b,\n "model": "n", %b}' % (ASKING, HELLO)),
    (b'{%b,"model":"m"}' % HELLO, "n", {}, b'{%b,%b,"model":"n"}' % (ASKING, HELLO)),
    (b'{"model":"m",%b,%b}' % (HELLO, ASKING), "m", {}, b'{"model":"m",%b,%b}' % (HELLO, ASKING)),
    (b'{"model":"m",%b}' % HELLO, "m", {"stream_usage": False}, b'{"model":"m",%b}' % HELLO),
    (b'{"model":"m","messages":[],"stream":false}', "m", {}, b'{"model":"m","messages":[],"stream":false}'),
    (b'{"model":"m",%b,"stream_options":null}' % HELLO, "m", {}, b'{"model":"m",%b,%b}' % (HELLO, ASKING)),
    (b'{"model":"m",%b,"stream_options":{"include_usage":false,"x":1}}' % HELLO, "m", {},
     b'{"model":"m",%b,"stream_options":{"include_usage":true,"x":1}}' % HELLO),
]  # fmt: skip


@pytest.mark.parametrize(("body", "model", "dialect", "sent"), STREAMS)
def test_a_stream_of_chat_tells_its_usage(body: bytes, model: str, dialect: Any, sent: bytes) -> None:
    """It is asked for where the client did not, the other bytes unchanged; but not where the endpoint refuses it."""
    upstream = Upstream("up", {"chat": "http://up"}, (), map=(("m", model),), dialect={"chat": Dialect(**dialect)})
    request = ClientRequest("chat", body)
    for _ in range(2):
        assert request.same(Choice(upstream, 0, "chat", model), Dialect(**dialect), marks=0) == sent
        request.lighten()
    assert request.usage is (ASKING in body or b'"stream":false' in body)
    assert json.loads(explain("chat", body, upstream, "chat").body) == json.loads(sent)


def test_what_an_endpoint_refuses_is_not_filled_in() -> None:
    """A member that the dialect leaves out stays out, whoever put it there."""
    body = b'{"model": "m", "messages": [{"role": "user", "content": "hi"}]}'
    upstream = Upstream("up", {"chat": "http://up"}, (), defaults={"temperature": 0.2})
    dialect = Dialect(without=("temperature",), said=frozenset(("without",)))
    assert b"temperature" not in ClientRequest("chat", body).same(Choice(upstream, 0, "chat", "m"), dialect, marks=0)


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
