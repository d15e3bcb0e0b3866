"""Odd answers and requests; ``python -m support.fuzz`` tries as many changed ones as one likes."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from support import drill, fuzz

from ccsetup.relay.http.base import UpstreamError
from ccsetup.relay.http.inbound import Gone
from ccsetup.relay.log import Log
from ccsetup.relay.serving.answers import LONGEST_WAIT, seconds_of
from ccsetup.relay.serving.attempt import Attempt


@pytest.fixture(scope="module")
def through(tmp_path_factory: pytest.TempPathFactory) -> Iterator[fuzz.Through]:
    with fuzz.Through(tmp_path_factory.mktemp("relay")) as running:
        yield running


def test_any_answer_is_read_and_any_request_is_carried_or_refused() -> None:
    """No reader or writer raises anything but what says what is wrong with a request, and every answer has an end."""
    for number in range(900):
        try:
            fuzz.check(number)
        except Exception as error:
            raise AssertionError(f"case {number}") from error


def test_after_an_odd_answer_another_upstream_is_asked(through: fuzz.Through) -> None:
    found = [through.check(number) for number in range(90)]
    assert found.count("good") > 50
    assert "refused" not in found


FIRST = b'{"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"x"}}],"type":%b}'


@pytest.mark.parametrize("client", drill.WIRES)
@pytest.mark.parametrize("odd", [b"[1]", b"{}", b"7", b"null", b'{"a":[]}'])
def test_a_type_that_is_no_text(through: fuzz.Through, client: str, odd: bytes) -> None:
    """The stream is cut behind such an event: nobody asked for a bug of the relay."""
    events = b"".join(b"data: %b\n\n" % data for data in (FIRST % odd, b"[DONE]"))
    got = through.ask(client, "chat", fuzz.sent(200, events, "content-type: text/event-stream"), stream=True)
    assert got.status == 200
    said = drill.understood(client, got.body, stream=True)
    assert said.error or said.finished


WAITS = ["nan", "inf", "-inf", "-1", "1e400", "9" * 400, "soon", "\xe9", "Thu, 01 Jan 0001 00:00:00 -2359", "1, 2"]


@pytest.mark.parametrize("wait", WAITS)
def test_a_retry_after_that_cannot_be_meant(through: fuzz.Through, wait: str) -> None:
    for status in (429, 503):
        got = through.ask("anthropic", "chat", fuzz.sent(status, b'{"error":{}}', f"retry-after: {wait}"), stream=False)
        assert got.status == 200
        assert b"I am good" in got.body


@pytest.mark.parametrize("wait", WAITS)
def test_a_wait_is_finite(wait: str) -> None:
    seconds = seconds_of(wait, 1e9)
    assert seconds is None or 0 <= seconds <= LONGEST_WAIT


def test_what_nobody_foresaw_over_an_answer_is_a_failure_of_its_upstream() -> None:
    """It is noted with its place; that the client is gone, or the relay being stopped, is something else."""
    out = io.StringIO()
    log = Log(out, as_json=True)
    attempt: Any = object.__new__(Attempt)
    attempt._relay, attempt._reply, attempt.expired = SimpleNamespace(log=log), SimpleNamespace(id="1"), None
    assert attempt.why(TypeError("unhashable")) == "protocol"
    assert attempt.why(UpstreamError("cut", "")) == "cut"
    assert [attempt.why(other) for other in (Gone(), asyncio.CancelledError())] == [None, None]
    log.close()
    assert out.getvalue().count('"answer not understood"') == 1
    assert "unhashable" not in out.getvalue()
