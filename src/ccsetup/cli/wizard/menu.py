"""Bare ``ccsetup`` at a terminal: what there is, and what one can do next.  And the picker of profiles."""

from __future__ import annotations

import os
from typing import Any, Sequence

from ccsetup import disk, i18n
from ccsetup.change.world import World
from ccsetup.cli import _parser, list_
from ccsetup.cli._context import Context
from ccsetup.cli.wizard import look, prompts, screen
from ccsetup.cli.wizard.prompts import Option, Prompter, say
from ccsetup.clients import CLIENTS
from ccsetup.documents.edit import Set
from ccsetup.i18n import _
from ccsetup.model import ClientName
from ccsetup.profiles import RELAY

LANGUAGES = {"en": "English", "zh_CN": "简体中文"}


def show() -> int:
    """Show the screen and the menu, and run what is chosen; return its exit code."""
    context = Context()
    prompter = screen.for_terminal(context.paths.environ)
    while True:
        seen = look.around(context)
        for one in look.screen(seen, context, min(prompts.columns(), 100) - 1):
            say(one)
        options = _options(context, seen)
        default = "config-switch" if len(seen.profiles) > 1 else options[0].value
        chosen = prompter.choose(_("What next?"), options, default=default, back=False)
        if chosen == "language":
            _language(context, prompter)
            continue
        if chosen == "quit":
            return 0
        if chosen == "key":
            name = _profile(context, prompter, [])
            return _parser.run(["key", "set", name])
        return _parser.run(["--help"] if chosen == "help" else chosen.split())


def _options(context: Context, seen: look.Seen) -> list[Option]:
    out = [Option("init", _("Set a provider up"), "ccsetup init")]
    if seen.profiles:
        out.append(Option("config-switch", _("Switch to another profile"), "ccsetup config-switch"))
    if any(c.url for c in seen.clients):
        out.append(Option("test", _("Test what the clients use"), "ccsetup test"))
    if seen.profiles:
        out.append(Option("key", _("Change a key"), "ccsetup key set"))
    out += _relay(context, seen)
    out.append(Option("list", _("Show profiles, and what the clients use"), "ccsetup list"))
    if any(not (r.undone_by or r.home) for r in disk.history(context.paths.homes)):
        out.append(Option("undo", _("Take the last change back"), "ccsetup undo"))
    others = [name for code, name in LANGUAGES.items() if code != i18n.language]
    out.append(Option("language", _("Language"), " / ".join(others)))
    out.append(Option("help", _("Show all commands"), "ccsetup --help"))
    out.append(Option("quit", _("Quit")))
    return out


def _relay(context: Context, seen: look.Seen) -> list[Option]:
    """Offer what there is to do with the relay, where there is one, or several providers to put behind one."""
    if os.path.exists(context.paths.relay_run):
        from ccsetup.cli.relay import _base
        from ccsetup.relay.running import control

        if control.alive(_base.here(context)) is not None:
            return [Option("relay status", _("See how the relay is"), "ccsetup relay status")]
    if os.path.exists(context.paths.relay_config):
        return [Option("relay start", _("Start the relay"), "ccsetup relay start")]
    if len([n for n in seen.profiles if n != RELAY]) < 2:
        return []
    return [Option("relay init", _("Several providers behind one address"), "ccsetup relay init")]


def _language(context: Context, prompter: Prompter) -> None:
    """Ask for the language, and remember it in settings.toml."""
    options = [Option(code, name) for code, name in LANGUAGES.items()]
    chosen = prompter.choose(_("Language"), options, default=i18n.language, back=False)
    remember(context, chosen)
    i18n.activate(chosen)


def remember(context: Context, language: str) -> None:
    """Write *language*, an entry of i18n.LANGUAGES, to settings.toml."""

    def act(world: World) -> None:
        world.draft.edit(context.paths.settings, "toml", (Set(("language",), language.replace("_", "-")),))

    context.run("language", act, dry=False)


def pick(context: Context, clients: Sequence[ClientName]) -> str:
    """Ask for one of the saved profiles, the current ones marked; return its name, or ``official``."""
    prompter = screen.for_terminal(context.paths.environ)
    name = _profile(context, prompter, clients, official=True)
    words = ["ccsetup config-switch", name, *(f"-T {c}" for c in clients)]
    say(_("Next time: {command}").format(command=" ".join(words)))
    return name


def _profile(context: Context, prompter: Prompter, clients: Sequence[ClientName], *, official: bool = False) -> str:
    world = context.world()
    wanted = list(clients) or list(CLIENTS)
    state: dict[ClientName, dict[str, Any]] = {c: list_.active(context, world, c) for c in wanted}
    options = []
    for profile in world.profiles.values():
        if profile.problem or not any(c in profile.parts for c in wanted):
            continue
        users = [c for c in wanted if state[c]["profile"] == profile.name and not state[c]["changed"]]
        mark = "* " if users else "  "
        serves = " ".join(CLIENTS[c].program for c in CLIENTS if c in profile.parts)
        what = profile.provider + (f" ({profile.region})" if profile.region else "")
        used = _("used by {clients}").format(clients=", ".join(CLIENTS[c].title for c in users)) if users else ""
        options.append(Option(profile.name, mark + profile.name, "  ".join(t for t in (serves, what, used) if t)))
    if official:
        free = [c for c in wanted if not any(state[c].get(k) for k in ("url", "error", "problem"))]
        used = _("used by {clients}").format(clients=", ".join(CLIENTS[c].title for c in free)) if free else ""
        what = _("the client's own account, no provider")
        options.append(
            Option("official", ("* " if free else "  ") + "official", "  ".join(t for t in (what, used) if t))
        )
    current = next((o.value for o in options if o.label.startswith("*")), "")
    return prompter.choose(_("Which profile?"), options, default=current, back=False)
