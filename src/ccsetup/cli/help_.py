"""``ccsetup help``: the help of a command, and what a verdict of ``ccsetup test`` means."""

from __future__ import annotations

from typing import Optional

import typer

from ccsetup.cli import _options, _output
from ccsetup.errors import UsageError, printable
from ccsetup.i18n import _

HELP = _("Show the help of a command, or explain a verdict of 'ccsetup test'.")

VERDICTS = {
    "ok": _("Everything that was tested works."),
    "config": _(
        "The settings stop the client before it sends anything, or would send the key to a wrong place. Change what "
        "the line names: it has the file and the line, or the variable of the shell. 'ccsetup doctor --fix' repairs "
        "what can be repaired. Where no provider is set at all: ccsetup init -p PROVIDER -k -"
    ),
    "unreachable": _(
        "The name does not exist, nobody listens, a proxy refuses, or the login page of a network answers. Check the "
        "spelling of the address, and the network with a browser. A proxy came from the variable that is named beside "
        "it: unset the variable, or add the host to NO_PROXY."
    ),
    "tls": _(
        "The server's certificate has expired, is for another name, or is not trusted by this machine. The key was not "
        "sent. Check the clock. Give the certificate of your company's authority to Claude Code with "
        "NODE_EXTRA_CA_CERTS=FILE, and to Codex with CODEX_CA_CERTIFICATE=FILE. Never switch the check off."
    ),
    "key": _(
        "The provider refuses the key. Copy it again, without spaces, and give it with: ccsetup init -p PROVIDER -k - "
        "Keys of another site, or of another plan, look alike and do not work here: try each region with "
        "'ccsetup test -p PROVIDER --region REGION -k -'. A key that the shell exports can hide yours: "
        "'ccsetup test -v' tells where it comes from."
    ),
    "quota": _(
        "The key is good, but the account is empty, the plan's quota is used up, or too many requests came at once. "
        "Look at the account in the provider's console, or wait: the hint says for how long, where the provider does."
    ),
    "forbidden": _(
        "The provider knows the key and refuses: the key is blocked, has no right to this endpoint or model, or the "
        "provider does not serve this country or address. Check the rights of the key and the plan. Where a web page "
        "was the answer, try without a VPN or proxy."
    ),
    "wire": _(
        "Something answers, but not what the client speaks: a wrong path, a web page, a redirect, another protocol. "
        "Compare the address with the provider's guide. Codex 0.95 and later speak only OpenAI Responses: for a "
        "provider that has only Chat Completions, add --via-relay."
    ),
    "model": _(
        "A configured model does not exist at the provider, or your plan does not include it. Take one of the names in "
        "the hint: ccsetup init -n NAME -M MODEL"
    ),
    "degraded": _(
        "It works, but something that the client uses does not. Each line tells what, and the setting that leaves it "
        "out."
    ),
    "server": _(
        "The provider's own server fails. Wait: 'ccsetup test --watch 30' tells when it is over, and "
        "'ccsetup test --all' which other profile works."
    ),
    "timeout": _(
        "No complete answer came in time: the network swallows packets, or the server is overloaded. Try again, or "
        "give it more time with --timeout SECONDS. Where the layer 'reach' timed out, check the network, a VPN and "
        "a proxy."
    ),
}
"""What each verdict means, and what to do."""


def command(
    topic: Optional[list[str]] = typer.Argument(
        None, metavar="[COMMAND|VERDICT]", help=_("A command, or a word with which 'ccsetup test' ends.")
    ),
    lang: Optional[str] = _options.LANG,
) -> int:
    from ccsetup.cli import _parser

    words = list(topic or ())
    verdict = words[0].lower() if len(words) == 1 else ""
    if verdict in VERDICTS:
        width = min(_output.terminal_width() or 80, 100)
        _output.line(_("The verdict '{word}' of 'ccsetup test':").format(word=verdict))
        _output.line("\n".join(_output.wrap("  " + VERDICTS[verdict], width)))
        if verdict in _parser.names():
            _output.line(_("For the command, type: ccsetup {word} --help").format(word=verdict))
        return 0
    try:
        return _parser.run([*words, "--help"])
    except UsageError:
        if len(words) > 1:
            raise
        known = ", ".join([*_parser.names(), *(w for w in VERDICTS if w not in _parser.names())])
        raise UsageError(
            _("There is no help on '{word}'.").format(word=printable(words[0])),
            hint=_("There is for: {known}").format(known=known),
        ) from None


def version() -> int:
    from ccsetup import __version__

    _output.line(f"ccsetup {__version__}")
    return 0
