"""The layer ``key``: is the key good, does it belong here, and is anything left on the account?

A preset's free checks tell it without the endpoint; else the endpoint's own answer does.
"""

from __future__ import annotations

import asyncio
from typing import Optional

from ccsetup.i18n import _
from ccsetup.model import KeyCheck
from ccsetup.probe import classify, requests
from ccsetup.probe.classify import Answer
from ccsetup.probe.http import HttpReply, split
from ccsetup.probe.network import Fault
from ccsetup.probe.requests import ProbeRequest
from ccsetup.probe.steps import ASK_SECONDS, MODELS_LIMIT, Run, TargetStopped, leads_to_portal
from ccsetup.probe.verdict import Evidence, clean


async def preset_checks(run: Run) -> bool:
    """Ask the preset's free checks; return whether they settled the key's verdict."""
    target = run.target
    if target.key is None or target.region is None:
        return False
    text = target.key.reveal()
    allowed = run.origins()
    checks = [
        c
        for c in target.region.verify
        if (not c.prefixes or text.startswith(c.prefixes)) and split(c.url)[0] in allowed
    ]
    refused: Optional[tuple[classify.KeyAnswer, ProbeRequest, HttpReply]] = None
    for check in checks:
        if not check.proves:
            continue
        asked = await _one_check(run, check)
        if asked is None:
            continue
        found, request, reply = asked
        if found.models:
            run.listed = found.models
        if found.meaning == "valid":
            run.settle()
            balance = classify.number(found.balance)
            if balance is not None and balance <= 0:
                _no_quota(run, request, reply, found, found.balance)
            else:
                summary = _("The provider accepts the key.")
                if found.balance:
                    summary += " " + _("Balance: {balance}.").format(balance=found.balance)
                run.add("ok", summary, evidence=run.evidence(request.url, reply.status))
            return True
        if found.meaning == "no_quota":
            run.settle()
            _no_quota(run, request, reply, found, found.balance)
            return True
        if found.meaning == "forbidden":
            run.settle()
            run.add(
                "forbidden",
                _("The provider has blocked this key or its team."),
                _("Look at the key in the provider's console."),
                run.evidence(request.url, reply.status, found.message),
            )
            raise TargetStopped
        if found.meaning == "invalid" and refused is None:
            refused = asked
    if refused is None:
        return False
    found, request, reply = refused
    run.settle()
    _bad_key(run, request, reply, found.message)
    raise TargetStopped


async def _one_check(run: Run, check: KeyCheck) -> Optional[tuple[classify.KeyAnswer, ProbeRequest, HttpReply]]:
    """Return what a check says, or None where it says nothing: the endpoint itself is asked then."""
    assert run.target.key is not None
    request = requests.key_check(run.target, check, run.target.key)
    try:
        async with asyncio.timeout(ASK_SECONDS / 2):
            reply = await run.http.request(
                request.method, request.url, request.headers, limit=MODELS_LIMIT if check.models else 1 << 20
            )
    except (Fault, TimeoutError):
        return None
    found = classify.key_check(check, reply.status, reply.body)
    if found.meaning == "unknown" and reply.status != 200:
        answer = classify.answer(run.target.wire, reply.status, dict(reply.headers), reply.body, run.target.preset)
        if answer.meaning == "portal" or (
            answer.meaning == "redirect" and leads_to_portal(request.url, answer.location, reply.status)
        ):
            run.classified(request, reply)
    return found, request, reply


def judge(run: Run, answer: Answer, request: ProbeRequest, reply: HttpReply) -> bool:
    """Report the key by an answer of the endpoint itself; False when it does not tell."""
    evidence = run.evidence(request.url, reply.status, answer.message)
    stop_if_refused(run, answer, request, reply)
    if answer.meaning in ("ok", "bad_model", "bad_request"):
        if not run.target.credentials:
            run.add("ok", _("No key is needed."), evidence=evidence)
        else:
            run.add("ok", _("The endpoint accepts the key."), evidence=evidence)
        return True
    return False


def stop_if_refused(run: Run, answer: Answer, request: ProbeRequest, reply: HttpReply) -> None:
    """Report an answer that refuses the key or the account, and raise TargetStopped."""
    evidence = run.evidence(request.url, reply.status, answer.message)
    if answer.meaning in ("bad_key", "wrong_region"):
        _bad_key(run, request, reply, answer.message, region=answer.meaning == "wrong_region")
    elif answer.meaning in ("no_quota", "rate"):
        _quota(run, answer, reply, evidence)
    elif answer.meaning == "forbidden":
        _forbidden(run, answer, evidence)
    else:
        return
    raise TargetStopped


def _no_quota(run: Run, request: ProbeRequest, reply: HttpReply, found: classify.KeyAnswer, balance: str) -> None:
    summary = _("The key is good, but nothing is left on the account.")
    if balance:
        summary += " " + _("Balance: {balance}.").format(balance=balance)
    run.add("quota", summary, _pay_hint(run), run.evidence(request.url, reply.status, found.message))


def _pay_hint(run: Run) -> str:
    region = run.target.region
    site = run.target.preset.website if run.target.preset else ""
    where = (region.key_url if region else "") or site
    text = _("Add credit or wait for the plan to renew.")
    return f"{text} {where}" if where else text


def _bad_key(run: Run, request: ProbeRequest, reply: HttpReply, message: str, *, region: bool = False) -> None:
    from ccsetup import keys

    target = run.target
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
    stranger = _stranger(run)
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
        summary = _("The provider refuses the key, which begins as keys of {provider} do.").format(provider=stranger)
        tried = _("Is it a key of {provider}? Try: ccsetup test -p {provider} -k -").format(provider=stranger)
        hint = f"{tried} {hint}"
    if any(c.source.startswith("shell") for c in target.credentials):
        hint += " " + _("It comes from the shell.")
    run.add("key", summary, hint, run.evidence(request.url, reply.status, message))


def _stranger(run: Run) -> str:
    """Return the id of the provider whose keys begin as this one does, where that is not the one tested."""
    from ccsetup import presets

    key = run.target.key.reveal() if run.target.key is not None else ""
    own = run.target.preset
    if own is not None and any(key.startswith(f.prefix) for f in own.key_families):
        return ""
    found = next((name for name, family in presets.key_families() if key.startswith(family.prefix)), "")
    return "" if own is not None and found == own.id else found


def _quota(run: Run, answer: Answer, reply: HttpReply, evidence: Evidence) -> None:
    if answer.meaning == "no_quota":
        run.add("quota", _("The key is good, but nothing is left on the account."), _pay_hint(run), evidence)
        return
    after = clean(reply.header("retry-after"), limit=40)
    run.add(
        "quota",
        _("Too many requests: the provider's rate limit is reached."),
        _("Try again in {seconds} seconds.").format(seconds=after) if after.isdigit() else _("Try again later."),
        evidence,
    )


def _forbidden(run: Run, answer: Answer, evidence: Evidence) -> None:
    hint = _("Look at the rights of the key, the plan, and whether the provider serves your country.")
    if answer.dialect == "html":
        hint = _("A firewall in front of the provider refuses this machine's address; try without a VPN or proxy.")
    run.add("forbidden", _("The provider understood the key and refuses the request."), hint, evidence)
