"""The worst gap in a paced stream while hostile and large inputs go through the same relay.

The paced stream's upstream and its reader are a process of their own; an event comes every 10 ms, so that a gap of
10 ms is none.  Other programs make gaps as well.  So two figures are printed: the time between two events, and the CPU
time that all threads of the relay took meanwhile: what that time would have been on a machine of its own.  Each
input is sent until a round's CPU time is within the limit, a few times at most, and the best round counts.  The first
row, without any input, says what the machine does.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import gzip
import itertools
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.loopback import Request, Response, Server
from support.relay import KEY, Relay, upstream
from support.scripted import Said, Use, answer, error, events, whole

from ccsetup import bounded

PACE = 0.01
"""Seconds between two events."""
WANTED, WANTED_LARGE, LARGE = 50.0, 100.0, 4_000_000
"""Milliseconds at most, and so many for inputs of more than LARGE bytes."""
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


def busy(pid: int) -> float:
    """Return the seconds of CPU that all threads of the process *pid* have taken; 0 where the system does not tell."""
    taken = 0
    for thread in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with contextlib.suppress(OSError):  # it has just ended
            taken += int(thread.read_text().split()[0])
    return taken / 1e9


async def _paced(pipe: Connection) -> None:
    """Be the upstream; then read the stream through the relay, and say the worst gap whenever asked."""
    server = await asyncio.start_server(_feed, "127.0.0.1", 0)
    pipe.send(server.sockets[0].getsockname()[1])
    port, pid = await asyncio.to_thread(pipe.recv)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = json.dumps({"model": "paced", "stream": True, "messages": [{"role": "user", "content": "go"}]}).encode()
    head = f"POST {PATHS['chat']} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {KEY}\r\n"
    writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
    before, busy_before = time.perf_counter(), busy(pid)
    worst = worst_busy = 0.0
    while await reader.read(1 << 16):
        now, busy_now = time.perf_counter(), busy(pid)
        worst, before = max(worst, now - before), now
        worst_busy, busy_before = max(worst_busy, busy_now - busy_before), busy_now
        if pipe.poll():
            if pipe.recv() == "end":
                return
            pipe.send((worst_busy * 1000, worst * 1000))
            worst = worst_busy = 0.0


def paced(pipe: Connection) -> None:
    asyncio.run(_paced(pipe))


def deep(levels: int) -> Json:
    schema: Json = {"type": "string"}
    for _ in range(levels):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


def requests(client: str, size: int, model: str = "chat", **options: Any) -> Mapping[str, bytes]:
    """Return hostile and large requests in the format *client*; *size*: about how many bytes each."""
    place = "input" if client == "responses" else "messages"

    def ask(messages: Any, **more: Any) -> bytes:
        return json.dumps({"model": model, "max_tokens": 100, place: messages, **options, **more}).encode()

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
        "brackets": b'{"model":"chat","messages":' + b"[" * size,
        "no JSON": b'{"model":"chat","messages":"' + b"\\" * size,
        "numbers": ask(hello, metadata={"n": [10**15] * (size // 18)}),
    }


@functools.cache
def answers(wire: str, size: int) -> Mapping[str, Response]:
    """Return hostile and large answers in the format *wire*, some of them whole and some streams."""
    sse = (("content-type", "text/event-stream"),)
    head, end = chunk("x"), b"data: [DONE]\n\n"
    long = {
        "one long text": Said("hello " * (size // 6)),
        "one long call": Said("", uses=(Use("call_1", "f", json.dumps({"a": "hello " * (size // 6)})),)),
    }
    few = Said("", uses=tuple(Use(f"call_{n}", "f", "{}") for n in range(200)))
    found = {f"{name}, whole": answer(wire, said, stream=False) for name, said in long.items()}
    found |= {
        f"{name}, stream": Response(headers=sse, body=b"".join(events(wire, said)))
        for name, said in {**long, "some calls": few}.items()
    }
    found["many calls, whole"] = Response(body=json.dumps(_calling(wire, size // 80)).encode())
    found |= {
        "comments": Response(headers=sse, body=b": x\n\n" * (size // 5) + head + end),
        "a page": Response(502, body=b"<html><title>" + b"<title>" * (size // 7)),
        "a large error": error(wire, 400, "model max_tokens " * (size // 17)),
        "deep JSON": Response(body=b'{"choices":' * (size // 11)),
    }
    if wire == "chat":
        calls = [{"index": n, **_call(n)} for n in range(size // 80)]
        event = {"choices": [{"index": 0, "delta": {"tool_calls": calls}, "finish_reason": "tool_calls"}]}
        found["many small events"] = Response(headers=sse, body=head * (size // 60) + end)
        found["one event of many calls"] = Response(
            headers=sse, body=b"data: %b\n\n" % json.dumps(event).encode() + end
        )
    return found


def _calling(wire: str, times: int) -> Json:
    """Return a whole answer that calls a tool so many times."""
    value = whole(wire, Said("", uses=(Use("call", "f", "{}"),)))
    place = {"anthropic": "content", "responses": "output", "chat": "choices"}[wire]
    inside, name = (value, place) if wire != "chat" else (value["choices"][0]["message"], "tool_calls")
    [*front, call] = inside[name]
    key = "call_id" if wire == "responses" else "id"
    inside[name] = [*front, *({**call, key: f"call_{n}"} for n in range(times))]
    return value


def _call(n: int) -> Json:
    return {"id": f"call_{n}", "type": "function", "function": {"name": "f", "arguments": "{}"}}


class Sent(NamedTuple):
    """One input: a request, and what the upstream answers."""

    name: str
    path: str
    body: bytes
    answers: tuple[Response, ...] = ()
    """One after the other; then, and where there are none, a short one."""
    headers: Mapping[str, str] = {}

    @property
    def size(self) -> int:
        return max(len(self.body), *(len(a.body) for a in self.answers if isinstance(a.body, bytes)), 0)


def inputs(size: int) -> Iterator[Sent]:
    """Yield every input, of about *size* bytes."""
    for client, wire in itertools.product(PATHS, PATHS):
        for name, body in requests(client, size, wire).items():
            yield Sent(f"{client} > {wire}: {name}", PATHS[client], body)
    for name, body in requests("anthropic", size).items():
        yield Sent(f"count_tokens: {name}", PATHS["anthropic"] + "/count_tokens", body)
    for wire in PATHS:
        for name, body in requests("responses", size, wire).items():
            yield Sent(f"compact > {wire}: {name}", PATHS["responses"] + "/compact", body)
    pack: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress}
    with contextlib.suppress(ImportError):
        pack["zstd"] = bounded.zstd().compress
    for coding, one in pack.items():
        for name, body in requests("responses", size).items():
            yield Sent(f"{coding}: {name}", PATHS["responses"], one(body), headers={"content-encoding": coding})
    yield Sent("gzip: a bomb", PATHS["chat"], gzip.compress(bytes(256 << 20), 1), headers={"content-encoding": "gzip"})
    refused = error(
        "chat", 400, "Unsupported parameter: 'temperature' is not supported with this model. " * (size // 73)
    )
    for client in PATHS:
        for name, body in requests(client, size, temperature=0.5).items():
            yield Sent(f"{client}, refused: {name}", PATHS[client], body, (refused,))
    for client, wire, stream in itertools.product(PATHS, PATHS, (True, False)):
        ask: Json = {"model": wire, "max_tokens": 100, "stream": stream}
        ask["input" if client == "responses" else "messages"] = [{"role": "user", "content": "hi"}]
        for name, said in answers(wire, size).items():
            way = f"{wire} > {client}{', stream' if stream else ''}: answer, {name}"
            yield Sent(way, PATHS[client], json.dumps(ask).encode(), (said,))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=1 << 20, help="bytes of each input (1048576)")
    parser.add_argument("--rounds", type=int, default=5, help="how often each is sent at most (5)")
    parser.add_argument("--only", default="", help="inputs with this in their names")
    options = parser.parse_args()
    pipe, other = multiprocessing.Pipe()
    stream = multiprocessing.get_context("spawn").Process(target=paced, args=(other,), daemon=True)
    stream.start()
    ready = {
        f"/v1{path[3:]}": Response(body=json.dumps(whole(kind, Said("ok"))).encode()) for kind, path in PATHS.items()
    }
    waiting: list[Response] = []

    def say(request: Request) -> Response:
        return waiting.pop(0) if waiting else ready[request.path.removesuffix("/compact")]

    with tempfile.TemporaryDirectory() as home, Server(say) as odd:
        entries = [
            upstream("paced", f"http://127.0.0.1:{pipe.recv()}/v1", "chat", "sk-paced-0123456789", models=["paced"]),
            *(
                upstream(
                    wire, odd.origin + ("" if wire == "anthropic" else "/v1"), wire, "sk-odd-0123456789", models=[wire]
                )
                for wire in PATHS
            ),
        ]
        with Relay(Path(home), entries, retry={"attempts": 1, "same": 0}, cooldown={"failures": 1000}) as relay:
            assert relay.process is not None
            pipe.send((int(relay.url.rpartition(":")[2]), relay.process.pid))
            time.sleep(1)

            def gap(send: Callable[[], object]) -> tuple[float, float]:
                """Return the most CPU time between two events, and the most time, in ms."""
                pipe.send("gap")
                pipe.recv()
                send()
                time.sleep(0.1)
                pipe.send("gap")
                found: tuple[float, float] = pipe.recv()
                return found

            least = min(gap(lambda: time.sleep(1)) for _ in range(3))
            print("  CPU ms   wall ms  input", f"{least[0]:8.1f}  {least[1]:8.1f}  nothing", sep="\n", flush=True)
            found: list[tuple[float, float, str]] = []
            for one in inputs(options.size):
                if options.only not in one.name:
                    continue
                wanted = WANTED_LARGE if one.size > LARGE else WANTED
                rounds = []
                while len(rounds) < options.rounds and not (rounds and rounds[-1][0] <= wanted):
                    waiting[:] = one.answers
                    rounds.append(gap(functools.partial(relay.post, one.path, one.body, headers=one.headers)))
                    relay.control("POST", "reset")  # what was learned, too
                found.append((*min(rounds), f"{one.name}, {one.size:,} bytes"))
                cpu, wall, name = found[-1]
                print(f"{cpu:8.1f}  {wall:8.1f}  {name}{'' if cpu <= wanted else ': TOO LONG'}", flush=True)
            pipe.send("end")
    stream.join(5)
    cpu, wall, name = max(found)
    print(f"{cpu:8.1f}  {wall:8.1f}  the worst of {len(found)}: {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
