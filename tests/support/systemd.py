"""A ``systemctl`` that does what the relay needs of the real one, without any systemd.

It notes its arguments in ``$HOME/asked``, runs a unit's command when it is told to start it, and says of a unit's state
what is in ``$HOME/state``, and of its variables what is in ``$HOME/variables``.
"""

from __future__ import annotations

import os
from pathlib import Path

_SCRIPT = """#!/bin/sh
echo "$@" >> "$HOME/asked"
case "$*" in
  "--user start "*)
    unit="$HOME/.config/systemd/user/ccsetup-relay.service"
    command=$(sed -n 's/^ExecStart=//p' "$unit")
    log=$(sed -n 's/^StandardError=append://p' "$unit")
    eval "setsid $command </dev/null >>\\"$log\\" 2>&1 &" ;;
  "--user enable "*) touch "$HOME/enabled" ;;
  "--user disable "*) rm -f "$HOME/enabled" ;;
  *is-enabled*) [ -e "$HOME/enabled" ] && echo enabled || { echo disabled; false; } ;;
  *show-environment) cat "$HOME/variables" 2>/dev/null; true ;;
  *ActiveState*) cat "$HOME/state" 2>/dev/null || echo activating ;;
esac
"""


def stand_in(folder: Path) -> dict[str, str]:
    """Return the variables by which it is found; it is put below *folder*."""
    programs = folder / "programs"
    programs.mkdir()
    (programs / "systemctl").write_text(_SCRIPT)
    (programs / "systemctl").chmod(0o755)
    return {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
