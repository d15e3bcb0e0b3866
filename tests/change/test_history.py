"""Sessions of Codex get another provider id and their own one back, whatever happens meanwhile."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any, Optional

import pytest
from support import cc

from ccsetup import bounded

KILLS = int(os.environ.get("CCSETUP_TEST_KILLS", "12"))
CONFIG = 'model = "m"\nmodel_provider = "ccsetup"\n[model_providers.ccsetup]\nname = "x"\nbase_url = "http://127.0.0.1:9/v1"\n'
SAID = 'He said {"model_provider":"ccsetup-old"} and "model_provider_id":"ccsetup-old"'
Shape = dict[str, tuple[str, str, bool]]
"""The id in the file's first line, the one in the database, and whether the file names no other, by session."""


@pytest.fixture
def codex(home: Path) -> Path:
    folder = home / ".codex"
    cc.put(home, {".codex/config.toml": CONFIG})
    with sqlite3.connect(folder / "state_5.sqlite") as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute(
            "CREATE TABLE threads (id TEXT PRIMARY KEY, rollout_path TEXT, model_provider TEXT, updated_at INTEGER)"
        )
    db.close()
    return folder


def add(
    codex: Path, provider: str, number: int, *, row: Optional[str] = "", folder: str = "sessions/2026/11/28"
) -> Path:
    """Make a session; *row*: the id in the database, "" for the same, None for none."""
    id_ = str(uuid.UUID(int=number))
    path = codex / folder / f"rollout-2026-11-28T10-00-00-{id_}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines: list[dict[str, Any]] = [
        {
            "type": "session_meta",
            "payload": {"id": id_, "model_provider": provider, "base_instructions": {"text": SAID}},
        },
        {"type": "response_item", "payload": {"content": [{"text": SAID, "model_provider": provider}]}},
        {"type": "event_msg", "payload": {"thread_settings": {"model": "m", "model_provider_id": provider}}},
    ]
    path.write_text("".join(json.dumps(line, separators=(",", ":"), ensure_ascii=False) + "\n" for line in lines))
    path.chmod(0o644)
    os.utime(path, (1_790_000_000 + number, 1_790_000_000 + number))
    if row is not None:
        with sqlite3.connect(codex / "state_5.sqlite") as db:
            db.execute("INSERT INTO threads VALUES (?, ?, ?, ?)", (id_, str(path), row or provider, number))
        db.close()
    return path


def shape(codex: Path) -> Shape:
    with sqlite3.connect(codex / "state_5.sqlite") as db:
        rows = dict(db.execute("SELECT id, model_provider FROM threads"))
    db.close()
    out: Shape = {}
    for path in codex.rglob("rollout-*.jsonl"):
        lines = [json.loads(line)["payload"] for line in path.read_text().splitlines()]
        first, later = lines[0]["model_provider"], lines[2]["thread_settings"]["model_provider_id"]
        out[lines[0]["id"]] = (first, rows.get(lines[0]["id"], ""), first == later)
    return out


def test_forty_are_joined_and_taken_back_with_three_new_ones_between(home: Path, codex: Path) -> None:
    """Every byte but the ids stays, so do time and mode; undo gives the bytes back, and leaves what came since."""
    ids = ("ccsetup-old", "ccsetup-older", "gone-tool")
    for n in range(40):
        add(codex, ids[n % 3], n, folder="archived_sessions" if n % 5 == 4 else "sessions/2026/11/28")
    untouched = add(codex, "openai", 100).read_bytes()
    before = {p: (p.read_bytes(), p.stat().st_mtime_ns, p.stat().st_mode) for p in codex.rglob("rollout-*")}
    database, was = (codex / "state_5.sqlite").stat().st_ino, shape(codex)
    looked = cc.main("history", "join", "--dry-run", "--json").json["result"]
    assert (looked["sessions"], looked["would_change"], looked["ids"]) == (40, True, sorted(ids))
    assert shape(codex) == was
    assert cc.main("history", "join", "--json").json["result"]["sessions"] == 40
    now = shape(codex)
    assert list(now.values()).count(("ccsetup", "ccsetup", True)) == 40
    assert sorted(now.values())[-1] == ("openai", "openai", True)
    for path, (data, time, mode) in before.items():
        assert (path.stat().st_mtime_ns, path.stat().st_mode) == (time, mode)
        assert path.read_text().count(json.dumps(SAID, ensure_ascii=False)) == 2
        assert path.read_bytes().count(b"\n") == data.count(b"\n")
    assert cc.main("history", "join").stdout == "Nothing to join.\n"

    new = [add(codex, "ccsetup", 200 + n) for n in range(3)]
    continued, deleted = sorted(before)[0], sorted(before)[1]
    with continued.open("a") as file:
        file.write('{"type":"event_msg","payload":{"model_provider":"ccsetup"}}\n')
    kept = continued.read_bytes()
    deleted.unlink()
    done = cc.main("history", "undo", "--json").json["result"]
    assert (done["sessions"], done["kept"]) == (38, 1)
    assert continued.read_bytes() == kept
    for path, (data, time, mode) in before.items():
        if path not in (continued, deleted):
            assert (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_mode) == (data, time, mode)
    then = shape(codex)
    assert {i: s for i, s in then.items() if s[0] != "ccsetup"}.items() <= was.items()
    assert sum(s == ("ccsetup", "ccsetup", True) for s in then.values()) == len(new) + 1
    assert (
        codex / "sessions/2026/11/28" / f"rollout-2026-11-28T10-00-00-{uuid.UUID(int=100)}.jsonl"
    ).read_bytes() == untouched
    assert (codex / "state_5.sqlite").stat().st_ino == database
    assert cc.main("history", "undo").rc == 1


@pytest.mark.parametrize(
    ("present", "named", "joined"),
    [
        ((), (), {"ccsetup-old", "gone-tool"}),
        ((".cc-switch",), (), {"ccsetup-old"}),
        ((".cc-switch",), ("gone-tool",), {"gone-tool"}),
        ((), ("openai",), {"openai"}),
        ((), ("mine", "ccsetup-old"), {"mine", "ccsetup-old"}),
    ],
)
def test_whose_sessions_are_joined(
    home: Path, codex: Path, present: tuple[str, ...], named: tuple[str, ...], joined: set[str]
) -> None:
    """Ours and those of tools that are gone; a tool that is there, a table that is there, and OpenAI only by name."""
    for name in present:
        (home / name).mkdir()
    with (codex / "config.toml").open("a") as file:
        file.write('[model_providers.mine]\nname = "x"\nbase_url = "http://127.0.0.1:9/v1"\n')
    every = ("ccsetup-old", "gone-tool", "openai", "mine", "ccsetup")
    for number, name in enumerate(every):
        add(codex, name, number)
    assert cc.main("history", "join", *named).ok
    stayed = {s[0] for s in shape(codex).values()} - {"ccsetup"}
    assert stayed == {*every} - joined - {"ccsetup"}


def test_what_stands_in_one_place_only_is_joined(home: Path, codex: Path) -> None:
    """A session whose file and row differ, one without a row, and one without a file."""
    add(codex, "ccsetup", 1, row="ccsetup-old")
    add(codex, "ccsetup-old", 2, row="ccsetup")
    add(codex, "ccsetup-old", 3, row=None)
    add(codex, "ccsetup-old", 4).unlink()
    assert cc.main("history", "join", "--json").json["result"]["sessions"] == 4
    assert set(shape(codex).values()) == {("ccsetup", "ccsetup", True), ("ccsetup", "", True)}
    rows = {r["id"]: r["sessions"] for r in cc.main("history", "list", "--json").json["result"]["providers"]}
    assert rows == {"ccsetup": 4}


def test_a_running_codex_keeps_everything_as_it_is(home: Path, codex: Path) -> None:
    """Also one that is idle: it only has its database open."""
    add(codex, "ccsetup-old", 1)
    program = (
        "import sqlite3, sys; db = sqlite3.connect(sys.argv[1])\n"
        "db.execute('SELECT * FROM threads').fetchall(); print(1, flush=True); input()"
    )
    argv = [sys.executable, "-c", program, str(codex / "state_5.sqlite")]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        running.stdout.readline()
        done = cc.main("history", "join")
        running.kill()
    assert done.rc == 1
    assert "Codex is running" in done.stderr
    assert set(shape(codex).values()) == {("ccsetup-old", "ccsetup-old", True)}
    assert cc.main("history", "join").ok


@pytest.mark.parametrize("what", ["join", "undo"])
def test_a_kill_loses_no_session(home: Path, codex: Path, what: str) -> None:
    """At whichever moment: each session is whole, under its old id or the new one, and a second run does the rest."""
    chance = random.Random(3)
    for n in range(60):
        add(codex, "ccsetup-old", n)
    sizes = {p: p.stat().st_size for p in codex.rglob("rollout-*")}
    program = (
        "import sys; from ccsetup.__main__ import main; sys.argv = ['ccsetup', 'history', sys.argv[1]]\n"
        "print(1, flush=True); sys.exit(main())"
    )
    for _number in range(KILLS):
        if what == "undo":
            assert cc.main("history", "join").ok
        with subprocess.Popen([sys.executable, "-c", program, what], stdout=subprocess.PIPE) as running:
            assert running.stdout is not None
            running.stdout.readline()
            try:
                running.wait(chance.uniform(0.05, 0.6))
            except subprocess.TimeoutExpired:
                running.send_signal(signal.SIGKILL)
        now = shape(codex)
        assert len(now) == 60
        assert {part for s in now.values() for part in s[:2]} <= {"ccsetup-old", "ccsetup"}
        assert cc.main("history", what).rc in ((0,) if what == "join" else (0, 1))
        whole = {("ccsetup", "ccsetup", True)} if what == "join" else {("ccsetup-old", "ccsetup-old", True)}
        if what == "undo":
            while cc.main("history", "undo").ok:
                pass
        assert set(shape(codex).values()) == whole
        if what == "join":
            while cc.main("history", "undo").ok:
                pass
            assert set(shape(codex).values()) == {("ccsetup-old", "ccsetup-old", True)}
        assert {p: p.stat().st_size for p in codex.rglob("rollout-*")} == sizes
        assert not [*codex.rglob(".*ccsetup*")]


def test_doctor_names_the_command(home: Path, codex: Path) -> None:
    """A warning, no problem; and nothing is repaired by --fix."""
    add(codex, "ccsetup-old", 1)
    checks = {c["id"]: c for c in cc.main("doctor", "--json").json["result"]["checks"]}
    (found,) = checks["codex-history"]["findings"]
    assert (found["level"], found["fix"]) == ("warning", "Run: ccsetup history join")
    cc.main("doctor", "--fix")
    assert set(shape(codex).values()) == {("ccsetup-old", "ccsetup-old", True)}


ODD = [
    (b'{"payload":{"model_provider":"ccsetup-old"}}\r\n', b'{"payload":{"model_provider":"ccsetup"}}\r\n'),
    (b'{"payload":{"model_provider" : "ccsetup-old"}}', b'{"payload":{"model_provider" : "ccsetup"}}'),
    (
        b'{"payload":{"model_provider":"ccsetup-old"}}\n{"cut \n\xff\n{"payload":{"model_provider":"ccsetup-old"}}',
        b'{"payload":{"model_provider":"ccsetup"}}\n{"cut \n\xff\n{"payload":{"model_provider":"ccsetup"}}',
    ),
    (b'{"payload":{"model_provider":"ccsetup-\\u00e9"}}\n', b'{"payload":{"model_provider":"ccsetup"}}\n'),
    (b'{"payload":{"id":"x"}}\n', None),
    (b'{"payload":{"deep":{"model_provider":"ccsetup-old"}}}\n', None),
    (b'no JSON "model_provider":"ccsetup-old"\n', None),
    (b"", None),
]


@pytest.mark.parametrize(("before", "after"), ODD)
def test_odd_files(home: Path, codex: Path, before: bytes, after: Optional[bytes]) -> None:
    """Only members that name the session's provider change, and come back as they were; a link is followed."""
    path = add(codex, "ccsetup-old", 1, row=None)
    path.write_bytes(before)
    link = path.with_name(path.name.replace("0001.jsonl", "0002.jsonl"))
    link.symlink_to(path)
    assert cc.main("history", "join").ok
    assert path.read_bytes() == (before if after is None else after)
    assert link.is_symlink()
    assert cc.main("history", "undo").rc == (1 if after is None else 0)
    assert path.read_bytes() == before


def test_a_compressed_session(home: Path, codex: Path) -> None:
    """It is packed again where zstd is there; one that cannot be unpacked stays in both places, and is told."""
    zstd = bounded.zstd()
    good, bad = add(codex, "ccsetup-old", 1), add(codex, "ccsetup-old", 2)
    plain = good.read_bytes()
    packed = [p.with_name(p.name + ".zst") for p in (good, bad)]
    packed[0].write_bytes(zstd.compress(plain))
    packed[1].write_bytes(b"no zstd")
    good.unlink()
    bad.unlink()
    done = cc.main("history", "join")
    assert "1 session is filed under 'ccsetup' now." in done.stdout
    assert "1 session is compressed, cannot be unpacked here" in done.stdout + done.stderr
    with sqlite3.connect(codex / "state_5.sqlite") as db:
        assert sorted(r[0] for r in db.execute("SELECT model_provider FROM threads")) == ["ccsetup", "ccsetup-old"]
    db.close()
    assert b'"model_provider":"ccsetup"' in zstd.decompress(packed[0].read_bytes())
    assert packed[1].read_bytes() == b"no zstd"
    assert cc.main("history", "undo").ok
    assert zstd.decompress(packed[0].read_bytes()) == plain
