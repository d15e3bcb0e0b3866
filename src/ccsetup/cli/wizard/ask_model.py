"""The model, and its context window: the preset's advice, the provider's own list, or an id that is typed."""

from __future__ import annotations

import re
from typing import Mapping, Optional, Sequence

from ccsetup import profiles
from ccsetup.cli.wizard.answers import (
    TYPE,
    Answers,
    AskText,
    Choose,
    Settled,
    Step,
    WizardFacts,
    clients_of,
    name_of,
    own_url,
    preset_of,
    region_of,
)
from ccsetup.cli.wizard.prompts import Option, sentences
from ccsetup.clients import CLIENTS
from ccsetup.errors import CcsetupError
from ccsetup.i18n import _
from ccsetup.model import ClaudeEndpoint, ClientName, CodexEndpoint, Model, Preset, Region

LIVE = "\0live"


def ask_model(facts: WizardFacts, answers: Answers) -> Step:
    if answers.field("primaryModel") or "model" in answers.settled:
        return None
    preset = preset_of(facts, answers)
    region = region_of(facts, answers)
    wanted = clients_of(facts, answers)
    name = name_of(facts, answers)
    saved = facts.profiles.get(name)
    mine = [saved.parts[c] for c in wanted if c in saved.parts] if saved else []
    if mine and not answers.field("provider") and all(p.primary_model for p in mine):
        return Settled(answers.put("model"))
    advice = _recommended(facts, answers)
    complete = all(c in advice for c in wanted)

    def choose(value: str) -> Answers:
        if value in (TYPE, LIVE):
            return answers.put("model-type" if value == TYPE else "model-live")
        return answers.put("model", primaryModel=value)

    if "model-type" in answers.settled:

        def check(value: str) -> str:
            if not value:
                return _("A model is needed.")
            return profiles.model_problem(value)

        before = next((p.primary_model for p in saved.parts.values() if p.primary_model), "") if saved else ""
        return AskText("model-type", _("Model id"), choose, before, check=check)
    if "model-live" in answers.settled:
        return _live(facts, answers, preset, region)
    options = []
    if complete:
        detail = _advice_detail(preset, region, advice) if preset.id != "custom" else ""
        options.append(Option("", _advice(region, advice), detail))
    advised = set(advice.values())
    for model in preset.served(region.id):
        if advised != {model.id}:
            options.append(Option(model.id, model.id, _describe(model)))
    if _can_list(preset, region, answers, wanted):
        options.append(Option(LIVE, _("Ask the provider for its models")))
    options.append(Option(TYPE, _("Type a model id")))
    if preset.id == "custom" and complete:
        options.append(options.pop(0))  # right only where the endpoint serves the client's own models
    return Choose("model", _("Model"), options, choose, options[0].value)


def _live(facts: WizardFacts, answers: Answers, preset: Preset, region: Region) -> Step:
    try:
        found = facts.live_models(preset, region, answers)
    except CcsetupError as e:
        return Settled(answers.open("model-live").put("model-type"), sentences(e.message, e.hint), warning=True)
    if not found:
        text = _("The provider names no models.")
        return Settled(answers.open("model-live").put("model-type"), text, warning=True)
    known = {m.id: m for m in preset.models}
    by_id = {m.id: m for m in found}

    def choose(value: str) -> Answers:
        if value == TYPE:
            return answers.open("model-live").put("model-type")
        window = by_id[value].context if value not in known else None
        return answers.put("model", primaryModel=value, contextWindow=answers.fields.get("contextWindow") or window)

    options = [Option(m.id, m.id, _describe(m if m.context else known.get(m.id, m))) for m in found]
    advice = next(iter(_recommended(facts, answers).values()), "")
    default = advice if advice in by_id else ""
    return Choose(
        "model-live",
        _("Model ({n} at the provider)").format(n=len(found)),
        [*options, Option(TYPE, _("Type a model id"))],
        choose,
        default,
        search=True,
    )


def ask_context(facts: WizardFacts, answers: Answers) -> Step:
    """Ask for the window of a model that nobody described: a client that guesses too high fails in long sessions."""
    model = answers.field("primaryModel")
    if not model or answers.fields.get("contextWindow") or "context" in answers.settled:
        return None
    preset = preset_of(facts, answers)
    known = preset.model(model)
    own = re.match(r"(?:anthropic/)?claude-", model) and all(
        CLIENTS[c].wire == "anthropic" for c in clients_of(facts, answers)
    )
    if (known and known.context) or own or model in _recommended(facts, answers).values():
        return None

    def check(value: str) -> str:
        if re.fullmatch(r"\d{4,8}", value.strip()):
            return ""
        return _("A whole number of tokens, at least 1000.")

    def apply(value: str) -> Answers:
        tokens = int(value)
        return answers.put("context", contextWindow=None if tokens == profiles.UNKNOWN_CONTEXT else tokens)

    message = _("Context window of {model}, in tokens").format(model=model)
    return AskText("context", message, apply, str(profiles.UNKNOWN_CONTEXT), check=check)


def _recommended(facts: WizardFacts, answers: Answers) -> dict[ClientName, str]:
    """Return the model that each client gets when nothing is chosen; a client without one is left out."""
    region = region_of(facts, answers)
    out: dict[ClientName, str] = {}
    for client in clients_of(facts, answers):
        found = CLIENTS[client].offered(region)
        if isinstance(found, ClaudeEndpoint):
            if found.models:
                out[client] = found.models.primary
            elif found.native_models:
                out[client] = ""
        elif isinstance(found, CodexEndpoint) and found.model:
            out[client] = found.model
        if client not in out and answers.via_relay:
            model = _of_the_other(region, client)
            out.update({client: model} if model else {})
    return out


def _of_the_other(region: Region, client: ClientName) -> str:
    """Return the model that the other client would get there; "" where none is known."""
    for found in (CLIENTS[c].offered(region) for c in CLIENTS if c != client):
        if isinstance(found, ClaudeEndpoint) and found.models:
            return found.models.primary
        if isinstance(found, CodexEndpoint) and found.model:
            return found.model
    return ""


def _describe(model: Optional[Model]) -> str:
    """Return what a person chooses a model by: the window, and the price for a million tokens in and out."""
    if model is None:
        return ""
    parts = []
    if model.context:
        parts.append(_("{tokens} tokens").format(tokens=_short(model.context)))
    if model.price_in is not None and model.price_out is not None:
        sign = {"USD": "$", "CNY": "¥"}.get(model.currency, model.currency + " ")
        price = f"{sign}{model.price_in:g}/{model.price_out:g}"
        parts.append(_("{price} per million").format(price=price))
    return _(", ").join(parts)


def _short(tokens: int) -> str:
    """Return a window as the vendors write it: 262144 is 256k, 1048576 and 1000000 are 1M."""
    if tokens >= 1_000_000:
        return f"{tokens / 1_000_000:.1f}".removesuffix(".0") + "M"
    return f"{tokens // 1024 if tokens % 1024 == 0 else round(tokens / 1000)}k"


def _advice(region: Region, advice: Mapping[ClientName, str]) -> str:
    ids = list(dict.fromkeys(advice.values()))
    if ids == [""]:
        return _("The client's own choice")
    if len(ids) == 1:
        return ids[0]
    return ", ".join(f"{CLIENTS[c].title}: {m or _('its own')}" for c, m in advice.items())


def _advice_detail(preset: Preset, region: Region, advice: Mapping[ClientName, str]) -> str:
    ids = list(dict.fromkeys(advice.values()))
    parts = [_("recommended")]
    if len(ids) == 1:
        parts.append(_describe(preset.model(ids[0])))
    tiers = region.claude.models if isinstance(region.claude, ClaudeEndpoint) else None
    if tiers and any(CLIENTS[c].wire == "anthropic" for c in advice) and tiers.haiku != tiers.primary:
        parts.append(_("small tasks: {model}").format(model=tiers.haiku))
    return _(", ").join(p for p in parts if p)


def _can_list(preset: Preset, region: Region, answers: Answers, wanted: Sequence[ClientName]) -> bool:
    key = answers.options.secret is not None or not preset.key_required
    listed = any(c.models for c in region.verify)
    urls = any(own_url(answers, c) for c in wanted) or (listed and preset.id != "custom")
    return key and bool(urls)
