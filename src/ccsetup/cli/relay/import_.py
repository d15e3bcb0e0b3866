"""``ccsetup relay import``: ``relay.yaml`` from the configuration of another relay."""

from __future__ import annotations

import json
import os
from typing import Any, Mapping, Optional, Sequence

import typer

from ccsetup import bounded
from ccsetup.change.world import World
from ccsetup.cli import _options, _output
from ccsetup.cli._context import Context
from ccsetup.cli.relay import _base, _setup, _up
from ccsetup.errors import UsageError, check_one_of
from ccsetup.i18n import _
from ccsetup.model import Secret
from ccsetup.plan import Note
from ccsetup.profiles import RELAY
from ccsetup.relay.config import dangers
from ccsetup.relay.config.dump import dump
from ccsetup.relay.config.model import Config, Listen, Upstream
from ccsetup.relay.config.parse import parse

EPILOG = _("Example: ccsetup relay import ~/codex_cc_switch/json_data/all_configs.json")

_MOST = 4 << 20

_SHAPES: Mapping[str, tuple[str, ...]] = {
    "codex_cc_switch": ("api_configs", "codex_configs", "openai_to_claude_configs", "retry_configs"),
    "claude-code-router": ("Providers", "providers", "Router"),
}
"""What stands at the top of each relay's file."""


def command(
    file: str = typer.Argument(
        ..., metavar="FILE", help=_("all_configs.json of codex_cc_switch, or config.json of claude-code-router.")
    ),
    source: Optional[str] = typer.Option(
        None, "--from", metavar="RELAY", help=_("codex_cc_switch or claude-code-router, where the file does not tell.")
    ),
    force: bool = typer.Option(False, "--force", help=_("Write relay.yaml anew, whatever is in it.")),
    yes: bool = _options.YES,
    dry_run: bool = _options.LOOK,
    as_json: bool = _options.JSON,
    lang: Optional[str] = _options.LANG,
) -> int:
    from ccsetup.relay.config import importing

    context = Context()
    at = _base.here(context)
    data = _read(file)
    name = source or _recognise(data, file)
    check_one_of(name, tuple(importing.SOURCES), _("Invalid source '{value}'. Valid ones: {valid}"))
    found, notes = importing.SOURCES[name](data, os.path.basename(file))
    found = found._replace(listen=_setup.listen(context, at)) if found.listen == Listen() else found
    made, files = importing.extract_keys(found, os.path.join(context.paths.config_dir, "upstream-keys"))
    context.secrets.update(key.reveal() for key in files.values())
    context.notes.extend(Note("info", text) for text in notes)
    if _base.read(at.config) is not None and not force and not dry_run:
        raise UsageError(
            _("{file} is there already.").format(file=context.paths.short(at.config)),
            hint=_("Write it anew with --force, or see what would be in it with --dry-run."),
        )
    rows = [_row(upstream, files) for upstream in made.upstreams]
    if not as_json:
        _show(name, rows)
    if not (yes or dry_run or _agreed(context.paths.short(at.config), as_json)):
        _output.line(_("Nothing was changed."))
        return 1
    text = dump(made, context.preset)

    def act(world: World) -> None:
        world.draft.replace(at.config, text)
        for path, key in files.items():
            world.draft.replace(path, key.reveal())
        _setup.clients(context, world, at, _checked(context, text, made), anew=True)

    _nothing, changes = context.run("relay import", act, dry=dry_run)
    for warning in dangers.warnings(made):
        context.notes.append(Note("warning", warning))
    if changes and not dry_run:
        _up.reread(context, at)
    result: dict[str, Any] = {"source": name, "config": at.config, "upstreams": rows, "profile": RELAY}

    def show() -> None:
        _output.line()
        _output.done(bool(changes), _("the relay is set up in {file}.").format(file=context.paths.short(at.config)))
        _output.line(_("Next: ccsetup relay check, then ccsetup config-switch relay (which starts it)."))

    if dry_run and not as_json:
        _output.line()
        _output.line(_output.mask(text, context.secrets).rstrip("\n"))
        _output.print_notes(context.notes)
        return 0
    return context.finish("relay import", result, changes, as_json=as_json, dry=dry_run, check=False, show=show)


def _agreed(file: str, as_json: bool) -> bool:
    refusal = _("Writing relay.yaml needs --yes where nobody can be asked.")
    hint = _("See what it finds with --dry-run.")
    return _output.agreed(_("Write {file}? [y/N]").format(file=file), as_json, refusal, hint)


def _checked(context: Context, text: str, made: Config) -> Config:
    """Return *made* as it stands in the file; what is written has to be read again."""
    read = parse(text.encode(), "relay.yaml", context.preset)
    assert read.upstreams == made.upstreams
    return read


def _read(file: str) -> bytes:
    try:
        return bounded.given(file, _MOST)
    except OSError as e:
        raise UsageError(_("{file} cannot be read: {reason}").format(file=file, reason=e.strerror)) from None


def _recognise(data: bytes, file: str) -> str:
    """Return whose file it is."""
    try:
        value = json.loads(data.removeprefix(b"\xef\xbb\xbf"))
    except (ValueError, RecursionError):
        value = None  # claude-code-router takes comments, too
    keys: Sequence[str] = list(value) if isinstance(value, dict) else []
    text = data.decode("utf-8", "replace")
    for name, marks in _SHAPES.items():
        if any(mark in keys if value is not None else f'"{mark}"' in text for mark in marks):
            return name
    raise UsageError(
        _("{file} is no configuration of a relay that is known.").format(file=file),
        hint=_("Say whose it is with --from codex_cc_switch or --from claude-code-router."),
    )


def _row(upstream: Upstream, files: Mapping[str, Secret]) -> dict[str, Any]:
    keys = [files[k.value].reveal() if k.value in files else "" for k in upstream.keys]
    return {
        "name": upstream.name,
        "group": upstream.group,
        "enabled": upstream.enabled,
        "endpoints": dict(upstream.endpoints),
        "default_model": upstream.default_model,
        "keys": [
            {"kind": ref.kind, "last4": key[-4:] if len(key) >= 12 else ""}
            for ref, key in zip(upstream.keys, keys, strict=True)
        ],
    }


def _show(name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    _output.line(_("From {name}:").format(name=name))
    table = [[_("upstream"), _("group"), _("addresses"), _("key"), ""]]
    for row in rows:
        keys = ", ".join("…" + k["last4"] if k["last4"] else k["kind"] for k in row["keys"])
        off = "" if row["enabled"] else _("switched off")
        urls = ", ".join(dict.fromkeys(row["endpoints"].values()))
        table.append([row["name"], row["group"], urls, keys, off])
    _output.line(_output.safe(_output.columns(table)))
