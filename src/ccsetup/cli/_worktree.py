"""Warns when a key was written where git would carry it away."""

from __future__ import annotations

import os
from typing import Iterable

from ccsetup import git
from ccsetup.cli._context import Context
from ccsetup.i18n import _
from ccsetup.plan import FileChange, Note


def notes(context: Context, changes: Iterable[FileChange]) -> list[Note]:
    """Return a warning for each client file in a git work tree that does not ignore it, symlinks followed."""
    out = []
    ours = (context.paths.config_dir + os.sep, context.paths.state_dir + os.sep)
    for change in changes:
        if change.path.startswith(ours) or change.after is None:
            continue
        if not any(s.encode() in change.after for s in context.secrets if s):
            continue
        real = os.path.realpath(change.path)
        top = git.work_tree(os.path.dirname(real))
        if top and git.ignores(top, real) != 0:
            out.append(
                Note(
                    "warning",
                    _(
                        "{file} lies in the git work tree {tree}, which does not ignore it: the key could be committed."
                    ).format(file=context.paths.short(change.path), tree=context.paths.short(top)),
                    _("Keep the key out of it with: --key-storage command"),
                )
            )
    return out
