"""How the cost of commands grows with the number of saved profiles."""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from side_by_side import CCSETUP, environment, goal, scratch

from ccsetup.clients import releases

COUNTS = (3, 10, 100, 400)
ROUNDS = 5
TARGETS = {
    "init --api-configs": (10, 60.0),
    "list": (3, 1.3),
    "list --json": (3, 1.3),
    "config-switch": (3, 1.3),
    "doctor": (3, 3.0),
}
"""How many times the work of so many profiles that of the most may be."""


def cpu(command: list[str], env: dict[str, str]) -> float:
    """Return the CPU milliseconds of *command*, with those of its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, env=env, cwd=env["HOME"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def entries(count: int) -> str:
    """Return a document of *count* profiles; each has another key."""
    keys = (f"{os.urandom(16).hex()}.{os.urandom(8).hex()}" for _ in range(count))
    one = {"provider": "glm", "region": "cn", "codeType": ["claude-code", "codex"]}
    return json.dumps([{"name": f"p{i}", "key": key, **one} for i, key in enumerate(keys)])


def main() -> None:
    names = ("init --api-configs", "list", "list --json", "config-switch", "doctor")
    found: dict[tuple[str, int], list[float]] = {(name, n): [] for name in names for n in COUNTS}
    sizes: dict[int, int] = {}
    with ExitStack() as stack:
        homes = {n: Path(stack.enter_context(scratch())) for n in COUNTS}
        for n, home in homes.items():
            (home / "many.json").write_text(entries(n))
        argv: dict[str, list[str]] = {
            "list": [str(CCSETUP), "list"],
            "list --json": [str(CCSETUP), "list", "--json"],
            "config-switch": [],
            "doctor": ["sh", "-c", f"{CCSETUP} doctor || true"],
        }
        version = ["--codex-version", releases.CODEX[0]]
        for n in COUNTS:  # the first one makes the homes that the others are measured in
            init = [str(CCSETUP), "init", "-s", "--api-configs-file", "many.json", *version]
            found["init --api-configs", n].append(cpu(init, environment(homes[n])))
        for round_ in range(-1, ROUNDS):
            for name, command in argv.items():
                for n in COUNTS if round_ % 2 else reversed(COUNTS):
                    switch = [str(CCSETUP), "config-switch", f"p{round_ % 2}"]
                    took = cpu(command or switch, environment(homes[n]))
                    if round_ >= 0:
                        found[name, n].append(took)
            print(f"round {round_ + 1} of {ROUNDS}", file=sys.stderr)
        for n, home in homes.items():
            sizes[n] = max(home.glob(".local/state/ccsetup/journal/*.json")).stat().st_size
    print(
        "| profiles | "
        + " | ".join(f"{name}: CPU ms | x {COUNTS[0]}" for name in names)
        + " | record of a switch, kB |"
    )
    print("|---" * (2 * len(names) + 2) + "|")
    for n in COUNTS:
        cells = [str(n)]
        for name in names:
            now, least = statistics.median(found[name, n]), statistics.median(found[name, COUNTS[0]])
            cells += [f"{now:.0f}", f"{now / least:.1f}"]
        print("| " + " | ".join([*cells, f"{sizes[n] / 1000:.0f}"]) + " |")
    most = COUNTS[-1]
    print(f"\n| with {most} profiles | times that with | measured | target |\n|---|---|---|---|")
    for name, (few, target) in TARGETS.items():
        times = statistics.median(found[name, most]) / statistics.median(found[name, few])
        print(f"| {name} | {few} | {times:.2f} | {goal(round(times, 2), target)} |")
    times = sizes[most] / sizes[COUNTS[0]]
    print(f"| record of a switch | {COUNTS[0]} | {times:.2f} | {goal(round(times, 2), 1.1)} |")


if __name__ == "__main__":
    main()
