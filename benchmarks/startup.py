"""What commands cost, against an empty Typer app in the same venv and against zcf from npm doing the same."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from side_by_side import CCSETUP, PYTHON, ROOT, Figure, environment, goal, measure, scratch

sys.path.insert(0, str(ROOT / "tests"))

from support import peers

EMPTY = """
import typer
app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
@app.command()
def one(x: str = "1"): pass
@app.command()
def two(): pass
app()
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--no-zcf", action="store_true")
    options = parser.parse_args()
    with scratch() as name:
        home, other = Path(name, "home"), Path(name, "zcf-home")
        home.mkdir()
        other.mkdir()
        empty = Path(name, "empty.py")
        empty.write_text(EMPTY)
        cc = str(CCSETUP)
        for preset, key in (("glm", "sk-benchmark-one"), ("kimi", "sk-benchmark-two")):
            subprocess.run(
                [cc, "init", "-s", "-p", preset, "-k", key, "-T", "all"],
                env=environment(home),
                stdout=subprocess.DEVNULL,
                check=True,
            )
        commands = {
            "python -I -c pass": [str(PYTHON), "-I", "-c", "pass"],
            "empty Typer app": [str(PYTHON), str(empty), "one"],
            "empty Typer app, completion": [str(PYTHON), str(empty)],
            "ccsetup --version": [cc, "--version"],
            "ccsetup --help": [cc, "--help"],
            "ccsetup, completion": [cc],
            "ccsetup list": [cc, "list"],
            "ccsetup config-switch NAME": lambda run: [cc, "config-switch", ("glm", "kimi")[run % 2]],
            "ccsetup init -s": lambda run: [
                *(cc, "init", "-s", "-p", "glm", "-k", f"sk-benchmark-{run}", "-T", "all"),
            ],
        }
        env = {key: environment(home) for key in commands}
        complete = {"COMP_CWORD": "1"}
        env["ccsetup, completion"] = environment(
            home, {**complete, "_CCSETUP_COMPLETE": "complete_bash", "COMP_WORDS": "ccsetup conf"}
        )
        env["empty Typer app, completion"] = environment(
            home, {**complete, "_EMPTY.PY_COMPLETE": "complete_bash", "COMP_WORDS": "empty.py o"}
        )
        if not options.no_zcf:
            tool = str(peers.npm("zcf"))
            first = ["init", "-s", "-m", "skip", "-w", "skip", "-o", "skip", "-x", "false"]
            first += ["-g", "en", "-c", "en", "-a", "en", "-r", "new"]
            job = [tool, *first, "-t", "api_key", "-k", "sk-benchmark-one", "-u", "https://example.com/one"]
            subprocess.run(
                [tool, "init", *first[1:], "-p", "302ai", "-k", "sk-benchmark-one"],
                env=environment(other),
                cwd=name,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                stdin=subprocess.DEVNULL,
                check=False,
            )
            commands |= {
                "zcf --version": [tool, "--version"],
                "zcf --help": [tool, "--help"],
                "zcf config-switch --list": [tool, "config-switch", "--list", "-g", "en"],
                "zcf config-switch official": [tool, "config-switch", "official", "-g", "en"],
                "zcf init -s": job,
            }
            env |= {key: environment(other) for key in commands if key.startswith("zcf")}
        figures = measure(commands, env, options.runs, Path(name))
    print(table(figures))


TARGETS = {
    "ccsetup --version": 0.5,
    "ccsetup, completion": 1.2,
    "ccsetup list": 1.4,
    "ccsetup config-switch NAME": 1.6,
    "ccsetup init -s": 1.8,
}
SAME_JOB = {
    "ccsetup --version": "zcf --version",
    "ccsetup --help": "zcf --help",
    "ccsetup list": "zcf config-switch --list",
    "ccsetup config-switch NAME": "zcf config-switch official",
    "ccsetup init -s": "zcf init -s",
}


def table(figures: dict[str, Figure]) -> str:
    base = figures["empty Typer app"]
    base_completion = figures["empty Typer app, completion"]
    lines = [
        "| command | wall ms | CPU ms | x empty Typer app (CPU) | target | zcf, same job: wall ms | x zcf (wall) |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, f in figures.items():
        compared = base_completion if "completion" in name else base
        target = goal(round(f.cpu / compared.cpu, 2), TARGETS[name]) if name in TARGETS else ""
        peer = figures.get(SAME_JOB.get(name, ""))
        lines.append(
            f"| {name} | {f.wall * 1000:.0f} | {f.cpu * 1000:.0f} | {f.cpu / compared.cpu:.2f} | {target} | "
            + (f"{peer.wall * 1000:.0f} | {f.wall / peer.wall:.2f} |" if peer else " | |")
        )
    return "\n".join(lines) + f"\n\n{os.cpu_count()} cores; medians; commands in turn."


if __name__ == "__main__":
    main()
