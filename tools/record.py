"""Make docs/img/session.svg, the picture in the README: ``python tools/record.py``.

Runs the real commands in a terminal of their own, in an empty home, and draws what they print.
"""

from __future__ import annotations

import os
import pty
import re
import sys
import tempfile

from rich.console import Console
from rich.text import Text

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PICTURE = os.path.join(ROOT, "docs", "img", "session.svg")
WIDTH = 92

SESSION = (
    "ccsetup init -p glm -k $GLM_KEY -T all",
    "ccsetup init -p kimi -k $KIMI_KEY",
    "ccsetup list | head -6",
    "ccsetup config-switch glm --dry-run | head -12",
    "ccsetup undo",
)


def run(command: str, home: str) -> str:
    """Return what *command* writes to a terminal, colours included."""
    child, terminal = pty.fork()
    if child == 0:
        environment = {
            "HOME": home,
            "PATH": os.path.dirname(sys.executable) + ":/usr/bin:/bin",
            "TERM": "xterm-256color",
            "LANG": "C.UTF-8",
            "COLUMNS": str(WIDTH),
            "GLM_KEY": "sk-glm-0123456789abcdef",
            "KIMI_KEY": "sk-moonshot-0123456789",
        }
        os.chdir(home)
        os.execve("/bin/sh", ["sh", "-c", command], environment)
    out = b""
    while True:
        try:
            part = os.read(terminal, 4096)
        except OSError:  # how Linux says that the other end is closed
            part = b""
        if not part:
            break
        out += part
    os.waitpid(child, 0)
    os.close(terminal)
    return out.decode().replace("\r\n", "\n")


def main() -> None:
    with open(os.devnull, "w", encoding="utf-8") as nowhere, tempfile.TemporaryDirectory() as home:
        console = Console(record=True, width=WIDTH, file=nowhere, force_terminal=True, color_system="truecolor")
        for command in SESSION:
            console.print(Text.assemble(("$ ", "bold green"), (command, "bold")))
            console.print(Text.from_ansi(run(command, home)))
        os.makedirs(os.path.dirname(PICTURE), exist_ok=True)
        picture = console.export_svg(title="ccsetup", unique_id="ccsetup")
        with open(PICTURE, "w", encoding="utf-8") as file:
            # A picture loads nothing from elsewhere.
            file.write(re.sub(r"\s*@font-face \{.*?\}", "", picture, flags=re.S).replace("Fira Code", "ui-monospace"))
    print(os.path.relpath(PICTURE, ROOT))


if __name__ == "__main__":
    main()
