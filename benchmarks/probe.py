"""What ``ccsetup test`` costs: many profiles at once against the slowest, a quick test against the bare start, attacks.

Providers are loopback emulators; nothing else is reached.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
sys.path.insert(0, str(ROOT / "src"))

from support import cc, probing  # noqa: E402
from support.emulator import Emulator, Site  # noqa: E402
from support.provider import Call, Response  # noqa: E402

PROFILES = 20
HOSTILE = ("good", "huge-body", "gzip-bomb", "endless-stream", "many-headers", "huge-line-error", "slow-body")


class Cost(NamedTuple):
    wall: float
    cpu: float
    """Seconds of user and system time."""
    memory: float
    """Peak resident megabytes."""
    rc: int
    output: bytes


def measure(home: Path, *argv: str, env: dict[str, str] | None = None) -> Cost:
    """Run ccsetup once."""
    start = time.perf_counter()
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "ccsetup", *argv],
            env=cc.environment(home, env),
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.DEVNULL,
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.perf_counter() - start
        out.seek(0)
        return Cost(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, process.returncode, out.read())


def slow(site: Site, seconds: float) -> None:
    """Let *site* wait so long before each answer."""

    def wait(call: Call) -> Response | None:
        if call.kind != "probe":
            site.closing.wait(seconds)
        return None

    site.script(wait)


def all_profiles(home: Path, runs: int) -> None:
    """Twenty profiles, whose providers take 0.1 to 0.5 seconds for each answer."""
    with contextlib.ExitStack() as stack:
        for number in range(PROFILES):
            emulator = stack.enter_context(Emulator())
            slow(emulator.claude_site, 0.1 + 0.4 * number / (PROFILES - 1))
            save(home, f"p{number}", emulator)
        single, every = [], []
        for _ in range(runs):
            one = measure(home, "test", f"p{PROFILES - 1}", "--json")
            everything = measure(home, "test", "--all", "--json")
            assert one.rc == 0, one.output
            assert everything.rc == 0, everything.output
            assert len(json.loads(everything.output)["result"]["targets"]) == PROFILES
            single.append(one.wall)
            every.append(everything.wall)
    ratio = statistics.median(a / b for a, b in zip(every, single, strict=True))
    print(f"| `test --all`, {PROFILES} profiles | the slowest alone | ratio (goal 1.2) |\n| ---: | ---: | ---: |")
    print(f"| {statistics.median(every):.2f} s | {statistics.median(single):.2f} s | {ratio:.2f} |\n")


def quick(home: Path, runs: int) -> None:
    """CPU of ``test --quick`` of one profile over that of ``--version``."""
    bare, tested = [], []
    with Emulator() as emulator:
        save(home, "quick", emulator)
        for _ in range(runs):
            bare.append(1000 * measure(home, "--version").cpu)
            cost = measure(home, "test", "quick", "--quick")
            assert cost.rc == 0, cost.output
            tested.append(1000 * cost.cpu)
    added = [b - a for a, b in zip(bare, tested, strict=True)]
    print("| CPU of `--version` | of `test --quick` | added (goal 150 ms) | least |\n| ---: | ---: | ---: | ---: |")
    middle = statistics.median
    print(f"| {middle(bare):.0f} ms | {middle(tested):.0f} ms | {middle(added):.0f} ms | {min(added):.0f} ms |\n")


def hostile(home: Path) -> None:
    """Peak memory and time of attacks, with a time limit of two seconds."""
    print("| provider | verdict | peak memory (goal 150 MB) | wall (limit 2 s and the start) |")
    print("| --- | --- | ---: | ---: |")
    with Emulator() as emulator:
        for name in HOSTILE:
            emulator.play(name)
            probing.write_claude(home, emulator.claude_url, emulator.key)
            cost = measure(home, "test", "-T", "claude-code", "--json", "--timeout", "2", env=emulator.env)
            verdict = json.loads(cost.output)["result"]["verdict"]
            print(f"| {name} | {verdict} | {cost.memory:.0f} MB | {cost.wall:.2f} s |")


def save(home: Path, name: str, emulator: Emulator) -> None:
    """Save a profile for *emulator*."""
    argv = ("-s", "-p", "custom", "-n", name, "-T", "claude-code", "-u", emulator.claude_url, "-M", probing.MAIN)
    done = cc.run(home, "init", *argv, "--no-activate", "-k", "-", stdin=emulator.key)
    assert done.rc in (0, 5), done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ccsetup-bench-") as folder:
        home = Path(folder)
        all_profiles(home, options.runs)
        quick(home, 2 * options.runs)
        hostile(home)


if __name__ == "__main__":
    main()
