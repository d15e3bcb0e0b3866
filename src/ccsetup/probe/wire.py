"""The layer ``wire``: does the address speak the client's protocol, and does it stream?"""

from __future__ import annotations

import asyncio
from typing import Optional

from ccsetup.i18n import _
from ccsetup.probe import classify, requests, sse
from ccsetup.probe.classify import REACHED, Answer
from ccsetup.probe.coding import PACKAGES, available
from ccsetup.probe.http import HttpReply
from ccsetup.probe.key import stop_if_refused
from ccsetup.probe.network import Fault
from ccsetup.probe.requests import ProbeRequest
from ccsetup.probe.steps import ASK_SECONDS, Run, TargetStopped
from ccsetup.probe.verdict import Evidence, clean


async def check(run: Run, answer: Answer, request: ProbeRequest, reply: HttpReply) -> None:
    """Report what *reply* to *request* says of the endpoint; TargetStopped when the client cannot use it."""
    evidence = run.evidence(request.url, reply.status, answer.message)
    name = _name(run.target.wire)
    stop_if_refused(run, answer, request, reply)
    if answer.meaning == "server":
        run.add(
            "server",
            _("The provider's server fails: HTTP {status}.").format(status=reply.status),
            _("Try again later, or look at the provider's status page: ccsetup test --watch 30"),
            evidence,
        )
        raise TargetStopped
    timings = {"first_byte": reply.first_byte}
    if answer.meaning == "ok":
        if _readable(run, reply, evidence):
            await _streams(run, request, reply, evidence, timings)
        return
    if answer.meaning == "bad_request" and run.main_answer is not None:
        # Nothing is missing from this request, so the client's own will be refused as well.
        run.add(
            "wire",
            _("The endpoint refuses a plain request: HTTP {status}.").format(status=reply.status),
            _("The provider's message says why; look at the path of the address and at the model's name."),
            evidence,
            timings=timings,
        )
        raise TargetStopped
    if answer.meaning in ("bad_model", "bad_request"):
        run.add("ok", _("Speaks {name}.").format(name=name), evidence=evidence, timings=timings)
        return
    await _wrong(run, answer, reply, evidence)
    raise TargetStopped


def _readable(run: Run, reply: HttpReply, evidence: Evidence) -> bool:
    """Report an answer whose compression is in the way: of the client, raised as TargetStopped, or of this test."""
    reads = run.target.network.unpacks(reply.coding)
    if not reply.coding or (reply.unpacked and reads):
        return True
    missing = [p for c, p in PACKAGES.items() if c in reply.coding.lower() and not available(c)]
    words = {"coding": reply.coding, "client": _client(run)}
    if not reads:
        text = _("The answer is compressed ({coding}), which this version of {client} does not read.")
    elif not missing:
        text = _("The answer is said to be compressed ({coding}), and is not.")
    else:
        text = _("The answer is compressed ({coding}): {client} reads that, this test only with the package {package}.")
        hint = _("Install it with: pip install 'ccsetup[compression]'")
        run.add("unknown", text.format(**words, package=missing[0]), hint, evidence)
        return False
    hint = _("Ask the provider, or whoever runs a proxy before it, for answers that are not compressed.")
    run.add("wire", text.format(**words), hint, evidence)
    raise TargetStopped


async def _streams(
    run: Run, request: ProbeRequest, reply: HttpReply, evidence: Evidence, timings: dict[str, float]
) -> None:
    """Report whether a good answer is the whole stream that the client needs; TargetStopped where it needs more."""
    target = run.target
    name = _name(target.wire)
    if reply.status >= 300 or "application/json" in reply.header("content-type"):
        # Claude Code asks again without streaming; Codex gives up (observed with 2.1.329 and 0.169.0).
        text = _("Answers in one piece, although a stream was asked for.")
        if target.wire != "anthropic":
            hint = _("Codex needs a stream: ask the provider for an endpoint that streams, or put a relay in front.")
            run.add("wire", text, hint, evidence, timings=timings)
            raise TargetStopped
        hint = _(
            "Claude Code asks a second time without streaming, which costs twice; ask for an endpoint that streams."
        )
        run.add("degraded", text, hint, evidence, timings=timings)
        return
    found = sse.events(reply.body)
    error = sse.error_of(found)
    if error is not None:
        run.add(
            "wire",
            _("The stream holds an error after its beginning."),
            _("Try again; the provider's message says more."),
            run.evidence(request.url, reply.status, classify.message_of(error)),
        )
        raise TargetStopped
    trouble = _("The answer does not end.") if reply.cut else sse.problem(target.wire, found)
    if trouble:
        hint = _("The client needs the whole stream; something between may cut it off, or this is no {name} endpoint.")
        run.add("wire", trouble, hint.format(name=name), evidence, timings=timings)
        raise TargetStopped
    run.count(*sse.usage(found))
    if run.refused is not None:
        await _pieces(run)
    else:
        run.add("ok", _("Speaks {name} and streams.").format(name=name), evidence=evidence, timings=timings)


async def _pieces(run: Run) -> None:
    """Report which parts of the client's request the provider refuses."""
    from ccsetup.probe import deep

    assert run.refused is not None
    answer, request, reply = run.refused
    found = [f for f in await deep.pieces(run, run.target.models[0].id) if f.ok is False]
    names = ", ".join(f.title for f in found) or _("the request as the client sends it")
    run.add(
        "degraded",
        _("The provider refuses what the client sends: {names}.").format(names=names),
        " ".join(f.hint for f in found) or _("See which part it is with: ccsetup test --deep"),
        run.evidence(request.url, reply.status, answer.message),
    )


async def _wrong(run: Run, answer: Answer, reply: HttpReply, evidence: Evidence) -> None:
    """Report an address that is not the client's, and which one is."""
    target = run.target
    name = _name(target.wire)
    spoken = ""
    if answer.meaning in ("not_found", "wrong_method", "html", "other_protocol", "garbage", "empty"):
        spoken = await _other_protocol(run, answer)
    hint = ""
    if spoken == "chat" and target.wire != "anthropic":
        hint = _(
            "This address speaks only Chat Completions, so Codex needs the relay for this: ccsetup init --via-relay"
        )
    elif spoken:
        hint = _("This address speaks {other}, which {client} does not.").format(
            other=_name(spoken), client=_client(run)
        )
    right = _right_address(run)
    if right:
        hint = " ".join(
            h for h in (hint, _("{provider} has its endpoint at {url}").format(provider=right[0], url=right[1])) if h
        )
    texts = {
        "not_found": _("There is no {name} endpoint at this address (HTTP {status}).").format(
            name=name, status=reply.status
        ),
        "wrong_method": _("The address exists, but takes no {name} request (HTTP {status}).").format(
            name=name, status=reply.status
        ),
        "html": _("A web page answers, not an API."),
        "other_protocol": _("The answer is of another protocol than {name}.").format(name=name),
        "garbage": _("The answer is not one of {name}.").format(name=name),
        "empty": _("The answer is empty (HTTP {status}).").format(status=reply.status),
        "redirect": _("The address redirects to {url}; no key was sent there.").format(
            url=clean(answer.location, run.secrets, 150) or "-"
        ),
    }
    if answer.meaning == "redirect" and not hint:
        hint = _("If that is your provider, give its address itself with -u URL.")
    run.add(
        "wire",
        texts[answer.meaning],
        hint or _("Look at the path of the address in the provider's guide."),
        evidence,
    )


async def _other_protocol(run: Run, answer: Answer) -> str:
    """Return which other protocol the address speaks, or ""."""
    if answer.dialect in ("anthropic", "responses", "chat") and answer.dialect != run.target.wire:
        return answer.dialect
    if answer.meaning not in ("not_found", "wrong_method"):
        return ""
    request = requests.inference(run.target, "chat", requests.minimal("chat", ""))
    try:
        async with asyncio.timeout(ASK_SECONDS / 2):
            reply = await run.http.request(request.method, request.url, request.headers, request.body)
    except (Fault, TimeoutError):
        return ""
    found = classify.answer("chat", reply.status, dict(reply.headers), reply.body, run.target.preset)
    reached = found.meaning in REACHED - {"server"} and found.dialect != "html"
    return "chat" if reached else ""


def _right_address(run: Run) -> Optional[tuple[str, str]]:
    """Return (provider, URL) where the preset knows a better address for this client."""
    target = run.target
    if target.preset is None or target.region is None:
        return None
    endpoint = target.region.claude if target.wire == "anthropic" else target.region.codex
    url = getattr(endpoint, "base_url", "")
    if not url or url.rstrip("/") == target.base_url.rstrip("/") or getattr(endpoint, "wire", "responses") == "chat":
        return None
    return target.preset.name, url


def _client(run: Run) -> str:
    return "Claude Code" if run.target.wire == "anthropic" else "Codex"


def _name(wire: str) -> str:
    return {"anthropic": "Anthropic Messages", "responses": "OpenAI Responses", "chat": "Chat Completions"}[wire]
