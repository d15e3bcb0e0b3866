"""The worst gap in a paced stream while hostile and large inputs go through the same relay.

The paced stream's upstream and its reader are a process of their own; an event comes every 10 ms, so that a gap of
10 ms is none.  The first row, without any input, says how much of a gap is the machine's.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gzip
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.loopback import Request, Response, Server
from support.relay import KEY, Relay, upstream

PACE = 0.01
"""Seconds between two events."""
PATHS = {"anthropic": "/v1/messages", "responses": "/v1/responses", "chat": "/v1/chat/completions"}
Json = dict[str, Any]


def chunk(text: str) -> bytes:
    return b"data: %b\n\n" % json.dumps({"choices": [{"index": 0, "delta": {"content": text}}]}).encode()


async def _feed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
    with contextlib.suppress(asyncio.CancelledError):
        await _events(writer)


async def _events(writer: asyncio.StreamWriter) -> None:
    due = time.perf_counter()
    while not writer.is_closing():
        writer.write(chunk("x"))
        due += PACE
        await asyncio.sleep(max(0.0, due - time.perf_counter()))


async def _paced(pipe: Connection) -> None:
    """Be the upstream; then read the stream through the relay, and say the worst gap whenever asked."""
    server = await asyncio.start_server(_feed, "127.0.0.1", 0)
    pipe.send(server.sockets[0].getsockname()[1])
    port = await asyncio.to_thread(pipe.recv)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = json.dumps({"model": "paced", "stream": True, "messages": [{"role": "user", "content": "go"}]}).encode()
    head = f"POST {PATHS['chat']} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {KEY}\r\n"
    writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
    before = time.perf_counter()
    worst = 0.0
    while await reader.read(1 << 16):
        now = time.perf_counter()
        worst, before = max(worst, now - before), now
        if pipe.poll():
            if pipe.recv() == "end":
                return
            pipe.send(worst)
            worst = 0.0


def paced(pipe: Connection) -> None:
    asyncio.run(_paced(pipe))


def deep(levels: int) -> Json:
    schema: Json = {"type": "string"}
    for _ in range(levels):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


def requests(client: str, size: int) -> Mapping[str, bytes]:
    """Return hostile and large requests in the format *client*; *size*: about how many bytes each."""
    place = "input" if client == "responses" else "messages"

    def ask(messages: Any, **more: Any) -> bytes:
        return json.dumps({"model": "odd", "max_tokens": 100, place: messages, **more}).encode()

    def tool(name: str, schema: Json) -> Json:
        if client == "anthropic":
            return {"name": name, "input_schema": schema}
        inside = {"name": name, "parameters": schema}
        return {"type": "function", **({"function": inside} if client == "chat" else inside)}

    hello = [{"role": "user", "content": "hi"}]
    kind = "input_text" if client == "responses" else "text"
    calls = [
        {"type": "tool_use", "id": "same", "name": "f", "input": {}} if client == "anthropic"
        else {"type": "function_call", "call_id": "same", "name": "f", "arguments": "{}"} if client == "responses"
        else {"id": "same", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    ] * (size // 80)  # fmt: skip
    same = {
        "anthropic": [{"role": "assistant", "content": calls}],
        "chat": [{"role": "assistant", "content": "", "tool_calls": calls}],
        "responses": calls,
    }[client]
    return {
        "one long text": ask([{"role": "user", "content": "hello " * (size // 6)}]),
        "many messages": ask([{"role": r, "content": "hi"} for r in ("user", "assistant")] * (size // 70)),
        "many blocks": ask([{"role": "user", "content": [{"type": kind, "text": "hi"}] * (size // 32)}]),
        "many tools": ask(hello, tools=[tool(f"tool_{n}", {"type": "object"}) for n in range(size // 80)]),
        "deep schema": ask(hello, tools=[tool(f"f{n}", deep(60)) for n in range(size // 2500)]),
        "one id for all calls": ask([*hello, *same]),
        "many system messages": ask([{"role": r, "content": "hi"} for r in ("user", "system")] * (size // 70)),
        "brackets": b'{"model":"odd","messages":' + b"[" * size,
        "no JSON": b'{"model":"odd","messages":"' + b"\\" * size,
        "numbers": ask(hello, metadata={"n": [10**15] * (size // 18)}),
    }


def answers(size: int) -> Mapping[str, Response]:
    """Return hostile and large answers of a Chat Completions upstream."""
    sse = (("content-type", "text/event-stream"),)
    end = b"data: [DONE]\n\n"
    whole = {"choices": [{"message": {"role": "assistant", "content": "x" * size}, "finish_reason": "stop"}]}
    return {
        "one large document": Response(body=json.dumps(whole).encode()),
        "one large event": Response(headers=sse, body=chunk("x" * size) + end),
        "many small events": Response(headers=sse, body=chunk("x") * (size // 60) + end),
        "comments": Response(headers=sse, body=b": x\n\n" * (size // 5) + chunk("x") + end),
        "a page": Response(502, body=b"<html><title>" + b"<title>" * (size // 7)),
        "a large error": Response(
            400, body=json.dumps({"error": {"message": "model max_tokens " * (size // 17)}}).encode()
        ),
        "deep JSON": Response(body=b'{"choices":' * (size // 11)),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=1 << 20, help="bytes of each input (1048576)")
    parser.add_argument("--times", type=int, default=3, help="how often each is sent (3)")
    options = parser.parse_args()
    pipe, other = multiprocessing.Pipe()
    stream = multiprocessing.get_context("spawn").Process(target=paced, args=(other,), daemon=True)
    stream.start()
    ready: Json = {"choices": [{"message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}]}
    said = Response(body=json.dumps(ready).encode())

    def answer(_request: Request) -> Response:
        return said

    with tempfile.TemporaryDirectory() as home, Server(answer) as odd:
        entries = [
            upstream("paced", f"http://127.0.0.1:{pipe.recv()}/v1", "chat", "sk-paced-0123456789", models=["paced"]),
            upstream("odd", odd.origin + "/v1", "chat", "sk-odd-0123456789", models=["odd"]),
        ]
        with Relay(Path(home), entries, retry={"attempts": 1, "same": 0}, cooldown={"failures": 1000}) as relay:
            pipe.send(int(relay.url.rpartition(":")[2]))
            time.sleep(1)
            worst = 0.0

            def row(name: str, send: Callable[[], object]) -> None:
                nonlocal worst
                pipe.send("gap")
                pipe.recv()
                for _ in range(options.times):
                    send()
                time.sleep(0.1)
                pipe.send("gap")
                gap = pipe.recv() * 1000
                worst = max(worst, gap)
                print(f"{gap:8.1f} ms  {name}", flush=True)

            row("nothing", lambda: time.sleep(1))
            for client, path in PATHS.items():
                for name, body in requests(client, options.size).items():
                    row(f"{client}: {name}", lambda path=path, body=body: relay.post(path, body))  # type: ignore[misc]
            bomb = gzip.compress(bytes(256 << 20), 1)
            row("a bomb", lambda: relay.post(PATHS["chat"], bomb, headers={"content-encoding": "gzip"}))
            hello = {"model": "odd", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]}
            for name, one in answers(options.size).items():
                said = one
                for kind in ("anthropic", "chat"):
                    asked = {**hello, "stream": True}
                    row(f"{kind}: answer, {name}", lambda k=kind, a=asked: relay.post(PATHS[k], a))  # type: ignore[misc]
            pipe.send("end")
    stream.join(5)
    print(f"{worst:8.1f} ms  the worst of all")
    return 0


if __name__ == "__main__":
    sys.exit(main())
