"""Runs the layers of one target in order, and many targets at the same time.

A layer that failed stops those that need it.  What has been found is never lost: a deadline, or Ctrl-C, ends the layer
that is under way and keeps the others.
"""

from __future__ import annotations

import asyncio
import time
from typing import Callable, Literal, NamedTuple, Optional, Sequence

from ccsetup.i18n import _
from ccsetup.model import KeyCheck, LegacyModel
from ccsetup.probe import address, classify, requests, shapes, sse
from ccsetup.probe.classify import REACHED, Answer
from ccsetup.probe.http import Fault, Http, Link, Reply, Trust, split
from ccsetup.probe.requests import Request
from ccsetup.probe.target import Target, TierModel
from ccsetup.probe.verdict import Evidence, Layer, Report, Step, Usage, Verdict, clean, worst

Level = Literal["quick", "normal", "deep"]

REACH_SECONDS = 10.0
ASK_SECONDS = 20.0
MODELS_LIMIT = 4 << 20
"""Bytes of a list of models; the longest known one has 0.8 million."""


class Options(NamedTuple):
    level: Level = "normal"
    timeout: float = 30.0
    """Seconds for one target."""
    insecure_http: bool = False


OnStep = Callable[[int, Step], None]


def probe(targets: Sequence[Target], options: Options, on_step: Optional[OnStep] = None) -> tuple[list[Report], bool]:
    """Test *targets* at the same time; return their reports, and whether Ctrl-C ended it early.

    *on_step* is called with the target's index and each step as it ends.
    """
    runs = [Run(t, options, i, on_step) for i, t in enumerate(targets)]
    interrupted = False

    async def everything() -> None:
        await asyncio.gather(*(r.run() for r in runs))

    try:
        asyncio.run(everything())
    except KeyboardInterrupt:
        interrupted = True
    return [r.report() for r in runs], interrupted


class _Stop(Exception):
    """The layers that follow cannot be tried."""


class Run:
    def __init__(self, target: Target, options: Options, index: int, on_step: Optional[OnStep]) -> None:
        self.target = target
        self.options = options
        self.index = index
        self.on_step = on_step
        self.steps: list[Step] = []
        self.start = time.perf_counter()
        self.end = 0.0
        self.layer: Layer = "resolve"
        self.layer_start = self.start
        self.secrets = target.secrets()
        self.listed: tuple[str, ...] = ()
        """Ids of the models that the provider lists."""
        self.pending: Optional[Step] = None
        """The step ``reach``, until a first answer shows that no captive portal was reached."""
        self.usage = Usage()
        self.estimate: Optional[float] = None
        self.speed: dict[str, float] = {}
        self.http: Http

    # Bookkeeping.

    def report(self) -> Report:
        if self.pending is not None:
            self._settle()
        finished = bool(self.end)
        if not finished:
            self.end = time.perf_counter()
            reason = _("Stopped before it was done.")
            self._skip_rest(reason)
        usage = self.usage if self.usage != Usage() else None
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
        *,
        layer: Optional[Layer] = None,
    ) -> Step:
        step = Step(
            layer or self.layer,
            verdict,
            time.perf_counter() - self.layer_start,
            clean(summary, self.secrets, 400),
            clean(hint, self.secrets, 600),
            evidence,
            tuple(clean(d, self.secrets, 400) for d in details),
            timings or {},
        )
        self._emit(step)
        return step

    def _emit(self, step: Step) -> None:
        self.steps.append(step)
        if self.on_step is not None:
            self.on_step(self.index, step)

    def evidence(self, url: str, status: int = 0, message: str = "") -> Evidence:
        return Evidence(clean(url, self.secrets), status, clean(message, self.secrets))

    def wanted(self) -> tuple[Layer, ...]:
        out: tuple[Layer, ...] = ("resolve", "reach", "key", "wire")
        if self.options.level != "quick":
            out += ("model",)
        if self.options.level == "deep":
            out += ("deep",)
        return out

    def _skip_rest(self, reason: str = "") -> None:
        done = {s.layer for s in self.steps}
        for layer in self.wanted():
            if layer not in done:
                self._emit(Step(layer, "skipped", 0.0, reason or _("Needs a layer that failed.")))

    # The layers.

    async def run(self) -> None:
        trust = Trust(self.target.client, self.target.environ)
        self.start = time.perf_counter()
        try:
            async with asyncio.timeout(self.options.timeout):
                async with Http(self.target.client, self.target.environ, trust) as self.http:
                    self.resolve()
                    await self.reach()
                    await self.key_and_wire()
                    if self.options.level != "quick":
                        await self.models()
                    elif self.listed:
                        await self.models(free=True)
                    if self.options.level == "deep":
                        await self.deep()
        except _Stop:
            pass
        except TimeoutError:
            self._settle()
            self.add("timeout", _("The time for this test is over."), _("Give it more with --timeout SECONDS."))
        if self.pending is not None:
            self._settle()
        self._skip_rest()
        self.end = time.perf_counter()

    def resolve(self) -> None:
        self.begin("resolve")
        findings = [*self.target.findings, *address.check(self.target, insecure_http=self.options.insecure_http)]
        details = [
            _("{name} = {value} ({source})").format(name=s.name, value=s.value, source=s.source)
            + ("; " + _("hides {places}").format(places=", ".join(s.hides)) if s.hides else "")
            for s in self.target.settings
        ]
        order = sorted(findings, key=lambda f: ("config", "degraded", "ok").index(f.verdict))
        verdict = worst(f.verdict for f in findings)
        if not order or verdict == "ok":
            details = [*(f.text for f in order), *details]
            self.add("ok", self.target.base_url, details=details)
            return
        first, rest = order[0], order[1:]
        details = [*(" ".join(t for t in (f.text, f.hint) if t) for f in rest), *details]
        self.add(verdict, first.text, first.hint, details=details)
        if verdict == "config":
            raise _Stop

    async def reach(self) -> None:
        self.begin("reach")
        url = self.target.base_url.strip()
        try:
            async with asyncio.timeout(REACH_SECONDS):
                link = await self.http.reach(url)
        except TimeoutError:
            self.add(
                "timeout",
                _("No connection within {seconds} seconds.").format(
                    seconds=round(time.perf_counter() - self.layer_start)
                ),
                _("Look at the network, a VPN, a firewall or a proxy."),
            )
            raise _Stop from None
        except Fault as e:
            self.add(e.verdict, e.text, e.hint, self.evidence(url))
            raise _Stop from None
        self.pending = self._reached(link)

    def _reached(self, link: Link) -> Step:
        names = {"dns": "DNS", "tcp": "TCP", "proxy": _("proxy"), "proxy_tls": _("TLS to the proxy"), "tls": "TLS"}
        parts = [f"{names[n]} {s * 1000:.0f} ms" for n, s in link.timings.items()]
        return Step(
            "reach",
            "ok",
            time.perf_counter() - self.layer_start,
            ", ".join(parts),
            details=tuple(clean(n, self.secrets) for n in link.notes),
            timings=dict(link.timings),
        )

    def _settle(self, portal: Optional[tuple[Answer, Request, int]] = None) -> None:
        """Report ``reach``: reached, or reached a portal."""
        step, self.pending = self.pending, None
        if step is None:
            return
        if portal is None:
            self._emit(step)
            return
        answer, request, status = portal
        self._emit(
            step._replace(
                verdict="unreachable",
                summary=_("A page of the network answers instead of the provider (captive portal)."),
                hint=_("Open a browser, log in to the network, and run the test again."),
                evidence=self.evidence(request.url, status, answer.message or answer.location),
            )
        )

    async def ask(self, request: Request, *, limit: int = 1 << 20, seconds: float = ASK_SECONDS) -> Reply:
        """Return the answer; a failure is reported as a step of this layer and stops the target."""
        try:
            async with asyncio.timeout(seconds):
                return await self.http.request(request.method, request.url, request.headers, request.body, limit=limit)
        except TimeoutError:
            self._settle()
            self.add(
                "timeout",
                _("No complete answer within {seconds} seconds.").format(seconds=round(seconds)),
                _("Try again later, or give it more time with --timeout SECONDS."),
                self.evidence(request.url),
            )
            raise _Stop from None
        except Fault as e:
            if e.kind in ("closed", "proxy") and self.pending is not None:
                # Whoever took the connection does not answer as a server would: nothing was reached.
                step, self.pending = self.pending, None
                self._emit(
                    step._replace(
                        verdict=e.verdict,
                        summary=clean(e.text, self.secrets, 400),
                        hint=clean(e.hint, self.secrets, 600),
                        evidence=self.evidence(request.url),
                    )
                )
                raise _Stop from None
            self._settle()
            if e.verdict == "wire" and self.layer == "key":
                self.add("unknown", _("No answer tells whether the key is good."))
                self.begin("wire")
            self.add(e.verdict, e.text, e.hint, self.evidence(request.url))
            raise _Stop from None

    def classified(self, request: Request, reply: Reply) -> Answer:
        """Return what *reply* means; a captive portal is reported and stops the target."""
        answer = classify.answer(self.target.wire, reply.status, dict(reply.headers), reply.body, self.target.preset)
        if answer.meaning == "redirect" and _portal(request.url, answer.location, reply.status):
            answer = answer._replace(meaning="portal")
        if answer.meaning == "portal":
            if self.pending is not None:
                self._settle((answer, request, reply.status))
            else:
                self.add(
                    "unreachable",
                    _("A page of the network answers instead of the provider (captive portal)."),
                    _("Open a browser, log in to the network, and run the test again."),
                    self.evidence(request.url, reply.status, answer.message),
                )
            raise _Stop
        self._settle()
        return answer

    # Key and wire.

    async def key_and_wire(self) -> None:
        self.begin("key")
        target = self.target
        known = await self._preset_checks()
        free = requests.inference(target, target.wire, requests.minimal(target.wire, ""))
        free_answer: Optional[tuple[Answer, Reply]] = None
        if not known:
            reply = await self.ask(free)
            free_answer = self.classified(free, reply), reply
            known = self._key_from(free_answer[0], free, reply)
        if not known and self.options.level == "quick":
            self.add("unknown", _("No free request tells whether the key is good."), _("Run: ccsetup test --deep"))
            known = True
        key_open = not known
        main = target.models[0].id if target.models else ""
        paid = self.options.level != "quick" and main and (free_answer is None or free_answer[0].meaning in REACHED)
        wire_start = time.perf_counter()
        if paid:
            if not key_open:
                self.begin("wire")
            # As the client sends it, so that ``ok`` means that the client works; the deep test takes it to pieces.
            whole = self.options.level != "deep"
            body = shapes.like_client(target, main) if whole else requests.minimal(target.wire, main)
            request = requests.inference(target, target.wire, body)
            reply = await self.ask(request, seconds=self.options.timeout)
            answer = self.classified(request, reply)
            # Unknown fields are refused in many ways; a bare request tells whether it was because of them.
            if whole and answer.meaning not in ("ok", "no_quota", "rate") and reply.status in (400, 403, 422, 500):
                refused = answer, request, reply
                request = requests.inference(target, target.wire, requests.minimal(target.wire, main))
                reply = await self.ask(request, seconds=self.options.timeout)
                answer = self.classified(request, reply)
                if answer.meaning == "ok":
                    self.refused = refused
            self.main_answer = answer, request, reply
        elif free_answer is not None:
            request, (answer, reply) = free, free_answer
        else:
            self.begin("wire")
            request = free
            reply = await self.ask(request)
            answer = self.classified(request, reply)
        if key_open:
            self.layer = "key"
            if not self._key_from(answer, request, reply):
                self.add("unknown", _("No answer tells whether the key is good."))
        self.begin("wire")
        self.layer_start = wire_start
        await self._wire(answer, request, reply)

    main_answer: Optional[tuple[Answer, Request, Reply]] = None
    """What the provider said to the first request that may cost something."""
    refused: Optional[tuple[Answer, Request, Reply]] = None
    """What it said to the request in the client's own form, where it takes only a simpler one."""

    async def _pieces(self) -> None:
        """Report which parts of the client's request the provider refuses."""
        from ccsetup.probe import deep

        assert self.refused is not None
        answer, request, reply = self.refused
        found = [f for f in await deep.pieces(self, self.target.models[0].id) if f.ok is False]
        names = ", ".join(f.title for f in found) or _("the request as the client sends it")
        self.add(
            "degraded",
            _("The provider refuses what the client sends: {names}.").format(names=names),
            " ".join(f.hint for f in found) or _("See which part it is with: ccsetup test --deep"),
            self.evidence(request.url, reply.status, answer.message),
        )

    async def _preset_checks(self) -> bool:
        """Ask the preset's free checks; return whether they settled the key's verdict."""
        target = self.target
        if target.key is None or target.region is None:
            return False
        text = target.key.reveal()
        allowed = _origins(target)
        checks = [
            c
            for c in target.region.verify
            if (not c.prefixes or text.startswith(c.prefixes)) and split(c.url)[0] in allowed
        ]
        refused: Optional[tuple[classify.KeyAnswer, Request, Reply]] = None
        for check in checks:
            if not check.proves:
                continue
            asked = await self._one_check(check)
            if asked is None:
                continue
            found, request, reply = asked
            if found.models:
                self.listed = found.models
            if found.meaning == "valid":
                self._settle()
                balance = classify.number(found.balance)
                if balance is not None and balance <= 0:
                    self._no_quota(request, reply, found, found.balance)
                else:
                    summary = _("The provider accepts the key.")
                    if found.balance:
                        summary += " " + _("Balance: {balance}.").format(balance=found.balance)
                    self.add("ok", summary, evidence=self.evidence(request.url, reply.status))
                return True
            if found.meaning == "no_quota":
                self._settle()
                self._no_quota(request, reply, found, found.balance)
                return True
            if found.meaning == "forbidden":
                self._settle()
                self.add(
                    "forbidden",
                    _("The provider has blocked this key or its team."),
                    _("Look at the key in the provider's console."),
                    self.evidence(request.url, reply.status, found.message),
                )
                raise _Stop
            if found.meaning == "invalid" and refused is None:
                refused = asked
        if refused is None:
            return False
        found, request, reply = refused
        self._settle()
        self._bad_key(request, reply, found.message)
        raise _Stop

    async def _one_check(self, check: KeyCheck) -> Optional[tuple[classify.KeyAnswer, Request, Reply]]:
        """Return what a check says, or None where it says nothing: the endpoint itself is asked then."""
        assert self.target.key is not None
        request = requests.key_check(self.target, check, self.target.key)
        try:
            async with asyncio.timeout(ASK_SECONDS / 2):
                reply = await self.http.request(
                    request.method, request.url, request.headers, limit=MODELS_LIMIT if check.models else 1 << 20
                )
        except (Fault, TimeoutError):
            return None
        found = classify.key_check(check, reply.status, reply.body)
        if found.meaning == "unknown" and reply.status != 200:
            answer = classify.answer(
                self.target.wire, reply.status, dict(reply.headers), reply.body, self.target.preset
            )
            if answer.meaning == "portal" or (
                answer.meaning == "redirect" and _portal(request.url, answer.location, reply.status)
            ):
                self.classified(request, reply)
        return found, request, reply

    def _no_quota(self, request: Request, reply: Reply, found: classify.KeyAnswer, balance: str) -> None:
        summary = _("The key is good, but nothing is left on the account.")
        if balance:
            summary += " " + _("Balance: {balance}.").format(balance=balance)
        self.add("quota", summary, self._pay_hint(), self.evidence(request.url, reply.status, found.message))

    def _pay_hint(self) -> str:
        region = self.target.region
        site = self.target.preset.website if self.target.preset else ""
        where = (region.key_url if region else "") or site
        text = _("Add credit or wait for the plan to renew.")
        return f"{text} {where}" if where else text

    def _bad_key(self, request: Request, reply: Reply, message: str, *, region: bool = False) -> None:
        from ccsetup import keys

        target = self.target
        hint = _("Copy the key again and give it with: ccsetup init -p {provider} -k -").format(
            provider=target.preset.id if target.preset else "PROVIDER"
        )
        if target.preset is None or (target.kind == "effective" and not target.profile):
            hint = _("Copy the key again; it comes from: {source}").format(
                source=target.credentials[0].source if target.credentials else "-"
            )
        if target.profile:
            hint = _("Copy the key again and give it with: ccsetup key set {name}").format(name=target.profile)
        summary = _("The provider refuses the key.")
        preset, here = target.preset, target.region
        stranger = self._stranger()
        if preset is not None and here is not None:
            family = keys.family(target.key, preset) if target.key is not None else None
            others = [r for r in preset.regions if r.id != here.id]
            if family is not None and family.provider:
                summary = _("This is a key of another provider: {name}.").format(name=family.name)
                hint = _("Try: ccsetup test -p {provider} -k -").format(provider=family.provider)
            elif family is not None and family.region and family.region != here.id:
                summary = _("This is a {name}, which works only in region {region}.").format(
                    name=family.name, region=family.region
                )
                hint = _("Use it with: ccsetup init -p {provider} --region {region} -k -").format(
                    provider=preset.id, region=family.region
                )
            elif others:
                names = " ".join(r.id for r in others)
                hint += " " + _(
                    "Keys of another site or plan look the same to it: is it one of {regions}? Try: ccsetup test -p "
                    "{provider} --region {first} -k -"
                ).format(regions=names, provider=preset.id, first=others[0].id)
                if region:
                    summary = _("The provider refuses the key: it is wrong, or belongs to another region or plan.")
            elif here.key_url:
                hint += " " + _("Keys: {url}").format(url=here.key_url)
        if stranger:
            summary = _("The provider refuses the key, which begins as keys of {provider} do.").format(
                provider=stranger
            )
            tried = _("Is it a key of {provider}? Try: ccsetup test -p {provider} -k -").format(provider=stranger)
            hint = f"{tried} {hint}"
        if any(c.source.startswith("shell") for c in target.credentials):
            hint += " " + _("It comes from the shell.")
        self.add("key", summary, hint, self.evidence(request.url, reply.status, message))

    def _stranger(self) -> str:
        """Return the id of the provider whose keys begin as this one does, where that is not the one tested."""
        from ccsetup import presets

        key = self.target.key.reveal() if self.target.key is not None else ""
        own = self.target.preset
        if own is not None and any(key.startswith(f.prefix) for f in own.key_families):
            return ""
        found = next((name for name, family in presets.key_families() if key.startswith(family.prefix)), "")
        return "" if own is not None and found == own.id else found

    def _key_from(self, answer: Answer, request: Request, reply: Reply) -> bool:
        """Report the key by an answer of the endpoint itself; False when it does not tell."""
        evidence = self.evidence(request.url, reply.status, answer.message)
        self._stop_if_refused(answer, request, reply)
        if answer.meaning in ("ok", "bad_model", "bad_request"):
            if not self.target.credentials:
                self.add("ok", _("No key is needed."), evidence=evidence)
            else:
                self.add("ok", _("The endpoint accepts the key."), evidence=evidence)
            return True
        return False

    def _stop_if_refused(self, answer: Answer, request: Request, reply: Reply) -> None:
        """Report an answer that refuses the key or the account, and raise _Stop."""
        evidence = self.evidence(request.url, reply.status, answer.message)
        if answer.meaning in ("bad_key", "wrong_region"):
            self._bad_key(request, reply, answer.message, region=answer.meaning == "wrong_region")
        elif answer.meaning in ("no_quota", "rate"):
            self._quota(answer, reply, evidence)
        elif answer.meaning == "forbidden":
            self._forbidden(answer, evidence)
        else:
            return
        raise _Stop

    def _quota(self, answer: Answer, reply: Reply, evidence: Evidence) -> None:
        if answer.meaning == "no_quota":
            self.add("quota", _("The key is good, but nothing is left on the account."), self._pay_hint(), evidence)
            return
        after = clean(reply.header("retry-after"), limit=40)
        self.add(
            "quota",
            _("Too many requests: the provider's rate limit is reached."),
            _("Try again in {seconds} seconds.").format(seconds=after) if after.isdigit() else _("Try again later."),
            evidence,
        )

    def _forbidden(self, answer: Answer, evidence: Evidence) -> None:
        hint = _("Look at the rights of the key, the plan, and whether the provider serves your country.")
        if answer.dialect == "html":
            hint = _("A firewall in front of the provider refuses this machine's address; try without a VPN or proxy.")
        self.add("forbidden", _("The provider understood the key and refuses the request."), hint, evidence)

    async def _wire(self, answer: Answer, request: Request, reply: Reply) -> None:
        target = self.target
        evidence = self.evidence(request.url, reply.status, answer.message)
        name = _name(target.wire)
        self._stop_if_refused(answer, request, reply)
        if answer.meaning == "server":
            self.add(
                "server",
                _("The provider's server fails: HTTP {status}.").format(status=reply.status),
                _("Try again later, or look at the provider's status page: ccsetup test --watch 30"),
                evidence,
            )
            raise _Stop
        timings = {"first_byte": reply.first_byte}
        if answer.meaning == "ok" and reply.status < 300 and "application/json" not in reply.header("content-type"):
            found = sse.events(reply.body)
            error = sse.error_of(found)
            if error is not None:
                message = classify.message_of(error)
                self.add(
                    "wire",
                    _("The stream holds an error after its beginning."),
                    _("Try again; the provider's message says more."),
                    self.evidence(request.url, reply.status, message),
                )
                raise _Stop
            trouble = _("The answer does not end.") if reply.cut else sse.problem(target.wire, found)
            if trouble:
                self.add(
                    "wire",
                    trouble,
                    _(
                        "The client needs the whole stream; something between may cut it off, or this is no {name} "
                        "endpoint."
                    ).format(name=name),
                    evidence,
                    timings=timings,
                )
                raise _Stop
            self._count(found)
            if self.refused is not None:
                await self._pieces()
                return
            self.add("ok", _("Speaks {name} and streams.").format(name=name), evidence=evidence, timings=timings)
            return
        if answer.meaning == "ok":
            # Claude Code asks again without streaming; Codex gives up (observed with 2.1.329 and 0.169.0).
            claude = target.client == "claude-code"
            self.add(
                "degraded" if claude else "wire",
                _("Answers in one piece, although a stream was asked for."),
                _(
                    "Claude Code asks a second time without streaming, which costs twice; ask for an endpoint that "
                    "streams."
                )
                if claude
                else _("Codex needs a stream: ask the provider for an endpoint that streams, or put a relay in front."),
                evidence,
                timings=timings,
            )
            if not claude:
                raise _Stop
            return
        if answer.meaning == "bad_request" and self.main_answer is not None:
            # Nothing is missing from this request, so the client's own will be refused as well.
            self.add(
                "wire",
                _("The endpoint refuses a plain request: HTTP {status}.").format(status=reply.status),
                _("The provider's message says why; look at the path of the address and at the model's name."),
                evidence,
                timings=timings,
            )
            raise _Stop
        if answer.meaning in ("bad_model", "bad_request"):
            self.add("ok", _("Speaks {name}.").format(name=name), evidence=evidence, timings=timings)
            return
        await self._wrong_wire(answer, reply, evidence)
        raise _Stop

    async def _wrong_wire(self, answer: Answer, reply: Reply, evidence: Evidence) -> None:
        target = self.target
        name = _name(target.wire)
        spoken = ""
        if answer.meaning in ("not_found", "wrong_method", "html", "other_protocol", "garbage", "empty"):
            spoken = await self._other_protocol(answer)
        hint = ""
        if spoken == "chat" and target.client == "codex":
            hint = _(
                "This address speaks only Chat Completions, so Codex needs the relay for this: ccsetup init --via-relay"
            )
        elif spoken:
            hint = _("This address speaks {other}, which {client} does not.").format(
                other=_name(spoken), client="Codex" if target.client == "codex" else "Claude Code"
            )
        right = self._right_address()
        if right:
            hint = " ".join(
                h
                for h in (hint, _("{provider} has its endpoint at {url}").format(provider=right[0], url=right[1]))
                if h
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
                url=clean(answer.location, self.secrets, 150) or "-"
            ),
        }
        if answer.meaning == "redirect" and not hint:
            hint = _("If that is your provider, give its address itself with -u URL.")
        self.add(
            "wire",
            texts[answer.meaning],
            hint or _("Look at the path of the address in the provider's guide."),
            evidence,
        )

    async def _other_protocol(self, answer: Answer) -> str:
        """Return which other protocol the address speaks, or ""."""
        if answer.dialect in ("anthropic", "responses", "chat") and answer.dialect != self.target.wire:
            return answer.dialect
        if answer.meaning not in ("not_found", "wrong_method"):
            return ""
        request = requests.inference(self.target, "chat", requests.minimal("chat", ""))
        try:
            async with asyncio.timeout(ASK_SECONDS / 2):
                reply = await self.http.request(request.method, request.url, request.headers, request.body)
        except (Fault, TimeoutError):
            return ""
        found = classify.answer("chat", reply.status, dict(reply.headers), reply.body, self.target.preset)
        reached = found.meaning in REACHED - {"server"} and found.dialect != "html"
        return "chat" if reached else ""

    def _right_address(self) -> Optional[tuple[str, str]]:
        """Return (provider, URL) where the preset knows a better address for this client."""
        target = self.target
        if target.preset is None or target.region is None:
            return None
        endpoint = target.region.claude if target.client == "claude-code" else target.region.codex
        url = getattr(endpoint, "base_url", "")
        if (
            not url
            or url.rstrip("/") == target.base_url.rstrip("/")
            or getattr(endpoint, "wire", "responses") == "chat"
        ):
            return None
        return target.preset.name, url

    # Models.

    async def models(self, *, free: bool = False) -> None:
        self.begin("model")
        target = self.target
        if not target.models:
            self.add("unknown", _("No model is configured: the client chooses its own."))
            return
        if self.main_answer is not None:
            answer, request, reply = self.main_answer
            if answer.meaning == "bad_model":
                if not self.listed:
                    await self._list()
                self._missing(target.models[0], request, reply, answer.message)
                raise _Stop
        if not self.listed and not free and len({m.id for m in target.models}) > 1:
            await self._list()
        missing: list[TierModel] = []
        unsure: list[TierModel] = []
        seen: dict[str, bool] = {}
        for number, model in enumerate(target.models):
            if number == 0 and self.main_answer is not None:
                seen[model.id] = True
                continue
            if model.id in seen:
                continue
            seen[model.id] = True
            if any(classify.same_model(model.id, known) for known in self.listed):
                continue
            if free:
                missing.append(model)
                continue
            request = requests.inference(target, target.wire, requests.minimal(target.wire, model.id))
            reply = await self.ask(request, seconds=self.options.timeout)
            answer = self.classified(request, reply)
            if answer.meaning == "bad_model":
                if not model.built_in:
                    self._missing(model, request, reply, answer.message)
                    raise _Stop
                missing.append(model)
            elif answer.meaning == "ok":
                self._count(sse.events(reply.body))
            else:
                unsure.append(model)
        retired = [(m, r) for m in target.models for r in [self._retired(m.id)] if r is not None]
        names = ", ".join(dict.fromkeys(m.id for m in target.models))
        own = [m for m in missing if not m.built_in]
        if own:
            self._missing(own[0], None, None, "")
        elif missing:
            self.add(
                "degraded",
                _("{client} asks for {model} by itself (tier {tier}), which the provider does not have.").format(
                    client="Claude Code", model=missing[0].id, tier=missing[0].tier
                ),
                _("Set a model for this tier: ANTHROPIC_DEFAULT_{tier}_MODEL, or run ccsetup init.").format(
                    tier=missing[0].tier.upper()
                ),
            )
        elif unsure:
            self.add("unknown", _("Whether {model} exists could not be found out.").format(model=unsure[0].id))
        else:
            details = [
                _("{model} is of an older generation; its successor is {successor}.").format(
                    model=m.id, successor=r.successor
                )
                for m, r in retired
            ]
            self.add("ok", names, details=details)

    async def _list(self) -> None:
        """Ask for the provider's list of models; nothing is said where there is none."""
        target = self.target
        wanted = []
        if target.region is not None and target.key is not None:
            allowed = _origins(target)
            for check in target.region.verify:
                if check.models and split(check.url)[0] in allowed:
                    wanted.append(requests.key_check(target, check, target.key))
        wanted.append(requests.models(target))
        for request in wanted:
            try:
                async with asyncio.timeout(ASK_SECONDS / 2):
                    reply = await self.http.request(request.method, request.url, request.headers, limit=MODELS_LIMIT)
            except (Fault, TimeoutError):
                continue
            if reply.status == 200 and not reply.cut:
                found = classify.model_ids(reply.body)
                if found:
                    self.listed = found
                    return

    def _retired(self, model: str) -> Optional[LegacyModel]:
        preset = self.target.preset
        return next((m for m in preset.legacy_models if m.id == model), None) if preset else None

    def _missing(self, model: TierModel, request: Optional[Request], reply: Optional[Reply], message: str) -> None:
        retired = self._retired(model.id)
        known = [*self.listed, *(m.id for m in self.target.preset.models)] if self.target.preset else list(self.listed)
        near = [n for n in classify.nearest(model.id, known) if n != model.id]
        if retired is not None:
            hint = _("It is retired; its successor is {successor}.").format(successor=retired.successor)
        elif near:
            hint = _("Names like it: {names}").format(names=", ".join(clean(n, self.secrets, 80) for n in near))
        elif self.listed:
            hint = _("The provider lists: {names}").format(
                names=", ".join(clean(n, self.secrets, 60) for n in self.listed[:8])
                + (" …" if len(self.listed) > 8 else "")
            )
        else:
            hint = _("Look up the name in the provider's list of models.")
        self.add(
            "model",
            _("The provider does not have the model {model} (tier {tier}).").format(model=model.id, tier=model.tier),
            hint,
            self.evidence(request.url, reply.status, message) if request and reply else None,
        )

    # Deep.

    def _count(self, found: list[sse.Event]) -> None:
        tokens_in, tokens_out = sse.usage(found)
        self.count(tokens_in, tokens_out)

    def count(self, tokens_in: int, tokens_out: int) -> None:
        used = Usage(self.usage.input_tokens + tokens_in, self.usage.output_tokens + tokens_out)
        cost, currency = requests.price(self.target, used.input_tokens, used.output_tokens)
        self.usage = used._replace(cost=cost, currency=currency)

    async def deep(self) -> None:
        from ccsetup.probe import deep

        self.begin("deep")
        self.estimate = deep.expected_cost(self.target)[0]
        await deep.run(self)


def _name(wire: str) -> str:
    return {"anthropic": "Anthropic Messages", "responses": "OpenAI Responses", "chat": "Chat Completions"}[wire]


def _origins(target: Target) -> set[str]:
    """Return the origins that the key may go to: the target's own, and a preset's when its own address is used."""
    own = split(target.base_url.strip())[0]
    out = {own}
    region = target.region
    if region is not None:
        bases = [getattr(region.claude, "base_url", ""), getattr(region.codex, "base_url", "")]
        if own in {split(b)[0] for b in bases if b}:
            out |= {split(c.url)[0] for c in region.verify}
    return out


def _portal(url: str, location: str, status: int) -> bool:
    """Tell whether a redirect leads to a page where a person logs in to the network."""
    import re
    from urllib.parse import urljoin

    there = urljoin(url, location)
    if status not in (302, 303, 307) or split(there)[0] == split(url)[0]:
        return False
    return bool(re.search(r"login|log-in|signin|portal|captive|hotspot|wifi|wlan|guest|auth", there, re.I))
