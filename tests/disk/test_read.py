"""Reading whatever may lie at a path."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from ccsetup import disk
from ccsetup.disk.read import LIMIT
from ccsetup.errors import CcsetupError


def test_bytes_and_absence(tmp_path: Path) -> None:
    """A file gives its bytes as they are, an absent one None, also when its folder is absent."""
    one, none, deep = (str(tmp_path / name) for name in ("one", "none", "no/such/folder"))
    Path(one).write_bytes(b"\xff\x00\r\n")
    assert disk.snapshot([one, none, deep]) == {one: b"\xff\x00\r\n", none: None, deep: None}


def test_links_are_followed(tmp_path: Path) -> None:
    """A link to a link to a file gives the file; a dangling one, None."""
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "hop").symlink_to("file")
    (tmp_path / "link").symlink_to("hop")
    (tmp_path / "dangling").symlink_to("nothing")
    paths = [str(tmp_path / "link"), str(tmp_path / "dangling")]
    assert list(disk.snapshot(paths).values()) == [b"x", None]


@pytest.mark.parametrize("kind", ["folder", "pipe", "socket", "device", "loop", "below a file", "giant", "sparse"])
def test_refused(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is not a file of a sensible size is refused at once, by name."""
    monkeypatch.chdir(tmp_path)  # a socket's path is short
    path = tmp_path / "settings.json"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("settings.json")
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "loop":
        path.symlink_to("other")
        (tmp_path / "other").symlink_to("settings.json")
    elif kind == "below a file":
        (tmp_path / "file").write_bytes(b"")
        path = tmp_path / "file" / "settings.json"
    else:
        with path.open("wb") as file:
            os.truncate(file.fileno(), LIMIT + 1 if kind == "giant" else 4 << 30)
    with pytest.raises(CcsetupError) as caught:
        disk.snapshot([str(path)])
    assert str(path) in caught.value.message


def test_largest(tmp_path: Path) -> None:
    """A file of exactly the limit is read."""
    path = tmp_path / "file"
    with path.open("wb") as file:
        os.truncate(file.fileno(), LIMIT)
    data = disk.snapshot([str(path)])[str(path)]
    assert data is not None
    assert len(data) == LIMIT


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable(tmp_path: Path) -> None:
    """A file that may not be read is an error, and not an absent file."""
    path = tmp_path / "file"
    path.touch(mode=0)
    with pytest.raises(CcsetupError, match="permission denied"):
        disk.snapshot([str(path)])
    assert stat.S_IMODE(path.stat().st_mode) == 0
