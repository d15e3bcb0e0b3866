"""How the cost of ``config-switch`` grows with the size of the clients' files."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from side_by_side import CCSETUP, PYTHON, environment, goal, measure, scratch

TARGETS = {"config.toml, 20,000 lines": 600, "settings.json, 4 MB": 600, ".claude.json, 4 MB": 600}
"""Milliseconds of wall time."""


def toml_of(lines: int) -> str:
    """A config.toml as Codex grows it: one table per project."""
    out = ['model_reasoning_effort = "high"  # mine\n', "\n"]
    n = 0
    while len(out) < lines:
        out += [f'[projects."/home/user/code/project-{n}"]\n', 'trust_level = "trusted"  # asked once\n', "\n"]
        n += 1
    return "".join(out[:lines] if lines > 2 else out)


def json_of(size: int) -> str:
    """A document of about *size* bytes in the shape of .claude.json."""
    one = {"allowedTools": [], "history": [{"display": "x" * 120, "pastedContents": {}}] * 4, "cost": 0.123456789}
    each = len(json.dumps({"projects": {"/home/user/code/project-00000": one}}, indent=2))
    projects = {f"/home/user/code/project-{i:05}": one for i in range(max(1, size // each))}
    return json.dumps({"numStartups": 17, "projects": projects}, indent=2)


def main() -> None:
    cases: list[tuple[str, str, str, str]] = []
    for lines in (10, 1_000, 20_000):
        cases.append((f"config.toml, {lines:,} lines", "codex", ".codex/config.toml", toml_of(lines)))
    for size, label in ((1_000, "1 kB"), (1_000_000, "1 MB"), (4_000_000, "4 MB"), (20_000_000, "20 MB")):
        cases.append((f"settings.json, {label}", "claude-code", ".claude/settings.json", json_of(size)))
    for size, label in ((4_000_000, "4 MB"), (20_000_000, "20 MB")):
        cases.append((f".claude.json, {label}", "claude-code", ".claude.json", json_of(size)))
    with scratch() as name:
        commands = {"python -I -c pass": [str(PYTHON), "-I", "-c", "pass"]}
        env = {"python -I -c pass": environment(Path(name))}
        for i, (label, client, file, text) in enumerate(cases):
            home = Path(name, f"home-{i}")
            (home / file).parent.mkdir(parents=True)
            (home / file).write_text(text)
            for preset in ("glm", "kimi"):
                subprocess.run(
                    [str(CCSETUP), "init", "-s", "-p", preset, "-k", f"sk-bench-{preset}", "-T", client],
                    env=environment(home),
                    stdout=subprocess.DEVNULL,
                    check=True,
                )
            switch = [str(CCSETUP), "config-switch"]
            commands[label] = lambda run, switch=switch: [*switch, ("glm", "kimi")[run % 2]]  # type: ignore[misc,assignment]
            env[label] = environment(home)
        figures = measure(commands, env, 5, Path(name))
    base = figures["python -I -c pass"]
    print("| config-switch with | wall ms | CPU ms | x python -c pass | target (wall ms) |\n|---|---|---|---|---|")
    for label, f in figures.items():
        target = goal(f.wall * 1000, TARGETS[label]) if label in TARGETS else ""
        print(f"| {label} | {f.wall * 1000:.0f} | {f.cpu * 1000:.0f} | {f.cpu / base.cpu:.1f} | {target} |")


if __name__ == "__main__":
    main()
