"""What is asked, in which order: a pure function from what is known to the next question."""

from __future__ import annotations

from typing import Sequence

from ccsetup import i18n, presets, profiles, urls
from ccsetup.change import merge
from ccsetup.cli import list_
from ccsetup.cli.wizard.answers import (
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
from ccsetup.cli.wizard.ask_key import ask_family, ask_region, key_or_region
from ccsetup.cli.wizard.ask_model import ask_context, ask_model
from ccsetup.cli.wizard.prompts import Option, sentences
from ccsetup.clients import CLIENTS, Client, clients_named, usual_client
from ccsetup.errors import CcsetupError, UsageError
from ccsetup.i18n import _
from ccsetup.model import ClientName, Unsupported, WireFormat


def next_step(facts: WizardFacts, answers: Answers) -> Step:
    """Return the next thing to ask or to settle; None when everything is known."""
    for step in (
        _clients, _provider, _name, _relay, _urls, _auth, key_or_region, ask_family, ask_region, ask_model,
        ask_context, _storage, _repair,
    ):  # fmt: skip
        found = step(facts, answers)
        if found is not None:
            return found
    return None


def _clients(facts: WizardFacts, answers: Answers) -> Step:
    if clients_of(facts, answers):
        return None
    here = [c.name for c in facts.seen.clients if c.version is not None]
    options = []
    for client in facts.seen.clients:
        version = ".".join(map(str, client.version)) if client.version else _("not installed")
        reason = _("its settings cannot be read, see above") if client.broken else ""
        options.append(Option(client.name, CLIENTS[client.name].title, version, disabled=reason))
    broken = [c for c in facts.seen.clients if c.broken]
    if len(broken) == len(facts.seen.clients):
        raise CcsetupError(broken[0].broken)
    options.append(Option("all", _("Both"), _("one key for both"), disabled=options[0].disabled or options[1].disabled))

    def apply(value: str) -> Answers:
        return answers._replace(options=answers.options._replace(clients=clients_named([value])))

    default = here[0] if len(here) == 1 else "all" if here else usual_client()
    if broken:
        default = next(c.name for c in facts.seen.clients if not c.broken)
    return Choose("clients", _("Which client is to use the provider?"), options, apply, default)


def _provider(facts: WizardFacts, answers: Answers) -> Step:
    if answers.field("provider") or answers.field("name") in facts.profiles:
        return None
    wanted = clients_of(facts, answers)
    if any(own_url(answers, c) for c in CLIENTS):
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
            lacking = [CLIENTS[c].title for c in wanted if c not in summary.clients]
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


def _name(facts: WizardFacts, answers: Answers) -> Step:
    """Ask what to do with a profile of that name that is there already."""
    preset = preset_of(facts, answers)
    if answers.field("name") or "name" in answers.settled or preset.id not in facts.profiles:
        return None
    if "new-name" in answers.settled:
        taken = set(facts.profiles)
        free = next(f"{preset.id}-{n}" for n in range(2, 999) if f"{preset.id}-{n}" not in taken)

        def check(value: str) -> str:
            try:
                profiles.check_name(value, taken)
            except CcsetupError as e:
                return e.message
            return _("There is a profile of that name already.") if value in taken else ""

        return AskText(
            "new-name", _("Name of the new profile"), lambda v: answers.put("name", name=v), free, check=check
        )
    old = facts.profiles[preset.id]
    parts = ", ".join(CLIENTS[c].title for c in CLIENTS if c in old.parts)
    what = ", ".join(t for t in (old.region, parts) if t)
    options = [
        Option("change", _("Change profile '{name}'").format(name=old.name), what),
        Option("new", _("Save another profile"), _("both can be switched to")),
    ]

    def apply(value: str) -> Answers:
        return answers.put("name" if value == "change" else "new-name")

    return Choose("name", _("'{name}' is saved already.").format(name=old.name), options, apply, "change")


def _relay(facts: WizardFacts, answers: Answers) -> Step:
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
    note = why.format(clients=_(" and ").join(CLIENTS[c].title for c in lacking), provider=preset.name)
    default = "relay" if not problem else options[1].value
    return Choose("relay", _("Use the relay?"), options, apply, default, note=sentences(note, problem))


def _titles(clients: Sequence[ClientName]) -> str:
    return ", ".join(CLIENTS[c].title for c in clients)


def _urls(facts: WizardFacts, answers: Answers) -> Step:
    region = region_of(facts, answers)
    wanted = clients_of(facts, answers)
    saved = facts.profiles.get(name_of(facts, answers))
    for client in wanted:
        known = CLIENTS[client]
        found = known.offered(region)
        before = saved.parts[client].url if saved and client in saved.parts else ""
        if own_url(answers, client) or isinstance(found, Unsupported) or found.base_url:
            continue
        if before and not answers.field("provider"):
            continue
        field = "url" if len(wanted) == 1 else f"{known.option}Url"
        default = before
        others = [answers.field(f"{c.option}Url") for c in CLIENTS.values() if c.wire == "anthropic" != known.wire]
        if not default and any(others):
            default = urls.base(next(filter(None, others)), "anthropic") + "/v1"
        note = (
            _("The address before /v1/messages, for example https://host/api/anthropic")
            if known.wire == "anthropic"
            else _("The address before /responses, for example https://host/v1")
        )

        def check(value: str, wire: WireFormat = known.wire) -> str:
            clean = urls.base(value, wire)
            return urls.problem(clean) or urls.key_inside(clean) or ("" if clean else _("An address is needed."))

        def apply(value: str, field: str = field, known: Client = known) -> Answers:
            url, said = merge.address(known, value)
            return answers._replace(said=said).put(f"url-{known.id}", **{field: url})

        message = _("Address for {client}").format(client=CLIENTS[client].title)
        return AskText(f"url-{client}", message, apply, default, note, check)
    return None


def _auth(facts: WizardFacts, answers: Answers) -> Step:
    preset = preset_of(facts, answers)
    if preset.id != "custom" or answers.field("type"):
        return None
    if not any("auth" in CLIENTS[c].fields and own_url(answers, c) for c in clients_of(facts, answers)):
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


def _storage(facts: WizardFacts, answers: Answers) -> Step:
    preset = preset_of(facts, answers)
    local = not preset.key_required and answers.options.secret is None
    command = answers.options.key_command or answers.field("keyCommand")  # it is what is saved
    said = answers.options.storage or answers.field("keyStorage") or "storage" in answers.settled
    if said or local or command:
        return None
    wanted = clients_of(facts, answers)
    saved = facts.profiles.get(name_of(facts, answers))
    own = name_of(facts, answers)
    taken = {p.key_env for n, p in facts.profiles.items() if n != own}
    variable = answers.key_variable or profiles.variable(own, preset.key_env, taken)
    inline = " / ".join(facts.seen.client(c).file for c in wanted)
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
    if all("dotenv" in CLIENTS[c].storages for c in wanted) and not answers.via_relay:
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


def _repair(facts: WizardFacts, answers: Answers) -> Step:
    """Ask whether to correct what keeps a client from using its settings at all."""
    if answers.repair or "repair" in answers.settled:
        return None
    wanted = clients_of(facts, answers)
    refused = [r.refusal.message for c in wanted for r in facts.seen.repairs[c] if r.refusal]
    stopped = [c for c in wanted if any(not r.refusal for r in facts.seen.repairs[c])]
    if not refused and not stopped:
        return None
    options = []
    names = [facts.seen.client(c).file for c in wanted if facts.seen.repairs[c]]
    files = _(" and ").join(names)
    stops = [
        _("{client} does not start with its {file} as it is.").format(
            client=CLIENTS[c].title, file=facts.seen.client(c).file
        )
        for c in stopped
    ]
    note = sentences(*refused, *stops)
    if refused and stopped:
        options.append(Option("repair", _("Correct both files"), _("ccsetup undo takes it back")))
        options.append(Option("stop", _("Stop, I correct them myself")))
        message = _("{files} cannot stay as they are.").format(files=files)
    elif refused:
        options.append(Option("repair", _("Take comments and trailing commas out"), _("ccsetup undo brings them back")))
        options.append(Option("stop", _("Stop, I correct it myself")))
        message = _("{file} cannot stay as it is.").format(file=files)
    else:
        options.append(Option("repair", _("Correct {file}").format(file=files), _("ccsetup undo takes it back")))
        options.append(Option("keep", _("Leave it, I correct it myself")))
        message = _("Correct the lines that stop {client}?").format(client=_titles(stopped))

    def apply(value: str) -> Answers:
        if value == "stop":
            raise KeyboardInterrupt
        return answers._replace(repair=value == "repair").put("repair")

    return Choose("repair", message, options, apply, "repair", note=note)
