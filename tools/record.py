"""Make the pictures of the documentation: ``python tools/record.py``; needs tmux for the second one.

* docs/img/session.svg: commands, run in a terminal of their own in an empty home, and what they print.
* docs/img/wizard.svg and wizard.zh-CN.svg: the wizard in tmux, one frame for each key, as an SVG that moves.
"""

from __future__ import annotations

import os
import pty
import re
import sys
import tempfile
from html import escape
from pathlib import Path

from rich.ansi import AnsiDecoder
from rich.console import Console
from rich.terminal_theme import SVG_EXPORT_THEME as THEME
from rich.text import Text

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
IMAGES = os.path.join(ROOT, "docs", "img")
PICTURE = os.path.join(IMAGES, "session.svg")
WIDTH = 92

sys.path.insert(0, os.path.join(ROOT, "tests"))

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


KEY = "sk-glm-0123456789abcdef"

WIZARD: tuple[tuple[tuple[str, ...], str, float], ...] = (
    # keys, what is on the screen then, how many seconds it stays
    ((), "Codex", 2.0),
    (("Enter",), "302ai", 1.5),
    (("g",), "> glm", 0.4),
    (("l",), "> glm", 0.4),
    (("m",), "> glm", 1.5),
    (("Enter",), "z.ai", 1.5),
    (("Enter",), "bigmodel.cn/usercenter", 1.5),
    ((KEY,), "****", 1.0),
    (("Enter",), "glm-5.3", 2.0),
    (("Enter",), "settings.json", 2.0),
    (("Enter",), "model_providers", 4.0),
    (("Enter",), "ccsetup test glm", 2.0),
    (("Down",), "ccsetup test glm", 0.6),
    (("Enter",), "ccsetup init -s", 6.0),
)


def wizard(language: str) -> list[tuple[str, float]]:
    """Return the screens of a first run in *language*, each with the seconds it stays."""
    from support.screen import Screen
    from support.terminal import machine_with_clients

    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        home.mkdir()
        env = {**machine_with_clients(Path(folder)), "CCSETUP_LANG": language}
        frames = []
        with Screen(home, "init", env=env, columns=80, rows=24) as screen:
            for keys, text, seconds in WIZARD:
                if keys:
                    screen.press(*keys)
                screen.shows(text)
                frames.append((screen.coloured(), seconds))
    return frames


def film(frames: list[tuple[str, float]], title: str) -> str:
    """Return an SVG that shows *frames* one after the other, for ever; without motion, the last one."""
    wide, high, left, top = 8.4, 18, 12, 40
    width, height = round(80 * wide + 2 * left), 24 * high + top + 12
    total = sum(seconds for _screen, seconds in frames)
    lines: dict[str, str] = {}
    groups, moves = [], []
    start = 0.0
    for number, (screen, seconds) in enumerate(frames):
        rows = []
        for y, line in enumerate(AnsiDecoder().decode(screen.rstrip("\n"))):
            drawn = _row(line, wide)
            if drawn:
                name = lines.setdefault(drawn, f"l{len(lines)}")
                rows.append(f'<use href="#{name}" y="{top + 14 + y * high}"/>')
        groups.append(f'<g class="f" id="f{number}">{"".join(rows)}</g>')
        begin, end = 100 * start / total, 100 * (start + seconds) / total
        shown = f"{begin:.3f}%{{visibility:visible}}" + (f"{end:.3f}%{{visibility:hidden}}" if end < 99.99 else "")
        first = "" if begin == 0 else "0%{visibility:hidden}"
        moves.append(f"#f{number}{{animation-name:k{number}}}@keyframes k{number}{{{first}{shown}}}")
        start += seconds
    last = len(frames) - 1
    style = (
        f".f{{visibility:hidden;animation:{total}s step-end infinite}}"
        + "".join(moves)
        + f"@media (prefers-reduced-motion:reduce){{.f{{animation:none}}#f{last}{{visibility:visible}}}}"
        + f"text{{font:14px ui-monospace,Menlo,Consolas,monospace;fill:{THEME.foreground_color.hex}}}"
    )
    shapes = "".join(f'<g id="{name}">{drawn}</g>' for drawn, name in lines.items())
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">'
        f"<title>{escape(title)}</title><style>{style}</style><defs>{shapes}</defs>"
        f'<rect width="{width}" height="{height}" rx="8" fill="{THEME.background_color.hex}"/>'
        '<circle cx="20" cy="18" r="6" fill="#ff5f57"/><circle cx="40" cy="18" r="6" fill="#febc2e"/>'
        '<circle cx="60" cy="18" r="6" fill="#28c840"/>'
        f'<g transform="translate({left} 0)">{"".join(groups)}</g></svg>\n'
    )


_RUN = re.compile(r"[\u2e80-\uffef]+|[^\s\u2e80-\uffef]+(?: [^\s\u2e80-\uffef]+)*")
"""What is placed as one text: an SVG may lose more than one space, and a Chinese font has a width of its own."""


def _row(line: Text, wide: float) -> str:
    """Return one line of a screen as SVG: a text for each run of one style, placed by its column."""
    from ccsetup.cli import _output

    out, column = [], 0
    for segment in line.render(Console(), end=""):
        look = ""
        if segment.style and segment.style.color and not segment.style.color.is_default:
            look += f' fill="{segment.style.color.get_truecolor(THEME).hex}"'
        if segment.style and segment.style.bold:
            look += ' font-weight="bold"'
        for words in _RUN.finditer(segment.text):
            x = (column + _output.width(segment.text[: words.start()])) * wide
            length = _output.width(words[0]) * wide
            out.append(f'<text x="{x:.1f}" textLength="{length:.1f}"{look}>{escape(words[0])}</text>')
        column += _output.width(segment.text)
    return "".join(out)


def session() -> str:
    """Return the picture of SESSION."""
    with open(os.devnull, "w", encoding="utf-8") as nowhere, tempfile.TemporaryDirectory() as home:
        console = Console(record=True, width=WIDTH, file=nowhere, force_terminal=True, color_system="truecolor")
        for command in SESSION:
            console.print(Text.assemble(("$ ", "bold green"), (command, "bold")))
            console.print(Text.from_ansi(run(command, home)))
        picture = console.export_svg(title="ccsetup", unique_id="ccsetup")
    # A picture loads nothing from elsewhere.
    return re.sub(r"\s*@font-face \{.*?\}", "", picture, flags=re.S).replace("Fira Code", "ui-monospace")


def main() -> None:
    titles = {
        "en": "ccsetup init asks what it needs, shows the plan, and writes",
        "zh-CN": "ccsetup init：提问、显示计划、写入",
    }
    pictures = {PICTURE: session()}
    for language, title in titles.items():
        name = "wizard.svg" if language == "en" else f"wizard.{language}.svg"
        pictures[os.path.join(IMAGES, name)] = film(wizard(language), title)
    os.makedirs(IMAGES, exist_ok=True)
    for path, picture in pictures.items():
        with open(path, "w", encoding="utf-8") as file:
            file.write(picture)
        print(os.path.relpath(path, ROOT))


if __name__ == "__main__":
    main()
