"""``ccsetup relay``: the commands of the relay.  A command's module is imported when the command is run.

Nothing of ``ccsetup.relay`` is imported by the other commands.
"""

from __future__ import annotations

import importlib
from typing import Any

import typer

from ccsetup.cli import _parser
from ccsetup.i18n import _

HELP = _(
    "Run several providers behind one local address: where one fails the next one answers, and clients can talk to "
    "providers of another wire format."
)
EPILOG = _("Begin with: ccsetup relay init. Needs the extra 'relay': pip install 'ccsetup[relay]'")

COMMANDS: dict[str, tuple[str, str, str]] = {
    "init": ("init", "command", _("Make relay.yaml from saved profiles.")),
    "add": ("upstreams", "add", _("Make a saved profile one more upstream in relay.yaml.")),
    "rm": ("upstreams", "rm", _("Take an upstream out of relay.yaml.")),
    "move": ("upstreams", "move", _("Change the order in which upstreams are asked.")),
    "use": ("use", "use", _("Choose which upstream requests go to, from the next one on.")),
    "tiers": ("use", "tiers", _("Choose where the requests of each tier go.")),
    "run": ("run", "command", _("Run the relay in this terminal.")),
    "start": ("service", "start", _("Start the relay in the background.")),
    "stop": ("service", "stop", _("Stop the relay; answers that are running finish first.")),
    "restart": ("service", "restart", _("Stop the relay and start it again.")),
    "status": ("service", "status", _("Tell whether the relay runs, and how its upstreams are; exit 1 when not.")),
    "logs": ("logs", "command", _("Show what went through the relay, one line a request, and what it said.")),
    "reload": ("steer", "reload", _("Have the relay read its configuration and keys again.")),
    "reset": ("steer", "reset", _("Let upstreams that rest after failures be asked again.")),
    "record": ("steer", "record", _("Have prompts and answers of one client, or of all, logged for a while.")),
    "check": ("check", "command", _("Test the configuration and every upstream, and show which way requests take.")),
    "stats": ("stats", "command", _("Show requests, tokens and cost.")),
    "key": ("key", "app", _("Make, list and revoke the keys of the relay's clients.")),
    "explain": ("explain", "command", _("Show what a recorded request becomes, and what is lost.")),
    "import": ("import_", "command", _("Make relay.yaml from the files of another relay.")),
    "drain": ("drain", "command", _("Write the usage that relays share into PostgreSQL.")),
}
"""Module, function and one line of help by command."""


class RelayCommands(_parser.Lazy):
    def table(self) -> dict[str, str]:
        return {name: text for name, (_module, _function, text) in COMMANDS.items()}

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module, function, text = COMMANDS[cmd_name]
        found = importlib.import_module("ccsetup.cli.relay." + module)
        if function == "app":
            return typer.main.get_command(found.app)
        return _parser.single(cmd_name, getattr(found, function), text, getattr(found, "EPILOG", None))


app = _parser.group(HELP, RelayCommands, EPILOG)


@app.callback()
def root() -> None:
    pass
