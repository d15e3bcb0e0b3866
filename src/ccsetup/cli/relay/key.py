"""``ccsetup relay key``: the keys with which clients come to the relay.  They are kept as hashes."""

from __future__ import annotations

import re
import sys
import time
from typing import Any, Optional

import typer

from ccsetup.change.world import World
from ccsetup.cli import _options, _output, _parser
from ccsetup.cli._context import Context
from ccsetup.cli.relay import _base, _times, _up
from ccsetup.errors import UsageError
from ccsetup.i18n import _
from ccsetup.relay.config import access
from ccsetup.relay.config.access import Access, Budget, ClientKey
from ccsetup.relay.config.places import Places

app = _parser.group(_("Make, list and revoke the keys of the relay's clients."))

_NAME = typer.Argument(..., metavar="NAME", help=_("What the key is called in lists, logs and statistics."))


@app.command("add", cls=_parser.Command, help=_("Make a key and print it, this once; only a hash of it is kept."))
def add(
    name: str = _NAME,
    upstreams: Optional[str] = typer.Option(
        None, "--upstreams", metavar="A,B", help=_("It may use only these upstreams.")
    ),
    tokens: Optional[int] = typer.Option(
        None, "--budget-tokens", metavar="N", min=0, help=_("So many tokens a day (UTC).")
    ),
    requests: Optional[int] = typer.Option(
        None, "--budget-requests", metavar="N", min=0, help=_("So many requests a day (UTC).")
    ),
    cost: Optional[float] = typer.Option(
        None, "--budget-cost", metavar="X", min=0, help=_("So much cost a day (UTC), where prices are known.")
    ),
    currency: str = typer.Option("USD", "--budget-currency", metavar="CODE", help=_("Currency of --budget-cost.")),
    expires: Optional[str] = typer.Option(
        None, "--expires", metavar="TIME", help=_("It ends after 12h, 30d or 8w, or at 2027-01-31.")
    ),
    as_json: bool = _options.JSON,
    lang: Optional[str] = _options.LANG,
) -> int:
    context = Context()
    at = _base.here(context)
    allowed = _upstreams(context, at, upstreams)
    now = time.time()
    if not re.fullmatch(r"[A-Z]{3}", currency):
        raise UsageError(_("--budget-currency: '{text}' is no code such as USD.").format(text=currency))
    secret = access.generate()
    context.secrets.add(secret.reveal())
    budget = Budget(requests, tokens, cost, currency)
    made = access.describe(
        secret, name, now, expires=_end(expires, now) if expires else None, upstreams=allowed, budget=budget
    )

    def act(world: World) -> None:
        save(context, world, at, load(context, world, at).with_key(made))

    context.run(f"relay key add {name}", act, dry=False)
    told = _up.reread(context, at)
    if as_json:
        shown = {"key": secret.reveal()}
        _output.print_json("relay key add", {"name": name, "reloaded": told}, context.notes, shown=shown)
        return 0
    _output.reveal(secret.reveal() + "\n")
    sys.stdout.flush()
    mark = _output.paint(_("done"), "32", sys.stderr)
    sys.stderr.write(f"{mark}: " + _("this is the key '{name}'; it is shown this once.").format(name=name) + "\n")
    _output.print_notes(context.notes)
    return 0


def load(context: Context, world: World, at: Places) -> Access:
    """Return the keys in *world*'s draft."""
    text = world.draft.text(at.keys)
    return access.parse(text.encode(), context.paths.short(at.keys)) if text.strip() else Access(())


def save(context: Context, world: World, at: Places, keys: Access) -> None:
    world.draft.replace(at.keys, access.dump(keys).decode())


def _upstreams(context: Context, at: Places, text: Optional[str]) -> Optional[list[str]]:
    if text is None:
        return None
    names = [n.strip() for n in text.split(",") if n.strip()]
    known = [u.name for u in _base.load(context, at).upstreams]
    unknown = next((n for n in names if n not in known), None)
    if unknown is not None or not names:
        raise UsageError(
            _("--upstreams: there is no upstream '{name}'. There are: {known}").format(
                name=unknown or "", known=", ".join(known)
            )
        )
    return names


def _end(text: str, now: float) -> float:
    end = _times.moment(text, "--expires", now, ahead=True)
    if end <= now:
        raise UsageError(_("--expires: {text} is over.").format(text=text))
    return end


@app.command("list", cls=_parser.Command, help=_("Show the keys, what each may do, and which are over."))
def list_(as_json: bool = _options.JSON, lang: Optional[str] = _options.LANG) -> int:
    context = Context()
    at = _base.here(context)
    now = time.time()
    rows = [_row(key, now) for key in _base.load_keys(context, at).keys]
    if as_json:
        _output.print_json("relay key list", {"keys": rows}, context.notes)
    elif not rows:
        _output.line(_("There is no key yet. Make one with: ccsetup relay key add NAME"))
    else:
        table = [[_("Name"), _("Key"), _("State"), _("Upstreams"), _("Budget a day")]]
        for row in rows:
            upstreams = ", ".join(row["upstreams"]) if row["upstreams"] is not None else _("all")
            table.append([row["name"], "…" + row["last4"], _state(row), upstreams, _budget(row["budget"])])
        _output.line(_output.safe(_output.columns(table, indent="")))
    return 0


def _row(key: ClientKey, now: float) -> dict[str, Any]:
    over = key.expires is not None and key.expires <= now
    return {
        "name": key.name,
        "last4": key.last4,
        "state": "revoked" if key.revoked is not None else "expired" if over else "valid",
        "created": key.created,
        "expires": key.expires,
        "upstreams": None if key.upstreams is None else sorted(key.upstreams),
        "budget": {k: v for k, v in key.budget._asdict().items() if v is not None},
    }


def _state(row: dict[str, Any]) -> str:
    if row["state"] == "revoked":
        return _("revoked")
    if row["state"] == "expired":
        return _("expired")
    if row["expires"] is None:
        return _("valid")
    return _("until {time}").format(time=time.strftime("%Y-%m-%d %H:%M", time.localtime(row["expires"])))


def _budget(budget: dict[str, Any]) -> str:
    parts = []
    if "requests" in budget:
        parts.append(_("{n} requests").format(n=f"{budget['requests']:,}"))
    if "tokens" in budget:
        parts.append(_("{n} tokens").format(n=f"{budget['tokens']:,}"))
    if "cost" in budget:
        parts.append(f"{budget['cost']:,g} {budget['currency']}")
    return ", ".join(parts)


@app.command("revoke", cls=_parser.Command, help=_("Refuse a key from now on; its figures stay."))
def revoke(
    name: str = _NAME,
    as_json: bool = _options.JSON,
    lang: Optional[str] = _options.LANG,
) -> int:
    context = Context()
    at = _base.here(context)
    now = time.time()

    def act(world: World) -> None:
        save(context, world, at, load(context, world, at).revoke(name, now))

    _nothing, changes = context.run(f"relay key revoke {name}", act, dry=False)
    told = _up.reread(context, at)
    if as_json:
        result = {"name": name, "changed": bool(changes), "reloaded": told}
        _output.print_json("relay key revoke", result, context.notes)
        return 0
    _output.done(bool(changes), _("the key '{name}' is refused from now on.").format(name=name))
    _output.print_notes(context.notes)
    return 0
