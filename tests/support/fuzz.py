"""Changed answers and requests of the three wire formats, by the number of a seed, and what has to hold for each.

    python -m support.fuzz --number 200000        # in tests/; --seed N, --without-orjson
    python -m support.fuzz --relay 3000           # through a relay that runs, in front of a second, good upstream

A case is one number: ``check(number)`` makes the same one again.  It raises AssertionError, or what a reader raised.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import functools
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

from support import drill, scripted
from support.drill import WIRES
from support.loopback import Response, Server
from support.relay import Relay, Reply, upstream
from support.scripted import Said, Use

SAID = (
    Said("The answer is 42."),
    Said(thought="Let me think.", text="It is \u00e9\u4e2d.", uses=(Use("call_1", "Bash", '{"command": "ls -l"}'),)),
    Said(uses=(Use("call_1", "Bash", "{}"), Use("call_1", "Read", '{"path": "a\\"b"}'), Use("", "Bash", '{"n": 1}'))),
    Said("cut", length=True),
)
ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, 1e308, 2**53, 2**63, 2**64, -(2**70), "", " ", "x" * 3000, "\0", "\ud800", "null",
    [], [None], [[1]], [{}], {}, {"a": 1}, {"type": [1]}, {"type": {}}, {"error": "x"}, {"message": {"message": 1}},
    {"code": "rate_limit_exceeded"}, {"text": None}, "429", 429, ["error"], "error", "message_stop", "[DONE]",
)  # fmt: skip
NAMES = (
    "type", "error", "index", "choices", "usage", "status", "base_resp", "code", "object", "message", "content",
    "delta", "id", "model", "output", "response", "item", "name", "arguments", "input", "finish_reason", "role",
    "tool_calls", "text", "item_id", "output_index", "signature", "encrypted_content", "retry_after", "stop_reason",
)  # fmt: skip


def _deep(levels: int) -> Any:
    value: Any = "x"
    for level in range(levels):
        value = [value] if level % 2 else {"a": value}
    return value


def changed(rng: random.Random, value: Any) -> Any:
    """Return a copy of a JSON value with one to four changes, each anywhere in it."""
    holder = [json.loads(json.dumps(value))]
    for _ in range(rng.choice((1, 1, 2, 4))):
        place, key = rng.choice(list(_places(holder)))
        what = rng.randrange(8)
        odd = _deep(rng.choice((5, 300))) if rng.random() < 0.02 else copy.deepcopy(rng.choice(ODD))
        if what < 3:
            place[key] = odd
        elif what == 3 and place is not holder:
            del place[key]
        elif what == 4:
            place[key] = rng.choice(([place[key]], {"a": place[key]}, [place[key], place[key]], str(place[key])))
        elif isinstance(place[key], dict):
            place[key][rng.choice(NAMES)] = odd
        elif isinstance(place[key], list):
            place[key].insert(rng.randint(0, len(place[key])), odd)
        else:
            _other, other = rng.choice(list(_places(holder)))
            place[key] = copy.deepcopy(_other[other])
    return holder[0]


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    for key in list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, key
        yield from _places(value[key])


def text_of(rng: random.Random, value: Any) -> bytes:
    """Return *value* as JSON, and sometimes as what is nearly JSON."""
    data = json.dumps(value, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")
    return damaged(rng, data) if rng.random() < 0.15 else data


def damaged(rng: random.Random, data: bytes) -> bytes:
    at = rng.randint(0, len(data))
    to = min(len(data), at + rng.choice((0, 1, 1, 10, 1000)))
    put = rng.choice((b"", b"\xff", b"\xc3", b"\0", b"NaN", b"1e999", b"\n\n", b"\r", b'"', b"}"))
    return data[:at] + put + data[to:]


@functools.cache
def _answers(kind: str, said: Said, stream: bool) -> Any:
    return scripted.events(kind, said) if stream else scripted.whole(kind, said)


def answer(rng: random.Random, kind: str, *, stream: bool) -> bytes:
    """Return the changed body of an answer with status 200."""
    said = rng.choice(SAID)
    if not stream:
        return text_of(rng, changed(rng, _answers(kind, said, False)))
    events = list(_answers(kind, said, True))
    for _ in range(rng.choice((1, 1, 2, 5))):
        at = rng.randrange(len(events) + 1)
        what = rng.randrange(8)
        if at == len(events) or what == 0:
            events.insert(at, rng.choice((b"event: x\ndata: {}\n\n", b": c\n\n", b"data: [DONE]\n\n", b"data: []\n\n")))
        elif what == 1:
            del events[at]
        elif what == 2:
            events.insert(rng.randrange(len(events) + 1), events[at])
        elif what == 3:
            events[at] = damaged(rng, events[at])
        else:
            head, _, data = events[at].partition(b"data: ")
            try:
                value = json.loads(data)
            except ValueError:
                continue
            events[at] = head + b"data: " + text_of(rng, changed(rng, value)).replace(b"\n", b"") + b"\n\n"
    body = b"".join(events)
    if rng.random() < 0.1:
        body = body.replace(b"\n", b"\r\n")
    return body[: rng.randrange(len(body) + 1)] if rng.random() < 0.1 else body


SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "anyOf": [{"properties": {"b": {}}}]}
_PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
REQUESTS: dict[str, dict[str, Any]] = {
    "anthropic": {
        "model": "m", "max_tokens": 100, "temperature": 0.5, "stop_sequences": ["x"], "metadata": {"user_id": "u"},
        "thinking": {"type": "enabled", "budget_tokens": 2000}, "tool_choice": {"type": "auto"},
        "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        "tools": [{"name": "Bash", "description": "d", "input_schema": SCHEMA},
                  {"type": "web_search_20250305", "name": "w"}],
        "output_config": {"effort": "high", "format": {"type": "json_schema", "schema": SCHEMA}},
        "messages": [
            {"role": "user", "content": "hello"},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "hm", "signature": "s"}, {"type": "redacted_thinking", "data": "d"},
                {"type": "text", "text": "yes"},
                {"type": "tool_use", "id": "a", "name": "Bash", "input": {"a": 1}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "a", "is_error": True,
                 "content": [{"type": "text", "text": "r"}]},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": _PNG}},
                {"type": "document", "title": "t",
                 "source": {"type": "text", "media_type": "text/plain", "data": "x"}}]},
            {"role": "system", "content": "more"},
        ],
    },
    "responses": {
        "model": "m", "instructions": "Be brief.", "max_output_tokens": 100, "temperature": 1, "store": False,
        "reasoning": {"effort": "high", "summary": "auto"}, "include": ["reasoning.encrypted_content"],
        "text": {"verbosity": "low", "format": {"type": "json_schema", "name": "n", "schema": SCHEMA, "strict": True}},
        "tools": [
            {"type": "function", "name": "Bash", "parameters": SCHEMA, "strict": False},
            {"type": "custom", "name": "patch", "format": {"type": "grammar", "syntax": "lark", "definition": "x"}},
            {"type": "namespace", "name": "mcp__", "tools": [{"type": "function", "name": "f", "parameters": {}}]},
            {"type": "web_search"}],
        "tool_choice": "auto", "prompt_cache_key": "k",
        "input": [
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hello"}]},
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "s"}], "encrypted_content": "gAAAAx"},
            {"type": "function_call", "call_id": "a", "name": "Bash", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "a", "output": "r"},
            {"type": "custom_tool_call", "call_id": "b", "name": "patch", "input": "x"},
            {"type": "custom_tool_call_output", "call_id": "b",
             "output": [{"type": "input_image", "image_url": "data:,x"}]},
            {"role": "developer", "content": "more"}],
    },
    "chat": {
        "model": "m", "max_tokens": 100, "top_p": 0.5, "stop": "x", "user": "u", "reasoning_effort": "high", "n": 1,
        "stream_options": {"include_usage": True}, "parallel_tool_calls": False,
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}},
        "tools": [{"type": "function", "function": {"name": "Bash", "parameters": SCHEMA}},
                  {"type": "custom", "custom": {"name": "patch"}}],
        "tool_choice": {"type": "function", "function": {"name": "Bash"}},
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "x"},
                                         {"type": "image_url", "image_url": {"url": "data:image/png;base64," + _PNG}}]},
            {"role": "assistant", "content": None, "reasoning_content": "hm", "reasoning_details": [{"text": "x"}],
             "tool_calls": [{"id": "a", "type": "function", "function": {"name": "Bash", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "a", "content": "r"},
            {"role": "user", "content": "go on"}],
    },
}  # fmt: skip


def request(rng: random.Random, kind: str) -> bytes:
    """Return the changed body of a request; its model is "m" where it still has one."""
    value = changed(rng, REQUESTS[kind])
    if isinstance(value, dict) and rng.random() < 0.9:
        value["model"] = "m"
    return text_of(rng, value)


# What has to hold.


def check(number: int) -> str:
    """Check one case; return what came of it, in a word."""
    rng = random.Random(number)
    kind = WIRES[number % 3]
    match number // 3 % 3:
        case 0:
            return _whole(kind, answer(rng, kind, stream=False))
        case 1:
            return _stream(rng, kind, answer(rng, kind, stream=True))
    return _request(rng, kind, request(rng, kind))


@functools.cache
def asked(kind: str) -> Any:
    """Return what a writer of an answer to the request of *kind* has to know."""
    from ccsetup.relay.wire.formats import FORMATS
    from ccsetup.relay.wire.messages import Asked
    from ccsetup.relay.wire.tools import ToolNames

    conversation = FORMATS[kind].read_request(REQUESTS[kind])
    return Asked(conversation, ToolNames.of(conversation), "0" * 32, 1, "up", lambda: 7)


def _in_order(events: list[Any]) -> None:
    """The events of an answer are what ``wire.messages`` promises."""
    from ccsetup.relay.wire import messages

    assert isinstance(events[-1], (messages.Stop, messages.Failed)), events[-3:]
    assert isinstance(events[0], (messages.Started, messages.Failed, messages.Ping)), events[:2]
    opened: set[int] = set()
    started = 0
    for event in events[:-1]:
        assert not isinstance(event, (messages.Stop, messages.Failed))
        if isinstance(event, messages.Delta):
            assert event.block in opened
            assert event.text
        elif isinstance(event, messages.BlockEnd):
            opened.remove(event.block)
        elif not isinstance(event, (messages.Started, messages.Ping)):
            assert event.block == started
            started += 1
            opened.add(event.block)
    assert not opened or isinstance(events[-1], messages.Failed)


def _whole(kind: str, body: bytes) -> str:
    from ccsetup.relay.serving import answers
    from ccsetup.relay.wire import errors
    from ccsetup.relay.wire.formats import FORMATS
    from ccsetup.relay.wire.messages import Failed
    from ccsetup.relay.wire.tap import usage_of

    usage_of(kind, body)  # type: ignore[arg-type]
    answers.wrong_answer(kind, body)
    answers.is_error(kind, body)
    errors.extract(500, body, "nan")
    events = FORMATS[kind].read_answer(body)
    _in_order(events)
    for client in WIRES:
        out = FORMATS[client].write_answer(events, asked(client))
        failed = _is_error(client, json.loads(out))
        assert failed or not isinstance(events[-1], Failed)
    return "failed" if isinstance(events[-1], Failed) else "answered"


def _is_error(client: str, value: Any) -> bool:
    """Whether a whole answer is an error; AssertionError where it is neither that nor an answer."""
    if client == "responses":
        assert value["status"] in ("completed", "incomplete", "failed")
        return bool(value["status"] == "failed")
    if value.get("error"):
        return bool(value["error"]["message"])
    assert value["content" if client == "anthropic" else "choices"] is not None
    return False


def _stream(rng: random.Random, kind: str, body: bytes) -> str:
    from ccsetup.relay.wire.formats import FORMATS
    from ccsetup.relay.wire.messages import Failed
    from ccsetup.relay.wire.sse import Decoder
    from ccsetup.relay.wire.tap import Tap

    decoder, reader, tap = Decoder(), FORMATS[kind].reader(), Tap(kind)  # type: ignore[arg-type]
    events: list[Any] = []
    at = 0
    while at < len(body):
        piece = body[at : at + rng.choice((1, 7, 100, 100_000))]
        at += len(piece)
        tap.feed(piece)
        events += [event for name, data in decoder.feed(piece) for event in reader.feed(name, data)]
    tap.end()
    events += [event for name, data in decoder.end() for event in reader.feed(name, data)]
    events += reader.end()
    _in_order(events)
    for client in WIRES:
        writer = FORMATS[client].writer(asked(client))
        out = b"".join(writer.write(event) for event in events)
        got = drill.understood(client, out, stream=True)
        assert got.finished != bool(got.error), (client, out[-300:])
        assert isinstance(events[-1], Failed) <= bool(got.error)
    return "failed" if isinstance(events[-1], Failed) else "answered"


def _request(rng: random.Random, kind: str, body: bytes) -> str:
    from ccsetup.relay.serving.peek import drop_cache_control
    from ccsetup.relay.serving.request import ClientRequest
    from ccsetup.relay.wire import adjust, reasoning
    from ccsetup.relay.wire.formats import FORMATS
    from ccsetup.relay.wire.messages import BadRequest, Dialect

    official = Dialect(official=True, developer=True, hosted=("web_search", "web_search_20250305"))
    plain = Dialect(system_between=False, images=False, structured=False, reasoning_field="reasoning_details")
    try:
        given = ClientRequest(kind, body)  # type: ignore[arg-type]
    except BadRequest:
        return "refused"
    given.thread()
    value = adjust.without_reasoning(kind, given.value(), ours_only=rng.random() < 0.5)
    json.dumps(drop_cache_control(adjust.system_in_front("anthropic", value), 0) if kind == "anthropic" else value)
    try:
        conversation = given.conversation()
        given.tokens()
        for upstream in WIRES:
            for dialect in (official, plain, Dialect()):
                own = reasoning.for_upstream(conversation, "up", moved=rng.random() < 0.5)
                out, _losses = FORMATS[upstream].write_request(own, dialect, given.names())
                assert isinstance(json.loads(out), dict)
    except BadRequest:
        return "refused"
    return "carried"


# Through a relay.

_STATUS = (200, 200, 200, 200, 200, 200, 299, 204, 302, 429, 500, 503, 529, 999)
_TYPES = ("application/json", "text/event-stream", "text/html", "", "x; y=\xe9", "JSON")
_WAITS = (
    "nan", "inf", "-inf", "-1", "1e400", "9" * 400, "0x10", "soon", "", "\xe9", "Mon, 01 Jan 99999 00:00:00 GMT",
    "Thu, 01 Jan 0001 00:00:00 -2359", "Fri, 31 Dec 9999 23:59:59 -2359", "Wed, 21 Oct 2015 07:28:00 GMT", "1, 2",
)  # fmt: skip


def http_answer(rng: random.Random, kind: str, *, stream: bool) -> bytes:
    """Return an answer as bytes of HTTP: status, headers and body may all be odd."""
    body = answer(rng, kind, stream=stream if rng.random() < 0.9 else not stream)
    lines = [f"HTTP/1.1 {rng.choice(_STATUS)} X"]
    given = "text/event-stream" if stream else "application/json"
    lines.append(f"content-type: {given if rng.random() < 0.7 else rng.choice(_TYPES)}")
    if rng.random() < 0.4:
        lines.append(f"retry-after: {rng.choice(_WAITS)}")
    if rng.random() < 0.1:
        lines.append(f"content-encoding: {rng.choice(('gzip', 'br', 'identity', 'deflate', ''))}")
    framing = rng.random()
    if framing < 0.6:
        lines.append(f"content-length: {len(body)}")
    elif framing < 0.7:
        lines.append(f"content-length: {rng.choice((0, len(body) // 2, len(body) + 9, -1, 'x', '9' * 30))}")
    elif framing < 0.8:
        lines.append("transfer-encoding: chunked")
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        body = damaged(rng, body) if rng.random() < 0.5 else body
    lines.append("connection: close")
    head = "\r\n".join((*lines, "", "")).encode("latin-1")
    return damaged(rng, head + body) if rng.random() < 0.05 else head + body


def sent(status: int, body: bytes, *lines: str) -> bytes:
    """Return an answer that says how long it is."""
    head = [f"HTTP/1.1 {status} X", *lines, f"content-length: {len(body)}", "connection: close", "", ""]
    return "\r\n".join(head).encode("latin-1") + body


class Through:
    """A relay that asks an upstream with odd answers first, and a good one next."""

    def __init__(self, home: Path) -> None:
        self._odd = b""
        self._servers = Server(lambda _request: Response(body=self._odd, raw=True)), drill.Upstream("good")
        first, good = self._servers
        entries = [
            upstream(f"{name}-{kind}", url(kind), kind, f"sk-{name}-{kind}-0123456789", models=[f"m-{kind}"])
            for kind in WIRES
            for name, url in (("odd", lambda k: first.origin + ("" if k == "anthropic" else "/v1")), ("good", good.url))
        ]
        retry = {"attempts": 3, "same": 0, "backoff": 0, "jitter": 0}
        self._relay = Relay(home, entries, retry=retry, selection={"sticky": 0}, cooldown={"failures": 1000})

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as opened:
            for one in (*self._servers, self._relay):
                opened.enter_context(one)
            self._opened = opened.pop_all()
        return self

    def __exit__(self, *_error: object) -> None:
        self._opened.close()

    def ask(self, client: str, kind: str, odd: bytes, *, stream: bool) -> Reply:
        """Return what a client of the format *client* gets when the first upstream, of *kind*, answers *odd*."""
        self._odd = odd
        self._relay.control("POST", "reset")
        asking = drill.asking(client, f"m-{kind}", stream=stream)
        got = self._relay.post(drill.PATHS[client], asking, timeout=30)
        assert '"bug"' not in self._relay.output
        return got

    def check(self, number: int) -> str:
        """The client gets an answer in its format that ends; never that of a relay that is broken."""
        rng = random.Random(number)
        client, kind, stream = WIRES[number % 3], WIRES[number // 3 % 3], number // 9 % 2 == 1
        got = self.ask(client, kind, http_answer(rng, kind, stream=stream), stream=stream)
        assert got.status == 200 or 400 <= got.status < 500, (got.status, got.body[:300])
        if got.status != 200:
            return "refused"
        if client == kind and b"I am good" not in got.body:  # as the upstream wrote it, but for an error behind it
            ends = (b"message_stop", b"stop_reason", b"finish_reason", b"[DONE]", b"response.", b"error", b'"output"')
            assert any(end in got.body for end in ends), got.body[-300:]
            return "passed"
        if not stream:
            return "good" if b"I am good" in got.body else "failed" if _is_error(client, got.json) else "answered"
        said = drill.understood(client, got.body, stream=True)
        assert said.finished != bool(said.error), got.body[-300:]
        return "good" if "I am good" in said.text else "broken off" if said.error else "answered"


def main() -> int:
    parser = argparse.ArgumentParser(description="Check changed answers and requests.")
    parser.add_argument("--number", type=int, default=200_000, help="how many (200000)")
    parser.add_argument("--seed", type=int, default=0, help="number of the first one (0)")
    parser.add_argument("--without-orjson", action="store_true", help="read JSON by the standard library")
    parser.add_argument("--relay", type=int, default=0, help="as many through a relay that runs instead")
    options = parser.parse_args()
    if options.without_orjson:
        sys.modules["orjson"] = None  # type: ignore[assignment]
    if not options.relay:
        return _run(check, options.seed, options.number)
    with tempfile.TemporaryDirectory() as home, Through(Path(home)) as through:
        return _run(through.check, options.seed, options.relay)


def _run(check: Callable[[int], str], seed: int, cases: int) -> int:
    began = time.monotonic()
    counts: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    slowest = (0.0, 0)
    for number in range(seed, seed + cases):
        before = time.perf_counter()
        try:
            counts[check(number)] += 1
        except Exception as error:
            trace = error.__traceback__
            while trace is not None and trace.tb_next is not None:
                trace = trace.tb_next
            place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else ""
            kind = f"{type(error).__name__} at {place}"
            if wrong[kind] < 3:
                print(f"{number}: {kind}: {str(error)[:200]}")
            wrong[kind] += 1
        slowest = max(slowest, (time.perf_counter() - before, number))
    print(f"{cases} cases in {time.monotonic() - began:.0f} s: {dict(counts)}, wrong: {dict(wrong)}")
    print(f"the slowest took {slowest[0] * 1000:.0f} ms: {slowest[1]}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
