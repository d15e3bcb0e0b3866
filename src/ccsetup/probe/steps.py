"""One target under test: what was asked, what was found, and what the layers know of one another."""

from __future__ import annotations

import asyncio
import time
from typing import Callable, Literal, NamedTuple, Optional, Sequence

from ccsetup.i18n import _
from ccsetup.probe import classify, requests
from ccsetup.probe.classify import Answer
from ccsetup.probe.http import Http, HttpReply, split
from ccsetup.probe.network import Fault
from ccsetup.probe.requests import ProbeRequest
from ccsetup.probe.target import Target
from ccsetup.probe.verdict import Evidence, Layer, LayerStep, Report, TokensUsed, Verdict, clean

Level = Literal["quick", "normal", "deep"]

ASK_SECONDS = 20.0
MODELS_LIMIT = 4 << 20
"""Bytes of a list of models; the longest known one has 0.8 million."""


class ProbeOptions(NamedTuple):
    level: Level = "normal"
    timeout: float = 30.0
    """Seconds for one target."""
    insecure_http: bool = False


OnStep = Callable[[int, LayerStep], None]


class TargetStopped(Exception):
    """The layers that follow cannot be tried."""


class Run:
    """One target, and what is known of it so far."""

    def __init__(self, target: Target, options: ProbeOptions, index: int, on_step: Optional[OnStep]) -> None:
        self.target = target
        self.options = options
        self.index = index
        self.on_step = on_step
        self.steps: list[LayerStep] = []
        self.start = time.perf_counter()
        self.end = 0.0
        self.layer: Layer = "resolve"
        self.layer_start = self.start
        self.secrets = target.secrets()
        self.listed: tuple[str, ...] = ()
        """Ids of the models that the provider lists."""
        self.pending: Optional[LayerStep] = None
        """The step ``reach``, until a first answer shows that no captive portal was reached."""
        self.main_answer: Optional[tuple[Answer, ProbeRequest, HttpReply]] = None
        """What the provider said to the first request that may cost something."""
        self.refused: Optional[tuple[Answer, ProbeRequest, HttpReply]] = None
        """What it said to the request in the client's own form, where it takes only a simpler one."""
        self.usage = TokensUsed()
        self.estimate: Optional[float] = None
        self.speed: dict[str, float] = {}
        self.http: Http

    def report(self) -> Report:
        """Return everything that was found, also when the layers were interrupted."""
        self.settle()
        finished = bool(self.end)
        if not finished:
            self.end = time.perf_counter()
            reason = _("Stopped before it was done.")
            self.skip_rest(reason)
        usage = self.usage if self.usage != TokensUsed() else None
        return Report(
            self.target.label,
            self.target.client,
            tuple(self.steps),
            self.end - self.start,
            self.target.about(),
            self.estimate,
            usage,
            self.speed,
            finished,
            self.options.level,
        )

    def begin(self, layer: Layer) -> None:
        """Let the time of *layer* begin."""
        self.layer = layer
        self.layer_start = time.perf_counter()

    def add(
        self,
        verdict: Verdict,
        summary: str,
        hint: str = "",
        evidence: Optional[Evidence] = None,
        details: Sequence[str] = (),
        timings: Optional[dict[str, float]] = None,
    ) -> LayerStep:
        """Report what a layer came to, without keys."""
        step = LayerStep(
            self.layer,
            verdict,
            time.perf_counter() - self.layer_start,
            clean(summary, self.secrets, 400),
            clean(hint, self.secrets, 600),
            evidence,
            tuple(clean(d, self.secrets, 400) for d in details),
            timings or {},
        )
        self.emit(step)
        return step

    def emit(self, step: LayerStep) -> None:
        self.steps.append(step)
        if self.on_step is not None:
            self.on_step(self.index, step)

    def evidence(self, url: str, status: int = 0, message: str = "") -> Evidence:
        return Evidence(clean(url, self.secrets), status, clean(message, self.secrets))

    def wanted(self) -> tuple[Layer, ...]:
        """Return the layers that this level has."""
        out: tuple[Layer, ...] = ("resolve", "reach", "key", "wire")
        if self.options.level != "quick":
            out += ("model",)
        if self.options.level == "deep":
            out += ("deep",)
        return out

    def skip_rest(self, reason: str = "") -> None:
        """Report every layer that has no step yet as skipped."""
        done = {s.layer for s in self.steps}
        for layer in self.wanted():
            if layer not in done:
                self.emit(LayerStep(layer, "skipped", 0.0, reason or _("Needs a layer that failed.")))

    def settle(self, portal: Optional[tuple[Answer, ProbeRequest, int]] = None) -> None:
        """Report ``reach``: reached, or reached a portal."""
        step, self.pending = self.pending, None
        if step is None:
            return
        if portal is None:
            self.emit(step)
            return
        answer, request, status = portal
        self.emit(
            step._replace(
                verdict="unreachable",
                summary=_("A page of the network answers instead of the provider (captive portal)."),
                hint=_("Open a browser, log in to the network, and run the test again."),
                evidence=self.evidence(request.url, status, answer.message or answer.location),
            )
        )

    async def ask(self, request: ProbeRequest, *, limit: int = 1 << 20, seconds: float = ASK_SECONDS) -> HttpReply:
        """Return the answer; a failure is reported as a step of this layer and stops the target."""
        try:
            async with asyncio.timeout(seconds):
                return await self.http.request(request.method, request.url, request.headers, request.body, limit=limit)
        except TimeoutError:
            self.settle()
            self.add(
                "timeout",
                _("No complete answer within {seconds} seconds.").format(seconds=round(seconds)),
                _("Try again later, or give it more time with --timeout SECONDS."),
                self.evidence(request.url),
            )
            raise TargetStopped from None
        except Fault as e:
            if e.kind in ("closed", "proxy") and self.pending is not None:
                # Whoever took the connection does not answer as a server would: nothing was reached.
                step, self.pending = self.pending, None
                self.emit(
                    step._replace(
                        verdict=e.verdict,
                        summary=clean(e.text, self.secrets, 400),
                        hint=clean(e.hint, self.secrets, 600),
                        evidence=self.evidence(request.url),
                    )
                )
                raise TargetStopped from None
            self.settle()
            if e.verdict == "wire" and self.layer == "key":
                self.add("unknown", _("No answer tells whether the key is good."))
                self.begin("wire")
            self.add(e.verdict, e.text, e.hint, self.evidence(request.url))
            raise TargetStopped from None

    def classified(self, request: ProbeRequest, reply: HttpReply) -> Answer:
        """Return what *reply* means; a captive portal is reported and stops the target."""
        answer = classify.answer(self.target.wire, reply.status, dict(reply.headers), reply.body, self.target.preset)
        if not reply.unpacked and reply.status < 300:
            answer = Answer("ok", "none")  # its status is all that can be read
        if answer.meaning == "redirect" and leads_to_portal(request.url, answer.location, reply.status):
            answer = answer._replace(meaning="portal")
        if answer.meaning == "portal":
            if self.pending is not None:
                self.settle((answer, request, reply.status))
            else:
                self.add(
                    "unreachable",
                    _("A page of the network answers instead of the provider (captive portal)."),
                    _("Open a browser, log in to the network, and run the test again."),
                    self.evidence(request.url, reply.status, answer.message),
                )
            raise TargetStopped
        self.settle()
        return answer

    def count(self, tokens_in: int, tokens_out: int) -> None:
        """Add to what the test has used."""
        used = TokensUsed(self.usage.input_tokens + tokens_in, self.usage.output_tokens + tokens_out)
        cost, currency = requests.price(self.target, used.input_tokens, used.output_tokens)
        self.usage = used._replace(cost=cost, currency=currency)

    def origins(self) -> set[str]:
        """Return the origins that the key may go to: the target's own, and a preset's when its own address is used."""
        target = self.target
        own = split(target.base_url.strip())[0]
        out = {own}
        region = target.region
        if region is not None:
            bases = [getattr(region.claude, "base_url", ""), getattr(region.codex, "base_url", "")]
            if own in {split(b)[0] for b in bases if b}:
                out |= {split(c.url)[0] for c in region.verify}
        return out


def leads_to_portal(url: str, location: str, status: int) -> bool:
    """Tell whether a redirect leads to a page where a person logs in to the network."""
    import re
    from urllib.parse import urljoin

    there = urljoin(url, location)
    if status not in (302, 303, 307) or split(there)[0] == split(url)[0]:
        return False
    return bool(re.search(r"login|log-in|signin|portal|captive|hotspot|wifi|wlan|guest|auth", there, re.I))
