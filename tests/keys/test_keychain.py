"""Keys in the system's keyring, with the real Secret Service of gnome-keyring in a D-Bus session of the test's own."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support import cc, waiting

ROOT = Path(__file__).resolve().parents[2]
KEY, NEW = "sk-in-the-keyring-0123", "sk-another-one-in-it-4567"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the keyring service of the test is a Linux one")


def session(home: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Run *script* with an unlocked keyring of its own; ``cc`` in it is this program."""
    if not shutil.which("dbus-run-session") or not shutil.which("gnome-keyring-daemon"):
        pytest.skip("gnome-keyring or dbus-run-session is not installed")
    runtime = home / "run"
    runtime.mkdir(mode=0o700)
    lines = [
        "echo -n password | gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>&1",
        # The service is on the bus a moment after the daemon has started.
        "while sleep 0.2; do",
        f'  {sys.executable} -c \'import keyring; keyring.get_password("ccsetup", "x")\' 2>/dev/null && break',
        "done",
        f'cc() {{ {sys.executable} -m ccsetup "$@"; }}',
        "set -e",
        script,
    ]
    return subprocess.run(
        ["dbus-run-session", "--", "bash", "-c", "\n".join(lines)],
        env={
            "HOME": str(home),
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "XDG_RUNTIME_DIR": str(runtime),
            "PYTHONPATH": str(ROOT / "src"),
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=waiting.LIMIT,
        check=False,
    )


def files_with(home: Path, text: str) -> list[str]:
    """Return the files below *home* that hold *text*; the daemon of the keyring may remove its own."""
    found = []
    for folder, _folders, names in os.walk(home):
        for path in (Path(folder, name) for name in names):
            with contextlib.suppress(FileNotFoundError):
                if path.is_file() and text.encode() in path.read_bytes():
                    found.append(str(path.relative_to(home)))
    return found


def test_a_key_in_the_keyring_is_in_no_file(home: Path) -> None:
    """The clients get a command that asks ccsetup for the key; the key itself is only in the keyring."""
    done = session(home, f"cc init -p glm -k {KEY} -T all --key-storage keyring; cc key get glm; echo; cc key list")
    assert done.returncode == 0, done.stderr
    assert KEY in done.stdout.splitlines()
    assert f"…{KEY[-4:]}" in done.stdout
    assert [f for f in files_with(home, KEY) if "keyrings" not in f] == []
    assert "key get glm" in (home / ".claude/settings.json").read_text()
    config = (home / ".codex/config.toml").read_text()
    assert 'args = ["-m", "ccsetup", "key", "get", "glm"]' in config or 'args = ["key", "get", "glm"]' in config


def test_rotation_and_moving_the_key(home: Path) -> None:
    """A rotated key is the one that is read; moving it to the settings takes it from the keyring, and undo finds it."""
    done = session(
        home,
        f"cc init -p glm -k {KEY} --key-storage keyring\n"
        f"echo {NEW} | cc key rotate glm -k -\n"
        "cc key get glm; echo\n"
        "cc init -n glm --key-storage inline\n"
        "grep AUTH_TOKEN ~/.claude/settings.json\n"
        "cc undo\n"
        "cc key get glm; echo\n"
        "cc key rm glm --yes\n"
        "cc key get glm || echo no key: $?",
    )
    assert done.returncode == 0, done.stderr
    out = done.stdout.splitlines()
    assert out.count(NEW) == 2
    assert f'    "ANTHROPIC_AUTH_TOKEN": "{NEW}",' in out
    assert "no key: 1" in out
    assert "done: profile 'glm' has the new key." in out


def test_without_a_keyring_the_key_goes_into_a_file_and_that_is_said(home: Path) -> None:
    """Headless, ``--key-storage keyring`` falls back to a file that only the user can read, with a warning."""
    done = subprocess.run(
        [sys.executable, "-m", "ccsetup", "init", "-p", "glm", "-k", KEY, "--key-storage", "keyring"],
        env={"HOME": str(home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "PYTHONPATH": str(ROOT / "src")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=waiting.LIMIT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "The keyring cannot be used" in done.stderr
    stored = home / ".config/ccsetup/keys/glm"
    assert stored.read_text() == KEY
    assert stored.stat().st_mode & 0o777 == 0o600
    assert KEY not in done.stdout + done.stderr


def _shared(home: Path, to: Path) -> Path:
    """Copy *home* to *to* for the same user: both have one keyring."""
    shutil.copytree(home, to)
    (to / ".local/share/keyring.json").unlink()
    (to / ".local/share/keyring.json").symlink_to(home / ".local/share/keyring.json")
    return to


def _cc(home: Path, *argv: str) -> cc.Result:
    env = {
        "PYTHON_KEYRING_BACKEND": "support.keyring_file.Keyring",
        "PYTHONPATH": os.pathsep.join([cc.SOURCE, str(ROOT / "tests")]),
        "XDG_CONFIG_HOME": None,
        "XDG_STATE_HOME": None,
    }
    return cc.run(home, *argv, env=env)


@pytest.mark.parametrize("earlier", [False, True])
def test_a_copied_home_leaves_the_original_its_key(home: Path, tmp_path: Path, earlier: bool) -> None:
    """One user's homes have one keyring: a copy reads the key, and neither replaces nor removes it.

    *earlier*: of entries that earlier versions stored nothing tells the owner, but the copy's record that it is one.
    """
    assert _cc(home, "init", "-p", "glm", "-k", KEY, "-T", "all", "--key-storage", "keyring").ok
    ring = home / ".local/share/keyring.json"
    if earlier:
        ring.write_text(
            json.dumps({n: v for n, v in json.loads(ring.read_text()).items() if not n.startswith("ccsetup home")})
        )
    copy = _shared(home, tmp_path / "copy")
    assert _cc(copy, "key", "get", "glm").stdout == KEY
    assert _cc(copy, "config-switch", "official").ok  # from now on the copy's records are its own
    assert _cc(copy, "config-switch", "glm").ok
    replaced = _cc(copy, "key", "set", "glm", "-k", NEW)
    assert replaced.rc == 1
    assert "that of another home" in replaced.stderr
    assert f"{home}/.local/state/ccsetup" in replaced.stderr
    for command in (["key", "rm", "glm", "--yes"], ["undo"], ["uninstall", "--yes"]):
        done = _cc(copy, *command)
        assert done.ok, done
        assert ("it stays" in done.stderr) is (command != ["undo"])
    assert _cc(home, "key", "get", "glm").stdout == KEY
    assert _cc(home, "key", "set", "glm", "-k", NEW).ok
    assert _cc(home, "key", "rm", "glm", "--yes").ok
    assert json.loads(ring.read_text()) == {}


def test_a_moved_home_has_its_keys(home: Path, tmp_path: Path) -> None:
    """What the home stored before it was moved, it replaces and removes afterwards."""
    assert _cc(home, "init", "-p", "glm", "-k", KEY, "--key-storage", "keyring").ok
    moved = tmp_path / "moved"
    home.rename(moved)
    assert _cc(moved, "key", "set", "glm", "-k", NEW).ok
    assert _cc(moved, "key", "get", "glm").stdout == NEW
    assert _cc(moved, "key", "rm", "glm", "--yes").ok
    assert json.loads((moved / ".local/share/keyring.json").read_text()) == {}


def test_a_second_home_does_not_replace_a_key_of_the_same_name(home: Path, tmp_path: Path) -> None:
    """Two homes that know nothing of each other do not share a key because their profiles have the same name."""
    assert _cc(home, "init", "-p", "glm", "-k", KEY, "--key-storage", "keyring").ok
    second = tmp_path / "second"
    (second / ".local/share").mkdir(parents=True)
    (second / ".local/share/keyring.json").symlink_to(home / ".local/share/keyring.json")
    refused = _cc(second, "init", "-p", "glm", "-k", NEW, "--key-storage", "keyring")
    assert refused.rc == 1
    assert not (second / ".config/ccsetup/profiles.toml").exists()
    assert _cc(second, "init", "-n", "mine", "-p", "glm", "-k", NEW, "--key-storage", "keyring").ok
    assert _cc(home, "key", "get", "glm").stdout == KEY
