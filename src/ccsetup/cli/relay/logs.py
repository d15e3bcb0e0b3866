"""``ccsetup relay logs``: what went through the relay, one line a request, and what else it had to say.

Of a request that went well the log says nothing, and of the others not all: the usage database has a row for each, and
the log the attempts that failed.  Here both are put together.
"""

from __future__ import annotations

import datetime
import itertools
import json
import os
import sys
import time
from typing import Any, BinaryIO, Iterable, Mapping, NamedTuple, Optional, Union

import typer

from ccsetup.cli import _options, _output
from ccsetup.cli._context import Context
from ccsetup.cli.relay import _base
from ccsetup.errors import CcsetupError, printable
from ccsetup.i18n import _
from ccsetup.plan import Note
from ccsetup.relay.config.places import Places
from ccsetup.relay.log import plain
from ccsetup.relay.reporting import requests
from ccsetup.relay.store import UsageRow

EVERY = 0.2
"""Seconds between two looks."""
HELD = 4
"""Looks for which a request waits for its attempts: the log is written after the row, within half a second."""
KNOWN = 10_000
"""Requests that are remembered, so that none is shown twice."""


def command(
    follow: bool = typer.Option(False, "-f", "--follow", help=_("Go on as more comes, until Ctrl-C.")),
    lines: int = typer.Option(50, "-n", "--lines", min=0, metavar="N", help=_("So many lines of the end.")),
    as_json: bool = typer.Option(False, "--json", help=_("The log as it is: a JSON object a line, times in UTC.")),
    lang: Optional[str] = _options.LANG,
) -> int:
    context = Context()
    at = _base.here(context)
    view: Union[_Raw, _View] = _Raw(at) if as_json else _View(at)
    if not any(map(os.path.exists, (at.log, at.usage))):
        hint = "" if _base.read(at.config) is None else " " + _("Start it with: ccsetup relay start")
        sys.stderr.write(_("The relay has written no log yet.") + hint + "\n")
        if not follow:
            return 0
    try:
        _print(view.begin(lines))
        while follow:
            sys.stdout.flush()
            time.sleep(EVERY)
            _print(view.more())
    except KeyboardInterrupt:
        if not follow:
            raise
    finally:
        view.file.close()
    context.notes.extend(view.notes)
    _output.print_notes(context.notes)
    return 0


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        _output.line(line)


class _File:
    """The lines of the log, which is put aside when it is long."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file: Optional[BinaryIO] = None
        self._rest = b""

    def tail(self, number: int) -> list[str]:
        """Return the last *number* lines, and go on from there."""
        if not self._open():
            return []
        assert self._file is not None
        size = self._file.seek(0, os.SEEK_END)
        pieces, begin, found = [], size, 0
        while begin > 0 and found <= number:
            step = min(1 << 16, begin)
            begin -= step
            self._file.seek(begin)
            pieces.append(self._file.read(step))
            found += pieces[-1].count(b"\n")
        self._file.seek(size)
        data = b"".join(reversed(pieces))
        *whole, self._rest = data.split(b"\n")
        return _texts(whole[-number:] if number else [])

    def more(self) -> list[str]:
        """Return the lines that were finished since."""
        if self._file is None:
            self._open()
        out = self._read()
        try:
            there = os.stat(self._path)
            if self._file is not None and os.fstat(self._file.fileno()).st_ino != there.st_ino:
                self._open()
                out += self._read()
            elif self._file is not None and there.st_size < self._file.tell():
                self._file.seek(0)
        except OSError:
            pass
        return out

    def unfinished(self) -> list[str]:
        """Return what stands after the last end of a line, if anything."""
        return _texts([self._rest]) if self._rest else []

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _open(self) -> bool:
        try:
            new = open(self._path, "rb")  # noqa: SIM115 - another file takes its place
        except OSError:
            return False
        self.close()
        self._file, self._rest = new, b""
        return True

    def _read(self) -> list[str]:
        if self._file is None:
            return []
        *whole, self._rest = (self._rest + self._file.read()).split(b"\n")
        return _texts(whole)


def _texts(lines: Iterable[bytes]) -> list[str]:
    return [line.decode("utf-8", "replace").rstrip("\r") for line in lines]


def _parsed(line: str) -> Optional[dict[str, Any]]:
    """Return what the relay wrote as *line*; None for what something else wrote, or a line that was cut."""
    try:
        found = json.loads(line)
        moment = datetime.datetime.fromisoformat(found["time"]).timestamp()
        return {**found, "time": moment, "level": str(found["level"]), "event": str(found["event"])}
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None


class _Raw:
    """The log for programs."""

    def __init__(self, at: Places) -> None:
        self.notes: list[Note] = []
        self.file = _File(at.log)

    def begin(self, number: int) -> list[str]:
        return [_object(line) for line in self.file.tail(number)]

    def more(self) -> list[str]:
        return [_object(line) for line in self.file.more()]


def _object(line: str) -> str:
    if _parsed(line) is None:
        line = json.dumps({"level": "error", "event": "text", "text": line}, ensure_ascii=False)
    return printable(line, len(line))


_COLOURS = {"error": "31", "warning": "33"}


class _Entry(NamedTuple):
    time: float
    text: str


class _View:
    """The log for people."""

    def __init__(self, at: Places) -> None:
        self.notes: list[Note] = []
        self._usage = at.usage
        self.file = _File(at.log)
        self._after = 0
        """The last row that was read."""
        self._tries: dict[str, list[dict[str, Any]]] = {}
        """Attempts that failed, of requests that are not shown yet."""
        self._all: dict[str, str] = {}
        """The target of all, by the requests that it led."""
        self._leads = False
        """There is one, as far as the log was read."""
        self._shown: dict[str, None] = {}
        self._held: list[tuple[int, UsageRow]] = []
        self._last = 0.0

    def begin(self, number: int) -> list[str]:
        """Return the last *number* lines."""
        rows = self._rows(number)
        # A request may have failed on several upstreams before it came to its end.
        entries = self._entries([*self.file.tail(8 * number + 100), *self.file.unfinished()], rows)
        for tries in self._tries.values():  # of requests that go on, or of a relay that was killed
            entries += [_event(one) for one in tries]
        return _lines(entries, number)

    def more(self) -> list[str]:
        rows = self._rows(None)
        lines = self.file.more()
        self._held = [(looks - 1, row) for looks, row in self._held] + [(HELD, row) for row in rows]
        entries = self._entries(lines, [])
        ready = [row for looks, row in self._held if looks <= 0 or self._told(row)]
        self._held = [(looks, row) for looks, row in self._held if row not in ready]
        return _lines(entries + self._entries([], ready))

    def _told(self, row: UsageRow) -> bool:
        """Tell whether the log has had what there is to say of *row*."""
        return len(self._tries.get(row.id, ())) >= _failed(row) and (not self._leads or row.id in self._all)

    def _rows(self, last: Optional[int]) -> list[UsageRow]:
        """Return the *last* rows, or those that came since."""
        try:
            self._after, rows = requests.read(self._usage, self._after, last)
        except CcsetupError as e:
            self.notes.append(Note("warning", e.message, e.hint))
            return []
        return rows

    def _entries(self, lines: Iterable[str], rows: Iterable[UsageRow]) -> list[_Entry]:
        told = [(_parsed(line), line) for line in lines]
        for one, _line in told:
            if one is not None and one["event"] in ("attempt failed", "answer broke off"):
                self._tries.setdefault(str(one.get("id")), []).append(one)
            elif one is not None and one["event"] in ("request", "requests led"):
                self._leads = bool(one.get("all"))
                if self._leads and "id" in one:
                    self._all[str(one["id"])] = str(one["all"])
        out = [self._request(row) for row in rows if row.id not in self._shown]
        for one, line in told:
            if one is None:
                out += [_Entry(self._last, printable(line, 2000))] if line.strip() else []
                continue
            self._last = one["time"]
            if one["event"] == "request":
                if str(one.get("id")) not in self._shown:
                    out.append(self._request(_row(one)))
            elif one["event"] not in ("attempt failed", "answer broke off"):
                out.append(_event(one))
        for known in (self._tries, self._shown, self._all):
            for one_id in list(known)[: len(known) - KNOWN] if len(known) > KNOWN else ():
                del known[one_id]
        return out

    def _request(self, row: UsageRow) -> _Entry:
        self._shown[row.id] = None
        tries = [one for one in self._tries.pop(row.id, ()) if one["event"] == "attempt failed"]
        ended = row.time + row.total_ms / 1000
        return _Entry(ended, f"{_clock(ended)} {_said(row, tries, self._all.pop(row.id, ''))}")


def _lines(entries: list[_Entry], number: Optional[int] = None) -> list[str]:
    entries.sort(key=lambda entry: entry.time)
    return [entry.text for entry in (entries if number is None else entries[-number:] if number else [])]


def _failed(row: UsageRow) -> int:
    """Return how many attempts of *row* the log tells of."""
    return row.attempts - (1 if row.upstream and not row.error else 0)


def _row(one: Mapping[str, Any]) -> UsageRow:
    """Return a line of the log as the row that it is made of."""

    def text(name: str) -> str:
        return str(one.get(name) or "")

    def number(name: str) -> Any:
        value = one.get(name)
        return value if isinstance(value, (int, float)) else 0

    wire_in, _arrow, wire_out = text("wire").partition(">")
    total = number("total_ms")
    return UsageRow(
        one["time"] - total / 1000, text("id"), text("client"), text("upstream"), 0, text("model"), text("served"),
        wire_in, wire_out or wire_in, number("status"), text("error"), number("attempts"), False,
        number("tokens_in"), number("tokens_out"), 0, 0, 0, None, "", None, total, "", one.get("estimated") is True,
    )  # fmt: skip


def _clock(moment: float) -> str:
    """Return local time, with the day where it is not today."""
    then = time.localtime(moment)
    return time.strftime("%H:%M:%S" if then[:3] == time.localtime(time.time())[:3] else "%Y-%m-%d %H:%M:%S", then)


def _said(row: UsageRow, tries: list[dict[str, Any]], led: str) -> str:
    """Return who asked for which model, who was asked for it, and what came of it; *led*: the target of all."""
    asked = [f"{one.get('upstream')} {one.get('status') or one.get('kind')}" for one in tries] or row.failed.split()
    if len(asked) < row.attempts or not asked:
        asked.append(f"{row.upstream} {row.status}".strip())
    elif not asked[-1].endswith(f" {row.status}"):
        asked.append(str(row.status))
    asked = [way for way, _again in itertools.groupby(asked)]
    words = [row.client or "-", row.model or "-", " → ".join(asked), f"{row.total_ms / 1000:.1f} s"]
    prompt = row.input + row.cache_read + row.cache_write
    if prompt or row.output:
        words.append(f"{'~' if row.estimated else ''}{prompt}+{row.output} tok")
    if row.served not in ("", row.model):
        words.append(_("as {model}").format(model=row.served))
    if row.attempts > sum(" " in way for way in asked):
        words.append(_("({n} attempts)").format(n=row.attempts))
    words += [f"(all: {led})"] if led else []
    words += [f"({row.purpose})"] if row.purpose else []
    words += [row.error] if row.error else []
    text = " ".join(printable(word, 400) for word in words)
    reasons = dict.fromkeys(f"{one.get('upstream')}: {one['message']}" for one in tries if one.get("message"))
    text = "; ".join([text, *(printable(reason, 160) for reason in reasons)])
    if row.error or row.status >= 400:
        return _output.paint(text, "31")
    return _output.paint(text, "33") if tries else text


def _event(one: dict[str, Any]) -> _Entry:
    """Return what is no request, as in a terminal; contents of requests, which are long, have lines of their own."""
    fields = {name: value for name, value in one.items() if name not in ("time", "level", "event")}
    long = {name: str(fields.pop(name)) for name in ("request", "answer") if one["event"] == "content" and name in one}
    text = f"{_clock(one['time'])} {printable(plain(one['level'], one['event'], fields), 2000)}"
    for name, content in long.items():
        text += f"\n  {name}:" + "".join(f"\n    {printable(line, len(line))}" for line in content.splitlines())
    colour = _COLOURS.get(one["level"])
    return _Entry(one["time"], _output.paint(text, colour) if colour else text)
