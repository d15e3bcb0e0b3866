"""Runs the layers of one target in order, and many targets at the same time.

A layer that failed stops those that need it.  What has been found is never lost: a deadline, or Ctrl-C, ends the layer
that is under way and keeps the others.
"""

from __future__ import annotations

import asyncio
import time
from typing import Mapping, Optional, Sequence

from ccsetup.i18n import _
from ccsetup.probe import address, key, models, requests, shapes, wire
from ccsetup.probe.classify import REACHED, Answer
from ccsetup.probe.dial import Link
from ccsetup.probe.http import Http, HttpReply
from ccsetup.probe.network import Fault
from ccsetup.probe.steps import OnStep, ProbeOptions, Run, TargetStopped
from ccsetup.probe.target import Target
from ccsetup.probe.verdict import LayerStep, Report, Verdict, clean, worst

__all__ = ["ProbeOptions", "probe"]

REACH_SECONDS = 10.0


def probe(
    targets: Sequence[Target], options: ProbeOptions, on_step: Optional[OnStep] = None
) -> tuple[list[Report], bool]:
    """Test *targets* at the same time; return their reports, and whether Ctrl-C ended it early.

    *on_step* is called with the target's index and each step as it ends.
    """
    runs = [Run(t, options, i, on_step) for i, t in enumerate(targets)]
    interrupted = False

    async def everything() -> None:
        await asyncio.gather(*(_layers(r) for r in runs))

    try:
        asyncio.run(everything())
    except KeyboardInterrupt:
        interrupted = True
    return [r.report() for r in runs], interrupted


async def _layers(run: Run) -> None:
    """Run all layers that are wanted; whatever ends them, *run* has a step for each afterwards."""
    run.start = time.perf_counter()
    try:
        async with asyncio.timeout(run.options.timeout):
            async with Http(run.target.network, run.target.environ) as run.http:
                _resolve(run)
                await _reach(run)
                await _key_and_wire(run)
                if run.options.level != "quick":
                    await models.check(run)
                elif run.listed:
                    await models.check(run, free=True)
                if run.options.level == "deep":
                    await _deep(run)
    except TargetStopped:
        pass
    except TimeoutError:
        run.settle()
        run.add("timeout", _("The time for this test is over."), _("Give it more with --timeout SECONDS."))
    run.settle()
    run.skip_rest()
    run.end = time.perf_counter()


_VERDICTS: Mapping[str, Verdict] = {"blocked": "config", "warning": "degraded", "info": "ok"}
"""What a note on the settings comes to: it stops the client, costs it something, or is only said.  Worst first."""


def _resolve(run: Run) -> None:
    run.begin("resolve")
    findings = [*run.target.findings, *address.check(run.target, insecure_http=run.options.insecure_http)]
    details = [
        _("{name} = {value} ({source})").format(name=s.name, value=s.value, source=s.source)
        + ("; " + _("hides {places}").format(places=", ".join(s.hides)) if s.hides else "")
        for s in run.target.settings
    ]
    order = sorted(findings, key=lambda f: list(_VERDICTS).index(f.level))
    verdict = worst(_VERDICTS[f.level] for f in findings)
    if not order or verdict == "ok":
        details = [*(f.text for f in order), *details]
        run.add("ok", run.target.base_url, details=details)
        return
    first, rest = order[0], order[1:]
    details = [*(" ".join(t for t in (f.text, f.hint) if t) for f in rest), *details]
    run.add(verdict, first.text, first.hint, details=details)
    if verdict == "config":
        raise TargetStopped


async def _reach(run: Run) -> None:
    run.begin("reach")
    url = run.target.base_url.strip()
    try:
        async with asyncio.timeout(REACH_SECONDS):
            link = await run.http.reach(url)
    except TimeoutError:
        run.add(
            "timeout",
            _("No connection within {seconds} seconds.").format(seconds=round(time.perf_counter() - run.layer_start)),
            _("Look at the network, a VPN, a firewall or a proxy."),
        )
        raise TargetStopped from None
    except Fault as e:
        run.add(e.verdict, e.text, e.hint, run.evidence(url))
        raise TargetStopped from None
    run.pending = _reached(run, link)


def _reached(run: Run, link: Link) -> LayerStep:
    names = {"dns": "DNS", "tcp": "TCP", "proxy": _("proxy"), "proxy_tls": _("TLS to the proxy"), "tls": "TLS"}
    summary = ", ".join(f"{names.get(n, n)} {s * 1000:.0f} ms" for n, s in link.timings.items())
    verdict: Verdict = "ok"
    hint = ""
    if link.unchecked:
        verdict, summary = (
            "degraded",
            _("{setting} lets anybody between here and the provider read the key.").format(setting=link.unchecked),
        )
        hint = _("Remove it; {name}=FILE adds the certificate of an authority that you trust.").format(name=link.advice)
    notes = tuple(clean(n, run.secrets) for n in link.notes)
    seconds = time.perf_counter() - run.layer_start
    return LayerStep("reach", verdict, seconds, summary, hint, details=notes, timings=dict(link.timings))


async def _key_and_wire(run: Run) -> None:
    """Find out both with as few requests as can be: one answer of the endpoint often tells both."""
    run.begin("key")
    target = run.target
    known = await key.preset_checks(run)
    free = requests.inference(target, target.wire, requests.minimal(target.wire, ""))
    free_answer: Optional[tuple[Answer, HttpReply]] = None
    if not known:
        reply = await run.ask(free)
        free_answer = run.classified(free, reply), reply
        known = key.judge(run, free_answer[0], free, reply)
    if not known and run.options.level == "quick":
        run.add("unknown", _("No free request tells whether the key is good."), _("Run: ccsetup test --deep"))
        known = True
    key_open = not known
    main = target.models[0].id if target.models else ""
    paid = run.options.level != "quick" and main and (free_answer is None or free_answer[0].meaning in REACHED)
    wire_start = time.perf_counter()
    if paid:
        if not key_open:
            run.begin("wire")
        # As the client sends it, so that ``ok`` means that the client works; the deep test takes it to pieces.
        whole = run.options.level != "deep"
        body = shapes.like_client(target, main) if whole else requests.minimal(target.wire, main)
        request = requests.inference(target, target.wire, body)
        reply = await run.ask(request, seconds=run.options.timeout)
        answer = run.classified(request, reply)
        # Unknown fields are refused in many ways; a bare request tells whether it was because of them.
        if whole and answer.meaning not in ("ok", "no_quota", "rate") and reply.status in (400, 403, 422, 500):
            refused = answer, request, reply
            request = requests.inference(target, target.wire, requests.minimal(target.wire, main))
            reply = await run.ask(request, seconds=run.options.timeout)
            answer = run.classified(request, reply)
            if answer.meaning == "ok":
                run.refused = refused
        run.main_answer = answer, request, reply
    elif free_answer is not None:
        request, (answer, reply) = free, free_answer
    else:
        run.begin("wire")
        request = free
        reply = await run.ask(request)
        answer = run.classified(request, reply)
    if key_open:
        run.layer = "key"
        if not key.judge(run, answer, request, reply):
            run.add("unknown", _("No answer tells whether the key is good."))
    run.begin("wire")
    run.layer_start = wire_start
    await wire.check(run, answer, request, reply)


async def _deep(run: Run) -> None:
    from ccsetup.probe import deep

    run.begin("deep")
    run.estimate = deep.expected_cost(run.target)[0]
    await deep.run(run)
