"""The relay's log, where something happens that nobody expected."""

from __future__ import annotations

import asyncio
import base64
import io
import json
from urllib.parse import quote

import pytest

from ccsetup.relay.log import Log


def test_what_nobody_caught_is_a_line_without_values() -> None:
    """Neither a task nor a callback that fails writes a traceback, and nothing of what it was at."""
    out = io.StringIO()
    log = Log(out, as_json=True)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(log.unhandled)

        def fail() -> None:
            raise ValueError("sk-secret-0123456789")

        async def failing() -> None:
            fail()

        loop.call_soon(fail)
        task = loop.create_task(failing())
        await asyncio.wait([task])
        del task
        loop.call_exception_handler({"message": "a transport was closed"})

    asyncio.run(main())
    log.close()
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    found = sorted((line["level"], line["event"]) for line in lines)
    assert found == [("error", "bug"), ("error", "bug"), ("warning", "server")]
    assert all(line["kind"] == "ValueError" for line in lines if line["event"] == "bug")
    assert "sk-secret" not in out.getvalue()
    assert "Traceback" not in out.getvalue()


@pytest.mark.parametrize("before", ["", "B", "Bearer ", "user:"])
def test_a_key_is_masked_in_whatever_form_it_comes_back(before: str) -> None:
    key = "sk-aB3/+x9Qw-7Zr5Ty1Ui8"
    log = Log(io.StringIO(), as_json=True)
    log.hide([key])
    text = (before + key).encode()
    forms = [
        key,
        key.upper(),
        quote(key, safe=""),
        json.dumps(key).replace("/", "\\/"),
        text.hex(),
        base64.b64encode(text).decode(),
        base64.urlsafe_b64encode(text + b"!").decode(),
    ]
    for form in forms:
        said = log.masked(f"wrong key: {form}.")
        assert "***" in said
        assert len(said) < len(f"wrong key: {form}.") - len(key) // 2, said
    log.close()


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize("odd", ["\x1b[2J", "\x07", "\x7f", "\x9b1m", "\u202e", "\u2066", "\u061c", "\u2028", "\r\n"])
def test_nothing_in_the_log_steers_a_terminal(odd: str, as_json: bool) -> None:
    """The line stays one line, and as JSON it is still what came."""
    out = io.StringIO()
    log = Log(out, as_json=as_json)
    log.add("warning", "attempt failed", message=f"a{odd}b 中文")
    log.close()
    line = out.getvalue().removesuffix("\n")
    assert line.isprintable()
    assert "中文" in line
    if as_json:
        assert json.loads(line)["message"] == f"a{odd}b 中文"
