"""What is asked, in which order: a pure function from what is known to the next question.

No question reads or writes anything: *Facts* brings what was seen, and the network only through ``live_models``.
Going back means taking an earlier *Answers* again, so no question has to know how to be undone.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Mapping, NamedTuple, Optional, Sequence, Union

from ccsetup import i18n, keys, merge, presets, profiles, urls
from ccsetup.cli import list_
from ccsetup.cli.wizard import found as find
from ccsetup.cli.wizard.found import Found, tail
from ccsetup.cli.wizard.look import Seen
from ccsetup.cli.wizard.prompts import Option, sentences
from ccsetup.clients import CLIENTS
from ccsetup.entries import Options, clients_named
from ccsetup.errors import CcsetupError, UsageError
from ccsetup.i18n import _
from ccsetup.model import (
    CLIENT_NAMES,
    ClaudeEndpoint,
    ClientName,
    CodexEndpoint,
    KeyFamily,
    Model,
    Preset,
    Region,
    Secret,
    Unsupported,
)
from ccsetup.profiles import Profile

TYPE = "\0type"
LIVE = "\0live"
KEEP = "\0keep"


class Facts(NamedTuple):
    """What the questions depend on besides the answers."""

    seen: Seen
    preset: Callable[[str], Preset]
    profiles: Mapping[str, Profile]
    environ: Mapping[str, str]
    families: Sequence[tuple[str, KeyFamily]]
    """(preset id, family) of every built-in preset, longest prefix first."""
    has_key: Callable[[str], bool]
    """Whether the saved profile of that name has a key."""
    keyring: Callable[[], bool]
    """Whether a keyring can be used; asks it, so call it late."""
    live_models: Callable[[Preset, Region, Answers], list[Model]]
    """Asks the provider, with the key; raises CcsetupError."""
    relay_problem: Callable[[], str]
    """What has to be installed before the relay can run, in sentences, or ""."""


class Answers(NamedTuple):
    """What is known so far: the fields of an entry of ``init``, its options, and which questions are settled."""

    fields: Mapping[str, Any]
    options: Options
    repair: bool
    settled: frozenset[str] = frozenset()
    key_variable: str = ""
    """The variable that the key was taken from."""
    via_relay: bool = False
    """The clients reach the provider through the relay."""

    def field(self, name: str) -> str:
        value = self.fields.get(name, "")
        return value if isinstance(value, str) else ""

    def put(self, question: str, **fields: Any) -> Answers:
        """Return the answers with *fields* set ("" and None: taken away) and *question* settled."""
        new = {**self.fields, **fields}
        return self._replace(
            fields={k: v for k, v in new.items() if v not in ("", None)}, settled=self.settled | {question}
        )

    def open(self, *questions: str) -> Answers:
        return self._replace(settled=self.settled - set(questions))


class Choose(NamedTuple):
    """A question with a list."""

    id: str
    message: str
    options: Sequence[Option]
    apply: Callable[[str], Answers]
    default: str = ""
    search: bool = False
    note: str = ""


class Ask(NamedTuple):
    """A question with a field."""

    id: str
    message: str
    apply: Callable[[str], Answers]
    default: str = ""
    note: str = ""
    check: Optional[Callable[[str], str]] = None
    secret: bool = False


class Settled(NamedTuple):
    """No question: what is known decides it.  *text* tells the person, when it is not plain to see."""

    answers: Answers
    text: str = ""
    warning: bool = False


Step = Union[Choose, Ask, Settled, None]


def next_step(facts: Facts, answers: Answers) -> Step:
    """Return the next thing to ask or to settle; None when everything is known."""
    for step in (
        _clients, _provider, _name, _relay, _urls, _auth, _key_or_region, _family, _region, _model, _context, _storage,
        _repair,
    ):  # fmt: skip
        found = step(facts, answers)
        if found is not None:
            return found
    return None


# What is known.


def clients_of(facts: Facts, answers: Answers) -> list[ClientName]:
    given = list(answers.options.clients) or clients_named(answers.fields.get("codeType"))
    if given:
        return given
    saved = facts.profiles.get(answers.field("name"))
    return list(saved.parts) if saved and not answers.field("provider") else []


def preset_of(facts: Facts, answers: Answers) -> Preset:
    saved = facts.profiles.get(answers.field("name"))
    if not answers.field("provider") and saved:
        return facts.preset(saved.provider)
    return facts.preset(answers.field("provider"))


def name_of(facts: Facts, answers: Answers) -> str:
    return answers.field("name") or preset_of(facts, answers).id


def region_of(facts: Facts, answers: Answers) -> Region:
    preset = preset_of(facts, answers)
    saved = facts.profiles.get(answers.field("name"))
    known = answers.field("region")
    if not known and not answers.field("provider") and saved:
        known = saved.region
    return preset.region(known) or preset.regions[0]


def endpoint(region: Region, client: ClientName) -> Union[ClaudeEndpoint, CodexEndpoint, Unsupported]:
    return region.claude if client == "claude-code" else region.codex


def refusal(region: Region, client: ClientName) -> str:
    """Return why *client* cannot use *region*, or ""."""
    found = endpoint(region, client)
    if isinstance(found, Unsupported):
        return found.reason or _("it is not served")
    if isinstance(found, CodexEndpoint) and found.wire != "responses":
        return found.reason or _("it speaks Chat Completions only")
    return ""


def own_url(answers: Answers, client: ClientName) -> str:
    return answers.field("claudeUrl" if client == "claude-code" else "codexUrl") or answers.field("url")


# The questions.


def _clients(facts: Facts, answers: Answers) -> Step:
    if clients_of(facts, answers):
        return None
    here = [c.name for c in facts.seen.clients if c.version is not None]
    options = []
    for client in facts.seen.clients:
        version = ".".join(map(str, client.version)) if client.version else _("not installed")
        reason = _("its settings cannot be read, see above") if client.broken else ""
        options.append(Option(client.name, CLIENTS[client.name].TITLE, version, disabled=reason))
    broken = [c for c in facts.seen.clients if c.broken]
    if len(broken) == len(facts.seen.clients):
        raise CcsetupError(broken[0].broken)
    options.append(Option("all", _("Both"), _("one key for both"), disabled=options[0].disabled or options[1].disabled))

    def apply(value: str) -> Answers:
        return answers._replace(options=answers.options._replace(clients=clients_named([value])))

    default = here[0] if len(here) == 1 else "all" if here else CLIENT_NAMES[0]
    if broken:
        default = next(c.name for c in facts.seen.clients if not c.broken)
    return Choose("clients", _("Which client is to use the provider?"), options, apply, default)


def _provider(facts: Facts, answers: Answers) -> Step:
    if answers.field("provider") or answers.field("name") in facts.profiles:
        return None
    wanted = clients_of(facts, answers)
    if any(own_url(answers, c) for c in CLIENT_NAMES):
        return Settled(answers.put("provider", provider="custom"))
    able, relayed, unable = [], [], []
    order = {p: i for i, p in enumerate(facts.seen.providers)}
    for summary in sorted(facts.seen.summaries, key=lambda s: order.get(s.id, len(order))):
        what = summary.description.get(i18n.language) or summary.description.get("en", "") or summary.name
        serves = list_.serves(summary.clients, summary.by_relay).ljust(13) if len(wanted) == 1 else ""
        if summary.id in order:
            what = f"[{facts.seen.providers[summary.id]}] {what}"
        if all(c in summary.clients for c in wanted):
            able.append(Option(summary.id, summary.id, serves + what))
        elif all(c in (*summary.clients, *summary.by_relay) for c in wanted):
            relayed.append(Option(summary.id, summary.id, f"{serves}[{_('by the relay')}] {what}"))
        else:
            lacking = [CLIENTS[c].TITLE for c in wanted if c not in summary.clients]
            reason = _("not for {clients}").format(clients=", ".join(lacking))
            unable.append(Option(summary.id, summary.id, what, disabled=reason))
    if not able and not relayed:
        raise UsageError(_("No provider serves these clients."))
    return Choose(
        "provider",
        _("Provider"),
        # Whoever finds nothing in it looks at the end of a list.
        [*sorted([*able, *relayed], key=lambda option: option.value == "custom"), *unable],
        lambda value: answers.put("provider", provider=value),
        next(iter(facts.seen.providers), ""),
        search=True,
    )


def _name(facts: Facts, answers: Answers) -> Step:
    """Ask what to do with a profile of that name that is there already."""
    preset = preset_of(facts, answers)
    if answers.field("name") or "name" in answers.settled or preset.id not in facts.profiles:
        return None
    if "new-name" in answers.settled:
        taken = set(facts.profiles)
        free = next(f"{preset.id}-{n}" for n in range(2, 999) if f"{preset.id}-{n}" not in taken)

        def check(value: str) -> str:
            try:
                profiles.check_name(value)
            except CcsetupError as e:
                return e.message
            return _("There is a profile of that name already.") if value in taken else ""

        return Ask("new-name", _("Name of the new profile"), lambda v: answers.put("name", name=v), free, check=check)
    old = facts.profiles[preset.id]
    parts = ", ".join(CLIENTS[c].TITLE for c in CLIENT_NAMES if c in old.parts)
    what = ", ".join(t for t in (old.region, parts) if t)
    options = [
        Option("change", _("Change profile '{name}'").format(name=old.name), what),
        Option("new", _("Save another profile"), _("both can be switched to")),
    ]

    def apply(value: str) -> Answers:
        return answers.put("name" if value == "change" else "new-name")

    return Choose("name", _("'{name}' is saved already.").format(name=old.name), options, apply, "change")


def _relay(facts: Facts, answers: Answers) -> Step:
    """Offer the relay where a client cannot speak to the provider itself."""
    preset = preset_of(facts, answers)
    known = answers.field("region") or len(preset.regions) == 1
    regions = [region_of(facts, answers)] if known else preset.regions
    wanted = clients_of(facts, answers)
    lacking = [c for c in wanted if not own_url(answers, c) and all(refusal(r, c) for r in regions)]
    if answers.via_relay or not lacking or not any(map(presets.has_address, regions)):
        return None
    able: list[ClientName] = [c for c in wanted if c not in lacking]
    problem = facts.relay_problem()
    options = [Option("relay", _("Yes"), disabled=_("not installed") if problem else "")]
    if able:
        options.append(Option("only", _("No, set up {clients} only").format(clients=_titles(able))))
    options.append(Option("other", _("No, choose another provider")))

    def apply(value: str) -> Answers:
        if value == "relay":
            return answers._replace(via_relay=True)
        if value == "only":
            return answers._replace(options=answers.options._replace(clients=able))
        # The key, too: it is this provider's.
        new = answers.open("name", "new-name", "key", "key-from", "family", "region", "model", "storage")
        kept = {k: v for k, v in new.fields.items() if k not in ("provider", "name", "region")}
        options = new.options._replace(secret=None, key_command="", storage="", storage_env="")
        return new._replace(fields=kept, options=options, key_variable="")

    why = _("{clients} cannot speak to {provider} directly. The relay can translate: ccsetup runs it on this machine.")
    note = why.format(clients=_(" and ").join(CLIENTS[c].TITLE for c in lacking), provider=preset.name)
    default = "relay" if not problem else options[1].value
    return Choose("relay", _("Use the relay?"), options, apply, default, note=sentences(note, problem))


def _urls(facts: Facts, answers: Answers) -> Step:
    region = region_of(facts, answers)
    wanted = clients_of(facts, answers)
    saved = facts.profiles.get(name_of(facts, answers))
    for client in wanted:
        found = endpoint(region, client)
        before = saved.parts[client].url if saved and client in saved.parts else ""
        if own_url(answers, client) or isinstance(found, Unsupported) or found.base_url:
            continue
        if before and not answers.field("provider"):
            continue
        field = "url" if len(wanted) == 1 else "claudeUrl" if client == "claude-code" else "codexUrl"
        default = before
        if not default and client == "codex" and answers.field("claudeUrl"):
            default = profiles.claude_url(answers.field("claudeUrl")) + "/v1"
        note = (
            _("The address before /v1/messages, for example https://host/api/anthropic")
            if client == "claude-code"
            else _("The address before /responses, for example https://host/v1")
        )

        def check(value: str, client: ClientName = client) -> str:
            clean = profiles.claude_url(value) if client == "claude-code" else profiles.codex_url(value)
            return urls.problem(clean) or ("" if clean else _("An address is needed."))

        def apply(value: str, field: str = field, client: ClientName = client) -> Answers:
            clean = profiles.claude_url(value) if client == "claude-code" else profiles.codex_url(value)
            return answers.put(f"url-{client}", **{field: clean})

        message = _("Address for {client}").format(client=CLIENTS[client].TITLE)
        return Ask(f"url-{client}", message, apply, default, note, check)
    return None


def _auth(facts: Facts, answers: Answers) -> Step:
    preset = preset_of(facts, answers)
    if preset.id != "custom" or "claude-code" not in clients_of(facts, answers) or answers.field("type"):
        return None
    if not own_url(answers, "claude-code"):
        return None
    options = [
        Option("auth_token", _("Authorization: Bearer"), _("usual")),
        Option("api_key", "x-api-key", _("as Anthropic itself")),
    ]
    return Choose(
        "auth",
        _("How does the endpoint want the key from Claude Code?"),
        options,
        lambda value: answers.put("auth", type=value),
        "auth_token",
    )


def _key_known(facts: Facts, answers: Answers) -> bool:
    given = answers.options.secret or answers.options.key_command or answers.options.storage == "env"
    said = any(answers.fields.get(f) for f in ("key", "keyEnv", "keyFile", "keyCommand"))
    return bool(given) or said or "key" in answers.settled


def candidates(facts: Facts, answers: Answers) -> list[tuple[Found, str]]:
    """Return the keys found on this machine that belong to the provider, and to the addresses that are known."""
    preset = preset_of(facts, answers)
    if preset.id == "custom":
        hosts = {profiles.origin(own_url(answers, c)) for c in CLIENT_NAMES if own_url(answers, c)}
        fits = [(k, "") for k in facts.seen.keys if k.url and {profiles.origin(k.url)} == hosts]
        return list({k.key: (k, r) for k, r in fits}.values())
    if any(own_url(answers, c) for c in CLIENT_NAMES):
        return []  # a preset with an address of the person's own: no found key is known to belong there
    region = answers.field("region")
    return [
        (k, r) for k, r in find.fitting(facts.seen.keys, preset, facts.environ) if not region or not r or r == region
    ]


def _key_or_region(facts: Facts, answers: Answers) -> Step:
    """Ask for the key, and before it for the region, unless the key tells the region."""
    if _key_known(facts, answers):
        return None
    preset = preset_of(facts, answers)
    if not preset.key_required:
        return Settled(answers.put("key"))
    name = name_of(facts, answers)
    saved = facts.profiles.get(name)
    here = candidates(facts, answers)
    telling = any(f.region for f in preset.key_families) or any(r for _k, r in here)
    if not telling:
        step = _region(facts, answers)
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
        secret = keys.clean(value, _("the terminal"))
        return answers._replace(options=answers.options._replace(secret=secret), key_variable="").put("key")

    return Ask(
        "key", _("Key for {provider}").format(provider=preset.name), apply, "", note, check=_check_key, secret=True
    )


def _same_hosts(facts: Facts, answers: Answers, saved: Profile) -> bool:
    """Tell whether the key of *saved* would go where it goes now."""
    preset = preset_of(facts, answers)
    if saved.provider != preset.id:
        return False
    mine = {profiles.origin(own_url(answers, c)) for c in CLIENT_NAMES if own_url(answers, c)}
    before = {profiles.origin(p.url) for p in saved.parts.values() if p.url}
    return mine <= before


def _key_from(facts: Facts, answers: Answers, here: Sequence[tuple[Found, str]], keep: bool) -> Choose:
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


def _check_key(value: str) -> str:
    try:
        keys.clean(value, _("the terminal"))
    except CcsetupError as e:
        return sentences(e.message, e.hint)
    return ""


def family_of(facts: Facts, preset: Preset, key: Secret) -> tuple[str, Optional[KeyFamily]]:
    """Return the preset that *key* belongs to by its beginning and its family; the preset's own families first."""
    own = keys.family(key, preset)
    if own:
        return own.provider or preset.id, own
    for preset_id, family in facts.families:
        if key.reveal().startswith(family.prefix):
            return family.provider or preset_id, family
    return "", None


def _family(facts: Facts, answers: Answers) -> Step:
    """Ask about a key that looks like another provider's, or another region's."""
    key = answers.options.secret
    preset = preset_of(facts, answers)
    if key is None or "family" in answers.settled or preset.id == "custom" or not preset.key_required:
        return None
    owner, family = family_of(facts, preset, key)
    if family is None:
        return None
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
        change = Option("change", _("Use {name}").format(name=other.name))
        message = _("This looks like a {family}, which does not work at {region}.").format(
            family=family.name, region=here.name if here else region
        )
    else:
        summary = next((s for s in facts.seen.summaries if s.id == owner), None)
        title = summary.name if summary else owner
        change = Option("change", _("Set up {name} instead").format(name=title))
        message = _("This looks like a {family}, not a key of {provider}.").format(
            family=family.name, provider=preset.name
        )

    def apply(value: str) -> Answers:
        if value == "again":
            new = answers._replace(options=answers.options._replace(secret=None), key_variable="")
            return new.open("key").put("key-from")
        if value == "keep":
            return answers.put("family")
        if owner == preset.id:
            return answers.put("family", region=family.region)
        new = answers.open("name", "new-name", "region", "model", "key-from")._replace(via_relay=False)
        return new.put("family", provider=owner, region=family.region, name="")

    options = [
        change,
        Option("again", _("Enter another key")),
        Option("keep", _("Use it all the same")),
    ]
    return Choose("family", message, options, apply, "change")


def _titles(clients: Sequence[ClientName]) -> str:
    return ", ".join(CLIENTS[c].TITLE for c in clients)


def _region(facts: Facts, answers: Answers) -> Step:
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
                provider=preset.name, client=CLIENTS[lacking].TITLE, reason=refusal(preset.regions[0], lacking)
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


def recommended(facts: Facts, answers: Answers) -> dict[ClientName, str]:
    """Return the model that each client gets when nothing is chosen; a client without one is left out."""
    region = region_of(facts, answers)
    out: dict[ClientName, str] = {}
    for client in clients_of(facts, answers):
        found = endpoint(region, client)
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
    found = endpoint(region, "codex" if client == "claude-code" else "claude-code")
    if isinstance(found, ClaudeEndpoint):
        return found.models.primary if found.models else ""
    return found.model if isinstance(found, CodexEndpoint) else ""


def describe(model: Optional[Model]) -> str:
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


def _model(facts: Facts, answers: Answers) -> Step:
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
    advice = recommended(facts, answers)
    complete = all(c in advice for c in wanted)

    def choose(value: str) -> Answers:
        if value in (TYPE, LIVE):
            return answers.put("model-type" if value == TYPE else "model-live")
        return answers.put("model", primaryModel=value)

    if "model-type" in answers.settled:

        def check(value: str) -> str:
            if not value:
                return _("A model is needed.")
            return "" if re.fullmatch(r"[\x21-\x7e]{1,200}", value) else _("A model id has no spaces.")

        before = next((p.primary_model for p in saved.parts.values() if p.primary_model), "") if saved else ""
        return Ask("model-type", _("Model id"), choose, before, check=check)
    if "model-live" in answers.settled:
        return _live(facts, answers, preset, region)
    options = []
    if complete:
        options.append(Option("", _advice(region, advice), _advice_detail(preset, region, advice)))
    retired = {m.id for m in preset.legacy_models} | {m for m in advice.values() if len(set(advice.values())) == 1}
    for model in preset.models:
        if model.id not in retired and _served(preset, region, model.id):
            options.append(Option(model.id, model.id, describe(model)))
    if _can_list(preset, region, answers, wanted):
        options.append(Option(LIVE, _("Ask the provider for its models")))
    options.append(Option(TYPE, _("Type a model id")))
    return Choose("model", _("Model"), options, choose, "")


def _advice(region: Region, advice: Mapping[ClientName, str]) -> str:
    ids = list(dict.fromkeys(advice.values()))
    if ids == [""]:
        return _("The client's own choice")
    if len(ids) == 1:
        return ids[0]
    return ", ".join(f"{CLIENTS[c].TITLE}: {m or _('its own')}" for c, m in advice.items())


def _advice_detail(preset: Preset, region: Region, advice: Mapping[ClientName, str]) -> str:
    ids = list(dict.fromkeys(advice.values()))
    parts = [_("recommended")]
    if len(ids) == 1:
        parts.append(describe(preset.model(ids[0])))
    tiers = region.claude.models if isinstance(region.claude, ClaudeEndpoint) else None
    if tiers and "claude-code" in advice and tiers.haiku != tiers.primary:
        parts.append(_("small tasks: {model}").format(model=tiers.haiku))
    return _(", ").join(p for p in parts if p)


def _served(preset: Preset, region: Region, model: str) -> bool:
    """Tell whether *model* may be there: what only other regions name as theirs is of another plan."""

    def own(one: Region) -> set[str]:
        tiers = one.claude.models if isinstance(one.claude, ClaudeEndpoint) else None
        return {*(tiers or ()), *([one.codex.model] if isinstance(one.codex, CodexEndpoint) else ())}

    return model in own(region) or not any(model in own(r) for r in preset.regions)


def _can_list(preset: Preset, region: Region, answers: Answers, wanted: Sequence[ClientName]) -> bool:
    key = answers.options.secret is not None or not preset.key_required
    listed = any(c.models for c in region.verify)
    urls = any(own_url(answers, c) for c in wanted) or (listed and preset.id != "custom")
    return key and bool(urls)


def _live(facts: Facts, answers: Answers, preset: Preset, region: Region) -> Step:
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

    options = [Option(m.id, m.id, describe(m if m.context else known.get(m.id, m))) for m in found]
    advice = next(iter(recommended(facts, answers).values()), "")
    default = advice if advice in by_id else ""
    return Choose(
        "model-live",
        _("Model ({n} at the provider)").format(n=len(found)),
        [*options, Option(TYPE, _("Type a model id"))],
        choose,
        default,
        search=True,
    )


def _context(facts: Facts, answers: Answers) -> Step:
    """Ask for the window of a model that nobody described: a client that guesses too high fails in long sessions."""
    model = answers.field("primaryModel")
    if not model or answers.fields.get("contextWindow") or "context" in answers.settled:
        return None
    preset = preset_of(facts, answers)
    known = preset.model(model)
    own = re.match(r"(?:anthropic/)?claude-", model) and "codex" not in clients_of(facts, answers)
    if (known and known.context) or own or model in recommended(facts, answers).values():
        return None

    def check(value: str) -> str:
        if re.fullmatch(r"\d{4,8}", value.strip()):
            return ""
        return _("A whole number of tokens, at least 1000.")

    def apply(value: str) -> Answers:
        tokens = int(value)
        return answers.put("context", contextWindow=None if tokens == profiles.UNKNOWN_CONTEXT else tokens)

    message = _("Context window of {model}, in tokens").format(model=model)
    return Ask("context", message, apply, str(profiles.UNKNOWN_CONTEXT), check=check)


def _storage(facts: Facts, answers: Answers) -> Step:
    preset = preset_of(facts, answers)
    local = not preset.key_required and answers.options.secret is None
    command = answers.options.key_command or answers.field("keyCommand")  # it is what is saved
    said = answers.options.storage or answers.field("keyStorage") or "storage" in answers.settled
    if said or local or command:
        return None
    wanted = clients_of(facts, answers)
    saved = facts.profiles.get(name_of(facts, answers))
    variable = answers.key_variable or merge.variable(name_of(facts, answers), preset)
    files = {"claude-code": "settings.json", "codex": "config.toml"}
    inline = " / ".join(files[c] for c in wanted)
    kept = answers.options.secret is None and saved is not None
    options = [
        Option("inline", _("In the client's settings"), _("{files}, only you can read it").format(files=inline)),
        Option("command", _("In a file of its own"), _("the client reads it when it starts")),
    ]
    if answers.via_relay:
        options = [Option("inline", _("In a file of its own"), _("only you can read it; the clients never get it"))]
    if facts.keyring():
        whose = (
            _("encrypted; the relay reads it") if answers.via_relay else _("encrypted; the client asks ccsetup for it")
        )
        options.append(Option("keyring", _("In the system's keyring"), whose))
    if not kept:
        options.append(
            Option("env", _("In ${variable}").format(variable=variable), _("your shell exports it; nothing is stored"))
        )
    if wanted == ["codex"] and not answers.via_relay:
        options.append(Option("dotenv", _("In ~/.codex/.env"), _("as ${variable}").format(variable=variable)))

    def apply(value: str) -> Answers:
        plain = value == "inline" and (saved is None or saved.key_storage == "inline")
        new = answers.options._replace(storage="" if plain else value)
        if value in ("env", "dotenv") and not new.storage_env:
            new = new._replace(storage_env=variable)
        if value == "env":
            new = new._replace(secret=None)
        return answers._replace(options=new).put("storage")

    default = saved.key_storage if saved and saved.key_storage in [o.value for o in options] else "inline"
    return Choose("storage", _("Where is the key to live?"), options, apply, default)


def _repair(facts: Facts, answers: Answers) -> Step:
    """Ask whether to correct what keeps a client from using its settings at all."""
    if answers.repair or "repair" in answers.settled:
        return None
    wanted = clients_of(facts, answers)
    strict = facts.seen.strict if "claude-code" in wanted else ""
    codex = facts.seen.stops_codex if "codex" in wanted else ()
    if not strict and not codex:
        return None
    options = []
    stops = _("Codex does not start with its config.toml as it is.")
    if strict and codex:
        note = sentences(strict, stops)
        options.append(Option("repair", _("Correct both files"), _("ccsetup undo takes it back")))
        options.append(Option("stop", _("Stop, I correct them myself")))
        message = _("settings.json and config.toml cannot stay as they are.")
    elif strict:
        note = strict
        options.append(Option("repair", _("Take comments and trailing commas out"), _("ccsetup undo brings them back")))
        options.append(Option("stop", _("Stop, I correct it myself")))
        message = _("settings.json cannot stay as it is.")
    else:
        note = stops
        options.append(Option("repair", _("Correct config.toml"), _("ccsetup undo takes it back")))
        options.append(Option("keep", _("Leave it, I correct it myself")))
        message = _("Correct the lines that stop Codex?")

    def apply(value: str) -> Answers:
        if value == "stop":
            raise KeyboardInterrupt
        return answers._replace(repair=value == "repair").put("repair")

    return Choose("repair", message, options, apply, "repair", note=note)
