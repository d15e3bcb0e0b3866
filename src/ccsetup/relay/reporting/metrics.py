"""Figures for Prometheus: counted as requests end, written out in its text format when it asks.

Labels are names of upstreams, wire formats and statuses.  Model names and client keys are none: clients choose the
first, so that there could be any number of them, and the second concern nobody who watches a service.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from operator import itemgetter
from typing import Any, Callable, Iterable, Mapping, Protocol

from ccsetup.relay.store import UsageRow

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0)
"""Seconds."""

PREFIX = "ccsetup_relay_"

_KINDS = ("input", "output", "cache_read", "cache_write", "reasoning")


def _getter(*names: str) -> itemgetter[tuple[Any, ...]]:
    return itemgetter(*map(UsageRow._fields.index, names))


_place = _getter("upstream", "wire_in", "wire_out", "status")
_figures = _getter("attempts", *_KINDS, "cost", "first_ms", "total_ms")

_GAUGES = {"running": "Requests that are being served.", "uptime_seconds": "Time since the start."}


class State(Protocol):
    """What is told of an upstream."""

    @property
    def name(self) -> str: ...
    @property
    def available(self) -> bool: ...
    @property
    def running(self) -> int: ...


_BOUNDS = tuple(bound * 1000 for bound in BUCKETS)
"""Milliseconds."""


class _Times:
    """A histogram."""

    __slots__ = ("buckets", "sum")

    def __init__(self) -> None:
        self.buckets = [0] * (len(BUCKETS) + 1)
        self.sum = 0.0
        """Milliseconds."""

    def merge(self, other: _Times) -> None:
        self.buckets = [a + b for a, b in zip(self.buckets, other.buckets, strict=True)]
        self.sum += other.sum


class _Series:
    """Everything about requests with the same upstream, wire formats and status."""

    __slots__ = (
        "attempts", "cache_read", "cache_write", "costs", "first", "input", "output", "reasoning", "requests",
        "total",
    )  # fmt: skip

    def __init__(self) -> None:
        self.requests = self.attempts = 0
        self.input = self.output = self.cache_read = self.cache_write = self.reasoning = 0
        self.costs: dict[str, float] = {}
        self.first = _Times()
        self.total = _Times()


class Metrics:
    """The counters since the start."""

    def __init__(self) -> None:
        self._series: dict[tuple[str, str, str, int], _Series] = {}
        self._refused: dict[tuple[str, int], int] = {}
        self._tries: Counter[str] = Counter()
        """What the rows of an upstream alone do not tell."""
        self._failed: Counter[str] = Counter()
        self._estimated: Counter[str] = Counter()

    def refused(self, wire: str, status: int) -> None:
        """Count a request that got *status* from the relay itself, in the wire format *wire*, and has no row."""
        self._refused[wire, status] = self._refused.get((wire, status), 0) + 1

    def observe(self, row: UsageRow) -> None:
        """Count a request that has ended."""
        place = _place(row)
        series = self._series.get(place)
        if series is None:
            series = self._series[place] = _Series()
        # At once: naming one member of a row after the other takes three times as long.
        attempts, input, output, cache_read, cache_write, reasoning, cost, first_ms, total_ms = _figures(row)
        if row.failed or row.estimated:
            names = row.failed.split()
            self._failed.update(names)
            self._tries.update(names[:-1] if len(names) == attempts else names)
            self._estimated[row.upstream] += row.estimated
        series.requests += 1
        series.attempts += attempts
        if input or output or cache_read:
            series.input += input
            series.output += output
            series.cache_read += cache_read
            series.cache_write += cache_write
            series.reasoning += reasoning
        if cost:
            series.costs[row.currency] = series.costs.get(row.currency, 0.0) + cost
        if first_ms is not None:
            times = series.first
            times.buckets[bisect_left(_BOUNDS, first_ms)] += 1
            times.sum += first_ms
        times = series.total
        times.buckets[bisect_left(_BOUNDS, total_ms)] += 1
        times.sum += total_ms

    def told(self, upstream: str) -> Mapping[str, int]:
        """Return for ``relay status`` what became of the tries at *upstream* since the start."""
        answers = sum(series.requests for (name, *_rest), series in self._series.items() if name == upstream)
        return {
            "tries": answers + self._tries[upstream],
            "tries_failed": self._failed[upstream],
            "estimated": self._estimated[upstream],
        }

    def render(self, gauges: Mapping[str, float], upstreams: Iterable[State]) -> bytes:
        """Return the text for Prometheus, with *gauges* and the state of *upstreams* besides."""
        out = _Text()
        by_upstream: dict[str, list[_Series]] = {}
        for (upstream, _wire_in, _wire_out, _status), series in self._series.items():
            by_upstream.setdefault(upstream, []).append(series)

        out.head("requests_total", "counter", "Requests of clients that have ended.")
        for (upstream, wire_in, wire_out, status), series in self._series.items():
            labels = {"upstream": upstream, "wire_in": wire_in, "wire_out": wire_out, "status": str(status)}
            out.sample("requests_total", labels, series.requests)

        out.head("refused_total", "counter", "Requests that the relay itself refused.")
        for (wire, status), number in self._refused.items():
            out.sample("refused_total", {"wire_in": wire, "status": str(status)}, number)

        out.head("attempts_total", "counter", "Requests to upstreams, by the upstream that answered in the end.")
        for upstream, all_series in by_upstream.items():
            out.sample("attempts_total", {"upstream": upstream}, sum(s.attempts for s in all_series))

        out.head("tokens_total", "counter", "Tokens as upstreams told them; input is what no cache held.")
        for upstream, all_series in by_upstream.items():
            for kind in _KINDS:
                tokens = sum(getattr(series, kind) for series in all_series)
                out.sample("tokens_total", {"upstream": upstream, "kind": kind}, tokens)

        out.head("cost_total", "counter", "Cost of the answers whose price is known.")
        for upstream, all_series in by_upstream.items():
            for currency in sorted({currency for s in all_series for currency in s.costs}):
                cost = sum(s.costs.get(currency, 0.0) for s in all_series)
                out.sample("cost_total", {"upstream": upstream, "currency": currency}, cost)

        for name, help, times in _HISTOGRAMS:
            out.head(name, "histogram", help)
            for upstream, all_series in by_upstream.items():
                merged = _Times()
                for series in all_series:
                    merged.merge(times(series))
                out.histogram(name, {"upstream": upstream}, merged)

        for name, value in gauges.items():
            out.head(name, "gauge", _GAUGES.get(name, name))
            out.sample(name, {}, value)
        states = list(upstreams)
        out.head("upstream_available", "gauge", "1 when the upstream may be asked, 0 while it rests or is closed.")
        for state in states:
            out.sample("upstream_available", {"upstream": state.name}, int(state.available))
        out.head("upstream_running", "gauge", "Requests that the upstream is answering.")
        for state in states:
            out.sample("upstream_running", {"upstream": state.name}, state.running)
        return out.text()


_HISTOGRAMS: tuple[tuple[str, str, Callable[[_Series], _Times]], ...] = (
    ("first_event_seconds", "Time to the first event of an answer.", lambda series: series.first),
    ("request_seconds", "Time to the end of an answer.", lambda series: series.total),
)


class _Text:
    """The text format, line by line."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def head(self, name: str, kind: str, help: str) -> None:
        text = help.replace("\\", r"\\").replace("\n", r"\n")
        self._lines.append(f"# HELP {PREFIX}{name} {text}\n# TYPE {PREFIX}{name} {kind}")

    def sample(self, name: str, labels: Mapping[str, str], value: float) -> None:
        inside = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
        self._lines.append(f"{PREFIX}{name}{'{' + inside + '}' if inside else ''} {value}")

    def histogram(self, name: str, labels: Mapping[str, str], times: _Times) -> None:
        count = 0
        for bound, number in zip((*BUCKETS, "+Inf"), times.buckets, strict=True):
            count += number
            self.sample(f"{name}_bucket", {**labels, "le": str(bound)}, count)
        self.sample(f"{name}_sum", labels, times.sum / 1000)
        self.sample(f"{name}_count", labels, count)

    def text(self) -> bytes:
        return "".join(line + "\n" for line in self._lines).encode("utf-8", "replace")


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
