"""A small program around ``ccsetup.disk``, run as a process of its own so that tests can kill it or break its disk.

    disk_driver.py commit HOME             the plan of ``plan_for``, from its fixed texts
    disk_driver.py put STATE FILE TEXT     make FILE hold TEXT
    disk_driver.py add STATE FILE NAME     set one key of a JSON file; with ``lock`` at the end, as ~/.claude.json
    disk_driver.py remove STATE FILE       delete FILE

DROP_TO_UID in the environment: first become that user (all modules are loaded by then, and need not be readable to it).

Exit 0 done, 1 refused (the message on stderr), 130 interrupted.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "src"))

from ccsetup import disk
from ccsetup.disk import transact
from ccsetup.documents.edit import Set
from ccsetup.errors import CcsetupError
from ccsetup.naming import Homes
from ccsetup.plan import FileChange, Plan

# Loaded now: a fault has to hit the work and not an import, and another user may not read modules.
LOADED = (ctypes, fcntl, json, signal)

OLD = {"a.json": b'{"key": "old-a"}\n', "b.toml": b'key = "old-b"\n', "gone.txt": b"old-gone\n"}
NEW = {"a.json": b'{"key": "new-a"}\n', "b.toml": b'key = "new-b"\n', "made/deep/c.json": b'{"key": "new-c"}\n'}
NAMES = sorted({*OLD, *NEW})


def plan_for(home: str) -> Plan:
    """Two files replaced (one as Claude Code's own), one made in a new folder, one deleted."""
    return Plan(
        "test",
        tuple(
            FileChange(os.path.join(home, name), OLD.get(name), NEW.get(name), claude_lock=name == "a.json")
            for name in NAMES
        ),
    )


def prepare(home: str) -> None:
    for name, data in OLD.items():
        with open(os.path.join(home, name), "wb") as file:
            file.write(data)
        os.chmod(os.path.join(home, name), 0o644)


def found(home: str) -> dict[str, bytes]:
    """What the files of the plan hold; absent ones are left out."""
    result = {}
    for name in NAMES:
        try:
            with open(os.path.join(home, name), "rb") as file:
                result[name] = file.read()
        except FileNotFoundError:
            pass
    return result


def leftovers(*folders: str) -> list[str]:
    """Temporary files, lock folders and unfinished records anywhere below *folders*."""
    return [
        os.path.join(folder, name)
        for top in folders
        for folder, subfolders, files in os.walk(top)
        for name in [*subfolders, *files]
        if ".ccsetup-" in name or name.endswith((".lock", ".pending", ".draft", ".damaged"))
    ]


def here(state: str) -> Homes:
    """Return a home that holds the state folder *state*, and everything beside it."""
    return Homes(os.path.dirname(state), state)


def add(state: str, path: str, name: str, *, lock: bool = False) -> disk.Committed:
    """Set one key of a JSON file to 1, whatever else happens to the file."""

    def build() -> Plan:
        before = disk.snapshot([path])[path]
        data = json.loads(before or b"{}")
        data[name] = 1
        after = json.dumps(data).encode()
        return Plan(
            f"add {name}", (FileChange(path, before, after, format="json", edits=(Set((name,), 1),), claude_lock=lock),)
        )

    return disk.transaction(build, here(state), now=1.0, wait=60)


def main(command: str, first: str, *rest: str) -> None:
    if command == "commit":
        transact.LOOK_EVERY = 0.0
        plan = plan_for(first)
        try:
            os.stat("/marker-begin")  # tests count system calls from here
        except FileNotFoundError:
            pass
        disk.commit(plan, here(os.path.join(first, "state")), now=1.0)
        try:
            os.stat("/marker-end")
        except FileNotFoundError:
            pass
    elif command == "add":
        add(first, rest[0], rest[1], lock=rest[-1] == "lock")
    else:
        path, after = rest[0], rest[1].encode() if command == "put" else None
        disk.commit(Plan(command, (FileChange(path, disk.snapshot([path])[path], after),)), here(first), now=1.0)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
    if uid := int(os.environ.get("DROP_TO_UID", "0")):
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
    try:
        main(*sys.argv[1:])
    except CcsetupError as error:
        sys.exit(error.message)
    except KeyboardInterrupt:
        sys.exit(130)
