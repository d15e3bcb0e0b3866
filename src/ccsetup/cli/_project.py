"""``--project``: the settings of the current folder instead of the user's."""

from __future__ import annotations

import os
from typing import Sequence

from ccsetup import git
from ccsetup.change import actions
from ccsetup.change.merge import Request
from ccsetup.change.world import World
from ccsetup.cli._context import Context
from ccsetup.clients import CLIENTS
from ccsetup.errors import UsageError
from ccsetup.i18n import _
from ccsetup.model import ClientName
from ccsetup.naming import project_settings
from ccsetup.plan import Note
from ccsetup.profiles import Part


def check(context: Context) -> str:
    """Return the project: the current folder; UsageError where its settings are the user's own."""
    folder = context.paths.cwd
    if os.path.realpath(os.path.join(folder, ".claude")) == os.path.realpath(context.paths.claude_dir):
        raise UsageError(
            _("This folder holds your own settings; it is no project."),
            hint=_("Go into a project, or leave --project out."),
        )
    return folder


def saves(world: World, request: Request) -> bool:
    """Tell whether *request* is for a new profile; a saved one stays as it is, wherever it is used besides.

    Raises UsageError where the request asks for another profile than the saved one of its name is.
    """
    old = world.profiles.get(request.name)
    if old is None:
        return True
    preset = world.load_preset(old.provider)
    asked = request.parts.items()
    fits = (
        request.provider in ("", old.provider)
        and preset.region(request.region or old.region) == preset.region(old.region)
        and all(v in ("", 0, getattr(old.parts.get(c, Part()), f)) for c, p in asked for f, v in p._asdict().items())
        and all(c in old.parts for c in request.parts if CLIENTS[c].projects)
        and request.key_storage in ("", old.key_storage)
        and request.key_env in ("", old.key_env)
        and request.key_command in ("", old.key_command)
        and (request.key is None or (not old.key_command and request.key == world.key(old)))
    )
    if not fits:
        text = _("There is a profile '{name}' already, which --project leaves as it is: key or settings are others.")
        raise UsageError(text.format(name=old.name), hint=_("Choose another name with -n NAME."))
    return False


def use(world: World, name: str, clients: Sequence[ClientName], folder: str, *, repair: bool) -> list[ClientName]:
    """Make those of *clients* that have project settings use profile *name* in *folder*; return them.

    Of the others it is told how to start them.
    """
    profile = world.find(name)
    wanted = clients or list(profile.parts)
    here = [c for c in wanted if CLIENTS[c].projects]
    for client in (CLIENTS[c] for c in wanted if c not in here):
        if clients and client.id not in profile.parts:
            world.use(profile, client.id)
        text = _("{client} takes no provider from a project's files.").format(client=client.title)
        start = _("Start it with: {command}").format(command=f"{client.program} -p {name}") if client.beside else ""
        world.notes.append(Note("info", text, start))
    if not here:
        return []
    path = project_settings(folder)
    if profile.key_storage == "inline" and git.tracks(os.path.dirname(os.path.dirname(path)), path):
        raise UsageError(
            _("git tracks {file}: the key would be committed.").format(file=world.paths.short(path)),
            hint=_(
                "Keep the key out of it: add --key-storage command, for a saved profile with: "
                "ccsetup init -n {name} --key-storage command"
            ).format(name=name),
        )
    for id_ in here:
        actions.use_in_project(world, id_, name, folder, repair=repair)
    return here


def text(context: Context, name: str, folder: str) -> str:
    """Return what was done, for people."""
    if not name:
        return _("Claude Code uses no provider of its own in {folder}.").format(folder=context.paths.short(folder))
    return _("Claude Code uses profile '{name}' in {folder}.").format(name=name, folder=context.paths.short(folder))
