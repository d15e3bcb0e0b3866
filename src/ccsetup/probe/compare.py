"""Measures how fast endpoints answer: the median of several small streamed answers each."""

from __future__ import annotations

import asyncio
from typing import Any, Callable, NamedTuple, Optional, Sequence

from ccsetup.i18n import _
from ccsetup.probe import address, deep, requests
from ccsetup.probe.http import Http
from ccsetup.probe.steps import Options, Run
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
    targets: Sequence[Target], options: Options, runs: int, on_run: Optional[Callable[[], None]] = None
) -> tuple[list[Speed], bool]:
    """Return the speeds, fastest first, and whether Ctrl-C ended it early.

    Each target is asked *runs* times in a row.
    """
    found: dict[int, Speed] = {}

    async def one(index: int, target: Target) -> None:
        run = Run(target, options, index, None)
        firsts: list[float] = []
        rates: list[float] = []
        problem = ""
        stop = [
            f.text
            for f in (*target.findings, *address.check(target, insecure_http=options.insecure_http))
            if f.level == "blocked"
        ]
        model = target.models[0].id if target.models else ""

        def keep() -> None:
            usage = run.usage
            found[index] = Speed(
                target.label,
                target.client,
                model,
                _median(firsts),
                _median(rates),
                len(firsts),
                problem,
                usage.cost,
                usage.currency,
            )

        problem = clean(stop[0], run.secrets) if stop else ""
        keep()
        if stop:
            return
        try:
            async with asyncio.timeout(options.timeout * runs):
                async with Http(target.network, target.environ) as run.http:
                    for _number in range(runs):
                        before = run.usage.output_tokens
                        heard = await deep.hear(run, requests.minimal(target.wire, model, PROMPT, max_tokens=TOKENS))
                        if heard.status >= 300 or heard.problem or not heard.status:
                            problem = (
                                heard.problem or f"HTTP {heard.status}: {clean(heard.answer.message, run.secrets, 120)}"
                            )
                        else:
                            firsts.append(heard.first_event)
                            tokens = run.usage.output_tokens - before
                            rest = heard.seconds - heard.first_event
                            if tokens > 1 and rest > 0.005:
                                rates.append(tokens / rest)
                        keep()
                        if on_run is not None:
                            on_run()
                        if problem:
                            break
        except TimeoutError:
            problem = _("No complete answer in time.")
            keep()

    async def everything() -> None:
        await asyncio.gather(*(one(i, t) for i, t in enumerate(targets)))

    interrupted = False
    try:
        asyncio.run(everything())
    except KeyboardInterrupt:
        interrupted = True
    order = sorted(found.values(), key=lambda s: (s.first_event is None, s.first_event or 0.0))
    return order, interrupted


def _median(values: Sequence[float]) -> Optional[float]:
    if not values:
        return None
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
