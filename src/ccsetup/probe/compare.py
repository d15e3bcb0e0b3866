"""Measures how fast endpoints answer: the median of several small streamed answers each."""

from __future__ import annotations

import asyncio
from typing import Any, Callable, NamedTuple, Optional, Sequence

from ccsetup.i18n import _
from ccsetup.probe import address, deep, requests
from ccsetup.probe.http import Http
from ccsetup.probe.steps import ProbeOptions, Run
from ccsetup.probe.target import Target
from ccsetup.probe.verdict import clean

PROMPT = "Count from one to fifty in words."
TOKENS = 200


class Speed(NamedTuple):
    label: str
    client: str
    model: str
    first_event: Optional[float]
    """Seconds, median; None when no run came to its end."""
    tokens_per_second: Optional[float]
    runs: int
    """That came to their end."""
    problem: str
    cost: Optional[float]
    currency: str

    def json(self) -> dict[str, Any]:
        return self._asdict()


def measure(
    targets: Sequence[Target], options: ProbeOptions, runs: int, on_run: Optional[Callable[[], None]] = None
) -> tuple[list[Speed], bool]:
    """Return the speeds, fastest first, and whether Ctrl-C ended it early.

    Each target is asked *runs* times in a row.
    """
    found: dict[int, _Timed] = {}

    async def one(index: int, target: Target) -> None:
        run = Run(target, options, index, None)
        found[index] = _Timed(run)
        await found[index].ask(runs, on_run)

    async def everything() -> None:
        await asyncio.gather(*(one(i, t) for i, t in enumerate(targets)))

    interrupted = False
    try:
        asyncio.run(everything())
    except KeyboardInterrupt:
        interrupted = True
    speeds = [timed.speed() for timed in found.values()]
    return sorted(speeds, key=lambda s: (s.first_event is None, s.first_event or 0.0)), interrupted


class _Timed:
    """The times of one target, as far as it has come."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._firsts: list[float] = []
        self._rates: list[float] = []
        self._problem = ""
        self._model = run.target.models[0].id if run.target.models else ""

    async def ask(self, runs: int, on_run: Optional[Callable[[], None]]) -> None:
        """Ask *runs* times in a row, or until there is a problem."""
        run, target, options = self._run, self._run.target, self._run.options
        findings = (*target.findings, *address.check(target, insecure_http=options.insecure_http))
        stop = next((f.text for f in findings if f.level == "blocked"), None)
        if stop is not None:
            self._problem = clean(stop, run.secrets)
            return
        try:
            async with asyncio.timeout(options.timeout * runs):
                async with Http(target.network, target.environ) as run.http:
                    for _number in range(runs):
                        await self._once()
                        if on_run is not None:
                            on_run()
                        if self._problem:
                            break
        except TimeoutError:
            self._problem = _("No complete answer in time.")

    async def _once(self) -> None:
        run = self._run
        before = run.usage.output_tokens
        heard = await deep.hear(run, requests.minimal(run.target.wire, self._model, PROMPT, max_tokens=TOKENS))
        if heard.status >= 300 or heard.problem or not heard.status:
            said = clean(heard.answer.message, run.secrets, 120)
            self._problem = heard.problem or f"HTTP {heard.status}: {said}"
            return
        self._firsts.append(heard.first_event)
        tokens = run.usage.output_tokens - before
        rest = heard.seconds - heard.first_event
        if tokens > 1 and rest > 0.005:
            self._rates.append(tokens / rest)

    def speed(self) -> Speed:
        target, usage = self._run.target, self._run.usage
        return Speed(
            target.label,
            target.client,
            self._model,
            _median(self._firsts),
            _median(self._rates),
            len(self._firsts),
            self._problem,
            usage.cost,
            usage.currency,
        )


def _median(values: Sequence[float]) -> Optional[float]:
    if not values:
        return None
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
