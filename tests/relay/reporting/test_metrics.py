"""The text that Prometheus reads."""

from __future__ import annotations

import re
from typing import NamedTuple

from support.usage import row

from ccsetup.relay.reporting.metrics import BUCKETS, Metrics

_SAMPLE = re.compile(r'([a-z_]+)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (\S+)')


class State(NamedTuple):
    name: str
    available: bool
    running: int


def read(text: bytes) -> dict[str, float]:
    """Return the samples of *text* by name and labels; every line has to be well-formed and under its own TYPE."""
    out: dict[str, float] = {}
    family = ""
    for line in text.decode().splitlines():
        if line.startswith("# HELP "):
            continue
        if line.startswith("# TYPE "):
            family = line.split()[2]
            continue
        found = _SAMPLE.fullmatch(line)
        assert found, line
        assert found[1].startswith(family)
        key = line.rpartition(" ")[0]
        assert key not in out, "told twice"
        out[key] = float(found[3])
    return out


def test_what_was_observed_is_counted() -> None:
    """Counters add up by upstream, wire formats and status, and no client or model is named."""
    metrics = Metrics()
    metrics.observe(row(1))
    metrics.observe(row(2, attempts=3))
    metrics.observe(row(3, status=502, error="cut", cost=None, first_ms=None))
    metrics.observe(row(4, upstream="kimi", wire_in="responses", currency="CNY", cost=2.0))
    metrics.refused("chat", 401)
    metrics.refused("chat", 401)
    text = metrics.render({"running": 5.0}, [State("glm", True, 2), State("kimi", False, 0)])
    found = read(text)
    name = "ccsetup_relay_requests_total"
    assert found[name + '{upstream="glm",wire_in="anthropic",wire_out="chat",status="200"}'] == 2
    assert found[name + '{upstream="glm",wire_in="anthropic",wire_out="chat",status="502"}'] == 1
    assert found[name + '{upstream="kimi",wire_in="responses",wire_out="chat",status="200"}'] == 1
    assert found['ccsetup_relay_refused_total{wire_in="chat",status="401"}'] == 2
    assert found['ccsetup_relay_attempts_total{upstream="glm"}'] == 5
    assert found['ccsetup_relay_tokens_total{upstream="glm",kind="cache_read"}'] == 900
    assert found['ccsetup_relay_cost_total{upstream="glm",currency="USD"}'] == 1.0
    assert found['ccsetup_relay_cost_total{upstream="kimi",currency="CNY"}'] == 2.0
    assert found["ccsetup_relay_running"] == 5
    assert found['ccsetup_relay_upstream_available{upstream="kimi"}'] == 0
    assert found['ccsetup_relay_upstream_running{upstream="glm"}'] == 2
    assert b"alice" not in text
    assert b"sonnet" not in text


def test_a_histogram_is_cumulative() -> None:
    """Each bucket holds all that is not slower; the last one holds everything, also what is on a bound."""
    metrics = Metrics()
    for seconds in (0.01, 0.05, 0.3, 1000.0):
        metrics.observe(row(total_ms=seconds * 1000, first_ms=None))
    found = read(metrics.render({}, []))
    name = 'ccsetup_relay_request_seconds_bucket{upstream="glm",le='
    counts = [found[f'{name}"{bound}"}}'] for bound in (*BUCKETS, "+Inf")]
    assert counts == sorted(counts)
    assert found[name + '"0.05"}'] == 2
    assert found[name + '"0.25"}'] == 2
    assert found[name + '"0.5"}'] == 3
    assert found[name + '"320.0"}'] == 3
    assert counts[-1] == found['ccsetup_relay_request_seconds_count{upstream="glm"}'] == 4
    assert found['ccsetup_relay_request_seconds_sum{upstream="glm"}'] == 1000.36
    assert found['ccsetup_relay_first_event_seconds_count{upstream="glm"}'] == 0


def test_labels_are_escaped() -> None:
    """A name with quotes, backslashes or line breaks stays one label."""
    metrics = Metrics()
    metrics.observe(row(upstream='a"b\\c\nd'))
    assert r'{upstream="a\"b\\c\nd",wire_in=' in metrics.render({}, []).decode()
    read(metrics.render({}, []))


def test_nothing_observed_is_well_formed() -> None:
    assert read(Metrics().render({}, [])) == {}
