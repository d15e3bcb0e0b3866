"""Who answers the requests of clients of a relay that runs, and streams that wait."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

from support import cc, drill, scripted, waiting
from support.drill import PATHS, Upstream, asking
from support.loopback import Request, Response
from support.relay import Relay


def use(relay: Relay, *argv: str) -> cc.Result:
    done = cc.run(relay.home, "relay", *argv)
    assert done.ok, done
    return done._replace(stdout=done.stdout + done.stderr)


def answered(relay: Relay, model: str = "ccsetup-default", kind: str = "chat", **more: Any) -> str:
    """Return who answers, and with which model; else the status."""
    got = relay.post(PATHS[kind], asking(kind, model, **more))
    if got.status != 200:
        return str(got.status)
    return got.headers.get("x-relay-upstream", "") + "/" + got.headers.get("x-relay-model", model)


def soon(relay: Relay, expected: str, model: str = "ccsetup-default") -> None:
    waiting.until(lambda: answered(relay, model) == expected)


class Held:
    """Streams that begin, and go on when they are told to."""

    def __init__(self) -> None:
        self.go = threading.Event()

    def __call__(self, up: Upstream, kind: str, stream: bool, request: Request) -> Response:
        if not stream:
            return scripted.answer(kind, up.said, stream=False)
        events = scripted.events(kind, up.said)
        place = drill.text_at(events) + 1

        def body() -> Iterator[bytes]:
            yield b"".join(events[:place])
            while not self.go.wait(0.05):
                if up.closing.is_set():
                    return
            yield b"".join(events[place:])

        return Response(200, (("Content-Type", "text/event-stream"),), body())
