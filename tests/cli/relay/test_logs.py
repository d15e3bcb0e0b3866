"""``ccsetup relay logs``: for people one line a request, for programs the log as it is."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import cc, usage, waiting
from support.relay import Relay, upstream
from support.scripted import Said, Scripted, error
from support.terminal import Terminal

from ccsetup.relay.store import UsageRow
from ccsetup.relay.store.sqlite import SqliteStore

LOG = ".local/state/ccsetup/relay/relay.log"
USAGE = ".local/state/ccsetup/relay/usage.db"


@pytest.fixture(autouse=True)
def shanghai() -> Iterator[None]:
    """Eight hours east of the UTC that the log has."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "Asia/Shanghai")
        time.tzset()
        yield
    time.tzset()


def booked(home: Path, *rows: UsageRow) -> None:
    path = home / USAGE
    path.parent.mkdir(parents=True, exist_ok=True)

    async def fill() -> None:
        store = SqliteStore(str(path))
        await store.open()
        for row in rows:
            store.record(row)
        await store.close()

    asyncio.run(fill())


def line(event: str, moment: float = usage.NOON, level: str = "warning", **fields: Any) -> str:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S.500Z", time.gmtime(moment))
    return json.dumps({"time": stamp, "level": level, "event": event, **fields}) + "\n"


def failed(row: UsageRow, name: str, status: int = 529, **fields: Any) -> str:
    return line("attempt failed", id=row.id, upstream=name, key=0, **{"kind": "status", "status": status, **fields})


ROW = usage.row(1, client="work", model="m-main", served="m-main", input=500, cache_read=10, cache_write=2, output=80)

SHOWN = [
    (ROW, "", "work m-main glm 200 1.5 s 512+80 tok"),
    (
        ROW._replace(attempts=2, upstream="deepseek"),
        failed(ROW, "glm", message="Overloaded"),
        "work m-main glm 529 → deepseek 200 1.5 s 512+80 tok; glm: Overloaded",
    ),
    (
        ROW._replace(attempts=3, upstream="c", served="m-3"),
        failed(ROW, "a") + failed(ROW, "b", 0, kind="connect"),
        "work m-main a 529 → b connect → c 200 1.5 s 512+80 tok as m-3",
    ),
    (
        ROW._replace(attempts=4, upstream="b"),
        failed(ROW, "a") * 2 + failed(ROW, "a", 401),
        "work m-main a 529 → a 401 → b 200 1.5 s 512+80 tok (4 attempts)",
    ),
    (
        ROW._replace(attempts=2, upstream="b", status=500, error="server", output=0),
        failed(ROW, "a") + failed(ROW, "b", 500, message="oh\u202e\x1b[2J no"),
        "work m-main a 529 → b 500 1.5 s 512+0 tok server; b: oh\ufffd\ufffd[2J no",
    ),
    (
        ROW._replace(attempts=1, status=502, error="server"),
        failed(ROW, "glm", 0, kind="connect"),
        "work m-main glm connect → 502 1.5 s 512+80 tok server",
    ),
    (ROW._replace(attempts=3), "", "work m-main glm 200 1.5 s 512+80 tok (3 attempts)"),
    (
        ROW._replace(attempts=3, failed="a b", upstream="c"),
        "",
        "work m-main a → b → c 200 1.5 s 512+80 tok (3 attempts)",
    ),
    (
        ROW._replace(error="cut"),
        line("answer broke off", id=ROW.id, upstream="glm", kind="cut"),
        "work m-main glm 200 1.5 s 512+80 tok cut",
    ),
    (ROW._replace(status=499, error="gone", output=3), "", "work m-main glm 499 1.5 s 512+3 tok gone"),
    (
        usage.row(1, client="", model="", served="", upstream="", attempts=0, status=400, error="invalid_request")
        ._replace(input=0, cache_read=0, cache_write=0, output=0),
        "",
        "- - 400 1.5 s invalid_request",
    ),
    (ROW._replace(client="", purpose="activation"), "", "- m-main glm 200 1.5 s 512+80 tok (activation)"),
    (ROW._replace(model="a\u202eb\x9b1m\nc"), "", "work a\ufffdb\ufffd1m\ufffdc glm 200 1.5 s 512+80 tok as m-main"),
]  # fmt: skip


@pytest.mark.parametrize(("row", "log", "text"), SHOWN, ids=[text for _row, _log, text in SHOWN])
def test_one_line_a_request(home: Path, row: UsageRow, log: str, text: str) -> None:
    """Who asked for what, who was asked, and what came of it; in local time, with the day where it is another."""
    booked(home, row)
    cc.put(home, {LOG: log})
    done = cc.main("relay", "logs")
    assert done.stdout == f"2027-01-16 20:00:01 {text}\n"
    assert (done.rc, done.stderr) == (0, "")


def test_a_request_of_the_log_and_of_the_figures_is_shown_once(home: Path) -> None:
    """The log has a line for what failed; where no database can be read, it is what is shown."""
    row = ROW._replace(attempts=1, status=529, error="overloaded", output=0)
    log = failed(row, "glm") + line(
        "request", usage.NOON + 1, "info", id=row.id, client="work", upstream="glm", wire="anthropic>chat",
        model="m-main", served="m-main", status=529, error="overloaded", attempts=1, tokens_in=512, tokens_out=0,
        first_ms=None, total_ms=1500.0,
    )  # fmt: skip
    cc.put(home, {LOG: log})
    alone = cc.main("relay", "logs").stdout
    booked(home, row)
    both = cc.main("relay", "logs").stdout
    assert alone == both == "2027-01-16 20:00:01 work m-main glm 529 1.5 s 512+0 tok overloaded\n"
    (home / USAGE).write_bytes(b"no database at all, but long enough to be taken for one" * 100)
    damaged = cc.main("relay", "logs")
    assert damaged.stdout == both
    assert "usage.db cannot be read" in damaged.stderr


def test_other_lines_of_the_log(home: Path) -> None:
    """Events are shown between the requests, in their order; what is no line of a log is shown harmlessly."""
    booked(home, ROW)
    log = (
        "Error: the port\x1b[31m is taken.\n"
        + line("started", usage.NOON - 9, "info", url="http://127.0.0.1:5101", pid=7)
        + '{"time":"2027-01-16T12:00:00.000Z","level":"in{"cut": 1}\n'
        + failed(usage.row(2), "glm", message="of a request that goes on")
        + line("reloaded", usage.NOON + 60, "info", note="")
        + line("content", usage.NOON + 61, "info", id="x", request='{"a":1}', answer="data: 1\n\x1b]0;x\x07data: 2")
        + '[1]\n\xff\n{"time": 5, "level": "info", "event": "x"}\n'
        + '{"time":"2027-01-16T12:0'
    )
    cc.put(home, {LOG: log.encode("latin-1")})
    shown = cc.main("relay", "logs").stdout
    assert shown.splitlines() == [
        "Error: the port\ufffd[31m is taken.",
        "2027-01-16 19:59:51 started url=http://127.0.0.1:5101 pid=7",
        '{"time":"2027-01-16T12:00:00.000Z","level":"in{"cut": 1}',
        "2027-01-16 20:00:00 warning: attempt failed id=00000000000000000000000000000002 upstream=glm key=0"
        ' kind=status status=529 message="of a request that goes on"',
        "2027-01-16 20:00:01 work m-main glm 200 1.5 s 512+80 tok",
        "2027-01-16 20:01:00 reloaded",
        "2027-01-16 20:01:01 content id=x",
        "  request:",
        '    {"a":1}',
        "  answer:",
        "    data: 1",
        "    \ufffd]0;x\ufffddata: 2",
        "[1]",
        "\ufffd",
        '{"time": 5, "level": "info", "event": "x"}',
        '{"time":"2027-01-16T12:0',
    ]
    assert cc.main("relay", "logs", "-n", "1").stdout == '{"time":"2027-01-16T12:0\n'
    assert cc.main("relay", "logs", "-n", "0").stdout == ""


def test_programs_get_objects_in_utc(home: Path) -> None:
    """--json is the log as the relay wrote it; what is no whole line of it does not break whoever reads objects."""
    log = line("started", pid=7) + "Error: x\n" + '{"time":"2027-\n' + line("stopped", level="info") + '{"time":'
    cc.put(home, {LOG: log})
    found = [json.loads(one) for one in cc.main("relay", "logs", "--json").stdout.splitlines()]
    assert [one["event"] for one in found] == ["started", "text", "text", "stopped"]
    assert found[0]["time"] == "2027-01-16T12:00:00.500Z"
    assert found[1] == {"level": "error", "event": "text", "text": "Error: x"}
    (only,) = cc.main("relay", "logs", "--json", "-n", "1").stdout.splitlines()
    assert json.loads(only)["event"] == "stopped"


@pytest.mark.parametrize("argv", [(), ("--json",)])
def test_no_log_yet(home: Path, argv: tuple[str, ...]) -> None:
    """That nothing was written yet is said on standard error, with the next command where the relay is set up."""
    done = cc.main("relay", "logs", *argv)
    assert (done.rc, done.stdout) == (0, "")
    assert done.stderr == "The relay has written no log yet.\n"
    cc.put(home, {".config/ccsetup/relay.yaml": "relay: 1\n"})
    assert "ccsetup relay start" in cc.main("relay", "logs", *argv).stderr


def test_colours_are_for_terminals(home: Path) -> None:
    """A terminal shows what failed in red; a pipe gets the text alone."""
    booked(home, ROW._replace(status=429, error="rate_limit"))
    with Terminal(home, "relay", "logs", size=(24, 120)) as terminal:
        assert terminal.ends() == 0
    assert "429 1.5 s 512+80 tok rate_limit" in terminal.text
    assert "\x1b" not in cc.run(home, "relay", "logs").stdout


def test_requests_are_followed_until_ctrl_c(home: Path) -> None:
    """With a real relay: each request is one line soon after it has ended, good or not, with the tries it took."""
    with Scripted() as bad, Scripted() as good:
        ups = [
            upstream("glm", bad.url("chat"), "chat", "sk-1-0123456789", models=["m-main"]),
            upstream("deepseek", good.url("chat"), "chat", "sk-2-0123456789", models=["m-main"]),
        ]
        relay = Relay(home, ups)
        relay.log = home / LOG  # as in the background
        relay.log.parent.mkdir(parents=True)
        with relay:
            process = cc.start(home, "relay", "logs", "-f", "-n", "1", env={"TZ": "Asia/Shanghai"})
            assert process.stdout is not None
            assert b"started url=" in process.stdout.readline()
            body = {"model": "m-main", "messages": [{"role": "user", "content": "hi"}]}
            good.say(Said("hello"), Said("hello"))
            bad.say(*[error("chat", 529, "Overloaded")] * 2)
            try:
                assert relay.post("/v1/chat/completions", body).status == 200
                first = process.stdout.readline().decode()
                assert relay.post("/v1/chat/completions", {**body, "model": "m-none"}).status == 404
                second = process.stdout.readline().decode()
                process.send_signal(signal.SIGINT)
                _out, err = process.communicate(timeout=waiting.LIMIT)
            finally:
                process.kill()
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d local m-main glm 529 → deepseek 200 \d+\.\d s 130\+20 tok \(3 attempts\); glm: Overloaded\n",
        first,
    ), first
    assert " local m-none 404 0.0 s not_found" in second
    assert (process.returncode, err) == (0, b"")


def test_a_log_that_is_put_aside_is_followed(home: Path) -> None:
    """At a new start a long log gets another name: what was and what comes are both shown, half lines when whole."""
    cc.put(home, {LOG: line("one", level="info")})
    process = cc.start(home, "relay", "logs", "-f", "--json")
    assert process.stdout is not None

    def event() -> Any:
        assert process.stdout is not None
        return json.loads(process.stdout.readline())["event"]

    try:
        assert event() == "one"
        with (home / LOG).open("a") as log:
            log.write(line("two")[:20])
            log.flush()
            log.write(line("two")[20:])
        assert event() == "two"
        (home / LOG).rename(home / (LOG + ".1"))
        cc.put(home, {LOG: line("three")})
        assert event() == "three"
        (home / LOG).write_text(line("4"))  # shorter than what was read
        assert event() == "4"
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=waiting.LIMIT)
    finally:
        process.kill()
    assert process.returncode == 0
