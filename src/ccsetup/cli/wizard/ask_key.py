"""The key, and the site or plan that it belongs to: found on this machine, kept, or pasted."""

from __future__ import annotations

from typing import Sequence

from ccsetup import keys, presets, urls
from ccsetup.change.merge import key_problem
from ccsetup.cli.wizard import found as find
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
    refusal,
    region_of,
)
from ccsetup.cli.wizard.found import FoundKey, tail
from ccsetup.cli.wizard.prompts import Option, sentences
from ccsetup.clients import CLIENTS
from ccsetup.errors import CcsetupError, UsageError
from ccsetup.i18n import _
from ccsetup.model import Secret
from ccsetup.profiles import Part, Profile

KEEP = "\0keep"


def key_or_region(facts: WizardFacts, answers: Answers) -> Step:
    """Ask for the key, and before it for the region, unless the key tells the region."""
    if _key_known(facts, answers):
        return None
    preset = preset_of(facts, answers)
    if not preset.key_required:
        return Settled(answers.put("key"))
    name = name_of(facts, answers)
    saved = facts.profiles.get(name)
    here = _candidates(facts, answers)
    telling = any(f.region for f in preset.key_families) or any(r for _k, r in here)
    if not telling:
        step = ask_region(facts, answers)
        if step is not None:
            return step
    keep = saved is not None and facts.has_key(name) and _same_hosts(facts, answers, saved)
    here = [(k, r) for k, r in here if not (keep and k.place.split(", ")[0] == _("profile '{name}'").format(name=name))]
    if (here or keep) and "key-from" not in answers.settled:
        return _key_from(facts, answers, here, keep)
    region = region_of(facts, answers) if "region" in answers.settled or answers.field("region") else None
    site = region.key_url if region else ""
    if not site and preset.regions[0].key_url and len({r.key_url for r in preset.regions}) == 1:
        site = preset.regions[0].key_url
    note = _("What you paste is not shown. Get a key at {url}").format(url=site) if site else ""

    def apply(value: str) -> Answers:
        said: list[str] = []
        secret = keys.clean(value, _("the terminal"), said.append)
        options = answers.options._replace(secret=secret)
        return answers._replace(options=options, key_variable="", said="".join(said)).put("key")

    def check(value: str) -> str:
        try:
            key = keys.clean(value, _("the terminal"))
        except CcsetupError as e:
            return sentences(e.message, e.hint)
        return _problem(facts, answers, key) if keys.stand_in(key.reveal()) else ""

    return AskText(
        "key", _("Key for {provider}").format(provider=preset.name), apply, "", note, check=check, secret=True
    )


def ask_region(facts: WizardFacts, answers: Answers) -> Step:
    preset = preset_of(facts, answers)
    if answers.field("region") or "region" in answers.settled or not answers.field("provider"):
        return None
    wanted = clients_of(facts, answers)
    options, direct = [], []
    for region in preset.regions:
        reasons = [refusal(region, c) for c in wanted if refusal(region, c) and not own_url(answers, c)]
        if reasons and presets.has_address(region):
            what = region.name if answers.via_relay else f"[{_('by the relay')}] {region.name}"
            options.append(Option(region.id, region.id, what))
        else:
            options.append(Option(region.id, region.id, region.name, disabled=reasons[0] if reasons else ""))
            direct += [region.id] if not reasons else []
    able = [o for o in options if not o.disabled]
    if not able:
        lacking = next(c for c in wanted if all(refusal(r, c) for r in preset.regions))
        raise UsageError(
            _("{provider} has no endpoint that {client} can speak to: {reason}").format(
                provider=preset.name, client=CLIENTS[lacking].title, reason=refusal(preset.regions[0], lacking)
            )
        )
    if len(able) == 1:
        return Settled(answers.put("region", region=able[0].value if len(preset.regions) > 1 else ""))
    saved = facts.profiles.get(name_of(facts, answers))
    default = saved.region if saved and saved.provider == preset.id else [*direct, able[0].value][0]
    return Choose(
        "region",
        _("Which site or plan of {provider}?").format(provider=preset.name),
        options,
        lambda value: answers.put("region", region=value),
        default,
    )


def ask_family(facts: WizardFacts, answers: Answers) -> Step:
    """Ask about a key that looks like another provider's, or another region's."""
    key = answers.options.secret
    preset = preset_of(facts, answers)
    if key is None or "family" in answers.settled or preset.id == "custom" or not preset.key_required:
        return None
    owner, family = keys.owner(key, preset, facts.families)
    if family is None:
        return None
    options = [Option("again", _("Enter another key")), Option("keep", _("Use it all the same"))]
    if owner == preset.id:
        region = answers.field("region")
        if not family.region or family.region == region:
            return None
        other = preset.region(family.region)
        if other is None:
            return None
        if not region:
            if any(refusal(other, c) for c in clients_of(facts, answers)) and not presets.has_address(other):
                return None
            text = _("A {family} works at one site only: {region}.").format(family=family.name, region=other.name)
            return Settled(answers.put("region", region=other.id), text)
        here = preset.region(region)
        options.insert(0, Option("change", _("Use {name}").format(name=other.name)))
        message = _("This looks like a {family}, which does not work at {region}.").format(
            family=family.name, region=here.name if here else region
        )
    else:
        message = _problem(facts, answers, key)
        if not message:
            return None
        title = next((s.name for s in facts.seen.summaries if s.id == owner), owner)
        if owner:
            options.insert(0, Option("change", _("Set up {name} instead").format(name=title)))

    def apply(value: str) -> Answers:
        if value == "again":
            new = answers._replace(options=answers.options._replace(secret=None), key_variable="")
            return new.open("key").put("key-from")
        if value == "keep":
            return answers._replace(options=answers.options._replace(force_key=True)).put("family")
        if owner == preset.id:
            return answers.put("family", region=family.region)
        new = answers.open("name", "new-name", "region", "model", "key-from")._replace(via_relay=False)
        return new.put("family", provider=owner, region=family.region, name="")

    return Choose("family", message, options, apply, options[0].value)


def _key_known(facts: WizardFacts, answers: Answers) -> bool:
    given = answers.options.secret or answers.options.key_command or answers.options.storage == "env"
    said = any(answers.fields.get(f) for f in ("key", "keyEnv", "keyFile", "keyCommand"))
    return bool(given) or said or "key" in answers.settled


def _candidates(facts: WizardFacts, answers: Answers) -> list[tuple[FoundKey, str]]:
    """Return the keys found on this machine that belong to the provider, and to the addresses that are known."""
    preset = preset_of(facts, answers)
    if preset.id == "custom":
        hosts = {urls.origin(own_url(answers, c)) for c in CLIENTS if own_url(answers, c)}
        fits = [(k, "") for k in facts.seen.keys if k.url and {urls.origin(k.url)} == hosts]
        return list({k.key: (k, r) for k, r in fits}.values())
    if any(own_url(answers, c) for c in CLIENTS):
        return []  # a preset with an address of the person's own: no found key is known to belong there
    region = answers.field("region")
    return [
        (k, r) for k, r in find.fitting(facts.seen.keys, preset, facts.environ) if not region or not r or r == region
    ]


def _same_hosts(facts: WizardFacts, answers: Answers, saved: Profile) -> bool:
    """Tell whether the key of *saved* would go where it goes now."""
    preset = preset_of(facts, answers)
    if saved.provider != preset.id:
        return False
    mine = {urls.origin(own_url(answers, c)) for c in CLIENTS if own_url(answers, c)}
    before = {urls.origin(p.url) for p in saved.parts.values() if p.url}
    return mine <= before


def _key_from(facts: WizardFacts, answers: Answers, here: Sequence[tuple[FoundKey, str]], keep: bool) -> Choose:
    preset = preset_of(facts, answers)
    options = []
    if keep:
        options.append(Option(KEEP, _("Keep the saved key")))
    for i, (one, region) in enumerate(here):
        family = keys.family(one.key, preset)
        kind = family.name if family else ""
        label = _("Use {tail} from {place}").format(tail=tail(one.key), place=one.place)
        options.append(Option(str(i), label, ", ".join(t for t in (kind, region) if t)))
    options.append(Option(TYPE, _("Paste another key") if options else _("Paste a key")))

    def apply(value: str) -> Answers:
        if value == TYPE:
            return answers.put("key-from")
        if value == KEEP:
            saved = facts.profiles[name_of(facts, answers)]
            return answers.put("key", region=answers.field("region") or saved.region)
        one, region = here[int(value)]
        new = answers._replace(options=answers.options._replace(secret=one.key), key_variable="")
        if one.place.startswith("$") and one.variable:
            new = new._replace(key_variable=one.variable)
        return new.put("key", region=answers.field("region") or region)

    return Choose("key-from", _("Key for {provider}").format(provider=preset.name), options, apply)


def _problem(facts: WizardFacts, answers: Answers, key: Secret) -> str:
    parts = {c: Part(url=own_url(answers, c)) for c in clients_of(facts, answers)}
    return key_problem(preset_of(facts, answers), parts, key)[0]
