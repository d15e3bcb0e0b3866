"""The layer that costs tokens: does everything work that a client uses, beyond a first answer?

Each check is one or two small requests; what is not supported is told with the setting that avoids it.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

from ccsetup.i18n import _
from ccsetup.probe import classify, requests, shapes, sse
from ccsetup.probe.classify import Answer
from ccsetup.probe.network import Fault
from ccsetup.probe.target import Target
from ccsetup.probe.verdict import clean

if TYPE_CHECKING:
    from ccsetup.probe.steps import Run

STREAM_LIMIT = 4 << 20
ANSWER_TOKENS = 512
"""Room for models that think before they call a tool."""
SECONDS = 60.0
PIXELS = "iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAIAAACQkWg2AAAAFklEQVR42mP4z8BAEmIY1TCqYfhqAACQ+f8B8u7oVwAAAABJRU5ErkJggg=="
"""A red square, PNG, 16 x 16."""


class Heard(NamedTuple):
    """An answer, read to its end."""

    answer: Answer
    status: int
    events: list[sse.Event]
    streamed: bool
    problem: str
    """What is wrong with the stream, or ""."""
    first_event: float
    """Seconds."""
    seconds: float
    limits: tuple[str, ...]
    """Rate-limit headers, as ``name: value``."""


class Tried(NamedTuple):
    """What one check found."""

    title: str
    ok: Optional[bool]
    """None: could not be tried."""
    text: str = ""
    hint: str = ""


def estimate(target: Target) -> tuple[int, int]:
    """Return how many tokens the deep test is expected to take at most, in and out."""
    bodies = [shapes.like_client(target, "m")] * 6 + [_tool_body(target, "m", 2)] * 3
    tokens_in = requests.total([json.dumps(b) for b in bodies]) + 300
    return tokens_in, 3 * ANSWER_TOKENS + 64 + 8 * 16


def expected_cost(target: Target) -> tuple[Optional[float], str]:
    """Return what the deep test costs at most by the preset's prices, and the currency; None: no price is known."""
    return requests.price(target, *estimate(target))


async def run(run: Run) -> None:
    """Carry out every check and report the layer."""
    target = run.target
    model = target.models[0].id if target.models else ""
    found: list[Tried] = []
    timings: dict[str, float] = {}
    heard = await hear(
        run, _with(requests.minimal(target.wire, model, _("Count from one to twenty in words."), max_tokens=128))
    )
    found.append(_streaming(run, heard, timings))
    if heard.status < 300:
        tokens = sse.usage(heard.events)
        usage_known = any(tokens)
        found.append(
            Tried(
                _("usage numbers"),
                usage_known,
                _("{tokens_in} + {tokens_out} tokens").format(tokens_in=tokens[0], tokens_out=tokens[1])
                if usage_known
                else _("the answer does not say how many tokens it took"),
                "" if usage_known else _("The client cannot show or limit its use, nor tell when its context is full."),
            )
        )
        found += await _tools(run, model)
        found += await _images(run, model)
        found += await pieces(run, model)
    else:
        found.append(Tried(_("the rest"), None, _("not tried")))
    details = []
    for one in found:
        mark = {True: "✓", False: "✗", None: "–"}[one.ok]
        details.append(" ".join(t for t in (mark, one.title + (":" if one.text else ""), one.text) if t))
        if one.ok is False and one.hint:
            details.append("  → " + one.hint)
    details += list(heard.limits)
    broken = [f for f in found if f.ok is False]
    if not broken:
        run.add("ok", _("Everything that the client uses works."), details=details, timings=timings)
        return
    names = ", ".join(f.title for f in broken)
    run.add(
        "degraded",
        _("Does not work: {names}.").format(names=names),
        next((f.hint for f in broken if f.hint), ""),
        details=details,
        timings=timings,
    )


async def hear(run: Run, body: dict[str, Any]) -> Heard:
    """Send *body* and read its answer to the end; faults become part of the value."""
    target = run.target
    request = requests.inference(target, target.wire, body)
    start = time.perf_counter()
    nothing = Answer("garbage", "none")
    status = 0
    events: list[sse.Event] = []
    try:
        async with asyncio.timeout(SECONDS):
            async with run.http.open(request.method, request.url, request.headers, request.body) as stream:
                status = stream.status
                kind = dict(stream.headers).get("content-type", "")
                streamed = status < 300 and "application/json" not in kind
                reader = sse.Reader()
                raw = b""
                first, size = 0.0, 0
                async for chunk in stream:
                    size += len(chunk)
                    if size > STREAM_LIMIT:
                        return Heard(nothing, status, events, streamed, _("The answer does not end."), first, 0.0, ())
                    if not streamed:
                        raw += chunk
                        continue
                    for event in reader.feed(chunk):
                        first = first or time.perf_counter() - start
                        events.append(event)
                events += reader.feed(b"\n\n", end=True)
                seconds = time.perf_counter() - start
                limits = tuple(
                    f"{n}: {clean(v, run.secrets, 60)}"
                    for n, v in stream.headers
                    if "ratelimit" in n or n == "retry-after"
                )[:8]
                if not streamed:
                    answer = classify.answer(target.wire, status, dict(stream.headers), raw, target.preset)
                    if status < 300:
                        events = _as_events(raw)
                        run.count(*sse.usage(events))
                    return Heard(answer, status, events, False, "", seconds, seconds, limits)
    except TimeoutError:
        return Heard(nothing, status, events, False, _("No complete answer in time."), 0.0, SECONDS, ())
    except Fault as e:
        return Heard(nothing, status, events, bool(events), e.text, 0.0, 0.0, ())
    run.count(*sse.usage(events))
    error = sse.error_of(events)
    if error is not None:
        return Heard(
            Answer("server", "other", classify.message_of(error)),
            status,
            events,
            True,
            _("The stream holds an error: {message}").format(
                message=clean(classify.message_of(error), run.secrets, 120)
            ),
            first,
            seconds,
            limits,
        )
    return Heard(Answer("ok", "none"), status, events, True, sse.problem(target.wire, events), first, seconds, limits)


def _as_events(raw: bytes) -> list[sse.Event]:
    try:
        return [sse.Event("", json.loads(raw))]
    except (ValueError, RecursionError):
        return []


def _with(body: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {**body, **more}


def _streaming(run: Run, heard: Heard, timings: dict[str, float]) -> Tried:
    title = _("streaming")
    if heard.status >= 300 or (heard.status == 0 and not heard.events):
        return Tried(title, False, _refusal(run, heard), _("Run the test again; the provider's message says more."))
    if not heard.streamed:
        return Tried(
            title,
            False,
            _("the answer comes in one piece, although a stream was asked for"),
            _("Codex cannot use it; Claude Code asks a second time without streaming, which costs twice."),
        )
    if heard.problem:
        return Tried(
            title, False, heard.problem, _("Something between may cut streams off: a proxy, a gateway, a time limit.")
        )
    timings["first_event"] = heard.first_event
    run.speed["first_event"] = heard.first_event
    tokens = sse.usage(heard.events)[1]
    rest = heard.seconds - heard.first_event
    text = _("first event after {ms} ms").format(ms=round(heard.first_event * 1000))
    if tokens > 1 and rest > 0.005:
        run.speed["tokens_per_second"] = tokens / rest
        text += ", " + _("{number} tokens per second").format(number=round(tokens / rest))
    return Tried(title, True, text)


def _refusal(run: Run, heard: Heard) -> str:
    if heard.problem:
        return heard.problem
    return f"HTTP {heard.status}: {clean(heard.answer.message, run.secrets, 160)}"


# Tools.


class Call(NamedTuple):
    id: str
    name: str
    arguments: Any
    """Parsed; None when they are no JSON object."""


def calls(wire: str, events: list[sse.Event]) -> list[Call]:
    """Return the tool calls in a stream, or in a whole answer that stands for one."""
    return _calls_anthropic(events) if wire == "anthropic" else _calls_responses(events)


def _calls_anthropic(events: list[sse.Event]) -> list[Call]:
    blocks: dict[int, dict[str, Any]] = {}
    out: list[Call] = []
    for event in events:
        data = event.data if isinstance(event.data, dict) else {}
        if event.type == "message":
            for block in data.get("content") or ():
                if isinstance(block, dict) and block.get("type") == "tool_use":
                    out.append(Call(str(block.get("id", "")), str(block.get("name", "")), _object(block.get("input"))))
        elif event.type == "content_block_start":
            block = data.get("content_block")
            if isinstance(block, dict) and block.get("type") == "tool_use":
                blocks[data.get("index", 0)] = {**block, "json": ""}
        elif event.type == "content_block_delta":
            delta = data.get("delta")
            held = blocks.get(data.get("index", 0))
            if held is not None and isinstance(delta, dict) and isinstance(delta.get("partial_json"), str):
                held["json"] += delta["partial_json"]
    for held in blocks.values():
        given = _loads(held["json"]) if held["json"] else held.get("input")
        out.append(Call(str(held.get("id", "")), str(held.get("name", "")), _object(given)))
    return out


def _calls_responses(events: list[sse.Event]) -> list[Call]:
    items: dict[str, Any] = {}
    for event in events:
        data = event.data if isinstance(event.data, dict) else {}
        holders: list[Any] = []
        if event.type == "response.output_item.done":
            holders = [data.get("item")]
        elif event.type in ("response.completed", "response.incomplete"):
            response = data.get("response")
            holders = list(response.get("output") or ()) if isinstance(response, dict) else []
        elif data.get("object") == "response":
            holders = list(data.get("output") or ())
        for item in holders:
            if isinstance(item, dict) and item.get("type") == "function_call":
                items[str(item.get("call_id") or item.get("id"))] = item
    return [Call(i, str(v.get("name", "")), _object(_loads(v.get("arguments")))) for i, v in items.items()]


def _loads(text: Any) -> Any:
    try:
        return json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return None


def _object(value: Any) -> Any:
    return value if isinstance(value, dict) else None


def _tool_body(target: Target, model: str, count: int) -> dict[str, Any]:
    prompt = (
        'Call the tool lookup with the word "ping". Do not answer in text.'
        if count == 1
        else 'Call both tools at once, in parallel: lookup with the word "ping" and translate with the word "pong".'
    )
    body = requests.minimal(target.wire, model, prompt, max_tokens=ANSWER_TOKENS)
    body["tools"] = shapes.tools(target.wire, count)
    if target.wire == "responses":
        body["tool_choice"] = "auto"
        body["parallel_tool_calls"] = True
    return body


async def _tools(run: Run, model: str) -> list[Tried]:
    target = run.target
    title = _("tool call")
    body = _tool_body(target, model, 1)
    heard = await hear(run, body)
    advice = _("Neither client can work without tools: choose another model.")
    if heard.status >= 300 or heard.problem:
        return [Tried(title, False, _refusal(run, heard), advice)]
    made = calls(target.wire, heard.events)
    if not made:
        return [Tried(title, False, _("the model answers in words instead of calling the tool"), advice)]
    first = made[0]
    if first.name != "lookup" or not isinstance(first.arguments, dict) or "word" not in first.arguments:
        return [Tried(title, False, _("the call's arguments are not what the tool asks for"), advice)]
    out = []
    back = await hear(run, _answered(target, body, first))
    if back.status >= 300 or back.problem:
        out.append(
            Tried(title, False, _("the tool's result is refused: {why}").format(why=_refusal(run, back)), advice)
        )
    else:
        out.append(Tried(title, True))
    both = await hear(run, _tool_body(target, model, 2))
    parallel = _("parallel tool calls")
    slower = _("The client works, one call after the other.")
    if both.status >= 300 or both.problem:
        out.append(Tried(parallel, False, _refusal(run, both), slower))
    else:
        several = len(calls(target.wire, both.events))
        # Doing one after the other is a model's choice, and costs only time.
        out.append(Tried(parallel, True if several > 1 else None, "" if several > 1 else _("one call at a time")))
    return out


def _answered(target: Target, body: dict[str, Any], call: Call) -> dict[str, Any]:
    """Return the request that follows a tool call: with the call and its result."""
    if target.wire == "anthropic":
        turn = {"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments}
        result = {"type": "tool_result", "tool_use_id": call.id, "content": "a short high sound"}
        messages = [
            *body["messages"],
            {"role": "assistant", "content": [turn]},
            {"role": "user", "content": [result]},
        ]
        return {**body, "messages": messages, "max_tokens": 32}
    item = {"type": "function_call", "call_id": call.id, "name": call.name, "arguments": json.dumps(call.arguments)}
    result = {"type": "function_call_output", "call_id": call.id, "output": "a short high sound"}
    return {**body, "input": [*body["input"], item, result], "max_output_tokens": 32}


async def _images(run: Run, model: str) -> list[Tried]:
    target = run.target
    known = target.preset.model(model) if target.preset else None
    title = _("images")
    if known is None or not known.vision:
        return []
    body = requests.minimal(target.wire, model, max_tokens=16)
    if target.wire == "anthropic":
        source = {"type": "base64", "media_type": "image/png", "data": PIXELS}
        content: list[Any] = [{"type": "image", "source": source}, {"type": "text", "text": "Which colour?"}]
        body["messages"] = [{"role": "user", "content": content}]
    else:
        content = [
            {"type": "input_image", "image_url": "data:image/png;base64," + PIXELS},
            {"type": "input_text", "text": "Which colour?"},
        ]
        body["input"] = [{"type": "message", "role": "user", "content": content}]
    heard = await hear(run, body)
    if heard.status >= 300 or heard.problem:
        return [Tried(title, False, _refusal(run, heard), _("Do not paste images in a session with this model."))]
    return [Tried(title, True)]


async def pieces(run: Run, model: str) -> list[Tried]:
    """Try what the client adds to a request: all at once, and one by one where that is refused."""
    target = run.target
    wanted = shapes.pieces(target)
    if target.wire == "anthropic" and not wanted:
        return []
    whole = await hear(run, shapes.like_client(target, model))
    title = _("the request as the client sends it")
    if whole.status and whole.status < 300 and not whole.problem:
        return [Tried(p.title, True) for p in wanted if p.name != "tools"]
    if whole.answer.meaning in ("rate", "no_quota", "server") or whole.status == 0:
        return [Tried(title, None, _refusal(run, whole))]
    out = []
    for piece in wanted:
        body = requests.minimal(target.wire, model)
        piece.apply(body)
        heard = await hear(run, body)
        if heard.status and heard.status < 300 and not heard.problem:
            out.append(Tried(piece.title, True))
        else:
            out.append(Tried(piece.title, False, _refusal(run, heard), piece.hint))
    if all(f.ok for f in out):
        out.append(
            Tried(title, False, _refusal(run, whole), _("Run the test again; the provider's message says more."))
        )
    return out
