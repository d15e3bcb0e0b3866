"""The layer ``model``: does the provider have the models that the client asks for?"""

from __future__ import annotations

import asyncio
from typing import Optional

from ccsetup.i18n import _
from ccsetup.model import LegacyModel
from ccsetup.probe import classify, requests, sse
from ccsetup.probe.http import HttpReply, split
from ccsetup.probe.network import Fault
from ccsetup.probe.requests import ProbeRequest
from ccsetup.probe.steps import ASK_SECONDS, MODELS_LIMIT, Run, TargetStopped
from ccsetup.probe.target import TierModel
from ccsetup.probe.verdict import clean


async def check(run: Run, *, free: bool = False) -> None:
    """Ask for each model that is not in the provider's list; with *free* the list alone is asked."""
    run.begin("model")
    target = run.target
    if not target.models:
        run.add("unknown", _("No model is configured: the client chooses its own."))
        return
    if run.main_answer is not None:
        answer, request, reply = run.main_answer
        if answer.meaning == "bad_model":
            if not run.listed:
                await _list(run)
            _missing(run, target.models[0], request, reply, answer.message)
            raise TargetStopped
    if not run.listed and not free and len({m.id for m in target.models}) > 1:
        await _list(run)
    missing: list[TierModel] = []
    unsure: list[TierModel] = []
    seen: dict[str, bool] = {}
    for number, model in enumerate(target.models):
        if number == 0 and run.main_answer is not None:
            seen[model.id] = True
            continue
        if model.id in seen:
            continue
        seen[model.id] = True
        if any(classify.same_model(model.id, known) for known in run.listed):
            continue
        if free:
            missing.append(model)
            continue
        request = requests.inference(target, target.wire, requests.minimal(target.wire, model.id))
        reply = await run.ask(request, seconds=run.options.timeout)
        answer = run.classified(request, reply)
        if answer.meaning == "bad_model":
            if not model.built_in:
                _missing(run, model, request, reply, answer.message)
                raise TargetStopped
            missing.append(model)
        elif answer.meaning == "ok":
            run.count(*sse.usage(sse.events(reply.body)))
        else:
            unsure.append(model)
    _report(run, missing, unsure)


def _report(run: Run, missing: list[TierModel], unsure: list[TierModel]) -> None:
    target = run.target
    retired = [(m, r) for m in target.models for r in [_retired(run, m.id)] if r is not None]
    names = ", ".join(dict.fromkeys(m.id for m in target.models))
    own = [m for m in missing if not m.built_in]
    if own:
        _missing(run, own[0], None, None, "")
    elif missing:
        run.add(
            "degraded",
            _("{client} asks for {model} by itself (tier {tier}), which the provider does not have.").format(
                client="Claude Code", model=missing[0].id, tier=missing[0].tier
            ),
            _("Set a model for this tier: ANTHROPIC_DEFAULT_{tier}_MODEL, or run ccsetup init.").format(
                tier=missing[0].tier.upper()
            ),
        )
    elif unsure:
        run.add("unknown", _("Whether {model} exists could not be found out.").format(model=unsure[0].id))
    else:
        details = [
            _("{model} is of an older generation; its successor is {successor}.").format(
                model=m.id, successor=r.successor
            )
            for m, r in retired
        ]
        run.add("ok", names, details=details)


async def _list(run: Run) -> None:
    """Ask for the provider's list of models; nothing is said where there is none."""
    target = run.target
    wanted = []
    if target.region is not None and target.key is not None:
        allowed = run.origins()
        for check in target.region.verify:
            if check.models and split(check.url)[0] in allowed:
                wanted.append(requests.key_check(target, check, target.key))
    wanted.append(requests.models(target))
    for request in wanted:
        try:
            async with asyncio.timeout(ASK_SECONDS / 2):
                reply = await run.http.request(request.method, request.url, request.headers, limit=MODELS_LIMIT)
        except (Fault, TimeoutError):
            continue
        if reply.status == 200 and not reply.cut:
            found = classify.model_ids(reply.body)
            if found:
                run.listed = found
                return


def _retired(run: Run, model: str) -> Optional[LegacyModel]:
    preset = run.target.preset
    return next((m for m in preset.legacy_models if m.id == model), None) if preset else None


def _missing(
    run: Run, model: TierModel, request: Optional[ProbeRequest], reply: Optional[HttpReply], message: str
) -> None:
    retired = _retired(run, model.id)
    known = [*run.listed, *(m.id for m in run.target.preset.models)] if run.target.preset else list(run.listed)
    near = [n for n in classify.nearest(model.id, known) if n != model.id]
    if retired is not None:
        hint = _("It is retired; its successor is {successor}.").format(successor=retired.successor)
    elif near:
        hint = _("Names like it: {names}").format(names=", ".join(clean(n, run.secrets, 80) for n in near))
    elif run.listed:
        hint = _("The provider lists: {names}").format(
            names=", ".join(clean(n, run.secrets, 60) for n in run.listed[:8]) + (" …" if len(run.listed) > 8 else "")
        )
    else:
        hint = _("Look up the name in the provider's list of models.")
    run.add(
        "model",
        _("The provider does not have the model {model} (tier {tier}).").format(model=model.id, tier=model.tier),
        hint,
        run.evidence(request.url, reply.status, message) if request and reply else None,
    )
