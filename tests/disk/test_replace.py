"""What a replaced file keeps, what a new one gets, and what is never replaced."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Optional

import pytest
from support import disk_driver
from support.disk_driver import here

from ccsetup import disk
from ccsetup.disk.replace import Step
from ccsetup.errors import CcsetupError, ChangedMeanwhile, WriteError
from ccsetup.plan import FileChange, Plan
from ccsetup.platform import system

DRIVER = [sys.executable, disk_driver.__file__]
KEY = b'{"key": "new"}\n'


@pytest.fixture
def umask_0() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.fixture
def state(tmp_path: Path) -> str:
    return str(tmp_path / "state")


def put(state: str, path: Path, after: Optional[bytes] = KEY, *, private: bool = True, lock: bool = False) -> str:
    before = disk.snapshot([str(path)])[str(path)]
    return disk.commit(
        Plan("put", (FileChange(str(path), before, after, private, claude_lock=lock),)), here(state), now=1.0
    )


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(
    ("before", "private", "after"),
    [(0o644, True, 0o600), (0o666, True, 0o600), (0o600, True, 0o600), (0o640, False, 0o640), (0o666, False, 0o666)],
)
@pytest.mark.usefixtures("umask_0")
def test_mode(state: str, tmp_path: Path, before: int, private: bool, after: int) -> None:
    """A file keeps its mode, but one that holds keys closes itself to others; the umask has no say."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(before)
    put(state, path, private=private)
    assert (path.read_bytes(), mode(path)) == (KEY, after)


@pytest.mark.usefixtures("umask_0")
def test_new_file_and_folders(state: str, tmp_path: Path) -> None:
    """New files, their folders, the journal and the lock are closed to others, whatever the umask."""
    path = tmp_path / "a" / "b" / "file"
    put(state, path)
    assert path.read_bytes() == KEY
    for folder in (path.parent, path.parent.parent, Path(state), Path(state, "journal")):
        assert mode(folder) == 0o700
    for file in (path, Path(state, "lock"), *Path(state, "journal").iterdir()):
        assert mode(file) == 0o600


def test_open_state_folder_is_closed(state: str, tmp_path: Path) -> None:
    """A state folder that others could enter is closed, for the journal holds keys."""
    Path(state).mkdir(mode=0o755)
    put(state, tmp_path / "file")
    assert mode(Path(state)) == 0o700


@pytest.mark.usefixtures("umask_0")
def test_never_readable_by_others(state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file that is made is closed to others from its first moment, and before it has contents."""
    real_open, real_write = os.open, os.write
    seen: list[tuple[str, int]] = []

    def opened(path: str, flags: int, *args: int) -> int:
        fd = real_open(path, flags, *args)
        if flags & os.O_CREAT:
            seen.append((path, stat.S_IMODE(os.fstat(fd).st_mode)))
        return fd

    def written(fd: int, data: bytes) -> int:
        seen.append(("write", stat.S_IMODE(os.fstat(fd).st_mode)))
        return real_write(fd, data)

    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o666)
    monkeypatch.setattr(os, "open", opened)
    monkeypatch.setattr(os, "write", written)
    put(state, path)
    put(state, tmp_path / "new")
    assert len(seen) == 12  # lock, record and file, each made and written, twice
    assert {bits for _what, bits in seen} == {0o600}


@pytest.mark.parametrize("lock", [False, True])
@pytest.mark.parametrize("hops", [1, 2])
def test_links_stay(state: str, tmp_path: Path, hops: int, lock: bool) -> None:
    """A file reached by links, one of them relative to another folder, is replaced where it lies; the links stay."""
    real = tmp_path / "dotfiles" / "settings.json"
    real.parent.mkdir()
    real.write_bytes(b"old")
    link = tmp_path / "home" / "link"
    link.parent.mkdir(exist_ok=True)
    link.symlink_to("../dotfiles/settings.json")
    for hop in range(1, hops):
        link = link.with_name(f"link{hop}")
        link.symlink_to("link")
    put(state, link, lock=lock)
    assert link.is_symlink()
    assert (tmp_path / "home" / "link").readlink() == Path("../dotfiles/settings.json")
    assert real.read_bytes() == KEY
    assert not real.is_symlink()
    assert os.listdir(real.parent) == ["settings.json"]
    put(state, link, None)
    assert link.is_symlink()
    assert not real.exists()


def test_dangling_link(state: str, tmp_path: Path) -> None:
    """The file that a dangling link names is made, with its folder."""
    link = tmp_path / "link"
    link.symlink_to("dotfiles/file")
    put(state, link)
    assert link.is_symlink()
    assert (tmp_path / "dotfiles" / "file").read_bytes() == KEY


def test_link_loop(state: str, tmp_path: Path) -> None:
    """A loop of links that appeared since the snapshot is refused by name."""
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    with pytest.raises(CcsetupError, match=r"one.*loop"):
        disk.commit(Plan("x", (FileChange(str(tmp_path / "one"), None, KEY),)), here(state), now=1.0)


def test_two_names_of_one_file(state: str, tmp_path: Path) -> None:
    """Two files of a plan that turn out to be one are refused, for the second would overwrite the first."""
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "link").symlink_to("file")
    changes = tuple(FileChange(str(tmp_path / name), b"old", name.encode()) for name in ("file", "link"))
    with pytest.raises(WriteError, match="the same file"):
        disk.commit(Plan("x", changes), here(state), now=1.0)
    assert (tmp_path / "file").read_bytes() == b"old"


def test_hard_link(state: str, tmp_path: Path) -> None:
    """A file with a second name is refused: replacing would part the two, writing in place could tear it."""
    (tmp_path / "file").write_bytes(b"old")
    os.link(tmp_path / "file", tmp_path / "other")
    with pytest.raises(WriteError, match="hard link"):
        put(state, tmp_path / "file")
    assert (tmp_path / "other").read_bytes() == b"old"


def test_read_only_file(state: str, tmp_path: Path) -> None:
    """A file marked read-only is refused, for root as well, and the hint says how to allow it."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o444)
    with pytest.raises(WriteError, match="read-only") as caught:
        put(state, path)
    assert "chmod u+w" in caught.value.hint
    assert (path.read_bytes(), mode(path)) == (b"old", 0o444)


def test_attributes(state: str, tmp_path: Path) -> None:
    """Extended attributes go over to the new file."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    try:
        os.setxattr(path, "user.note", b"mine")
    except OSError:
        pytest.skip("this file system has no extended attributes")
    put(state, path)
    assert os.getxattr(path, "user.note") == b"mine"


@pytest.mark.parametrize("private", [False, True])
def test_access_list(state: str, tmp_path: Path, private: bool) -> None:
    """An access list is kept, except on a file that holds keys: it would let others in."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    # user::rw-, user:65534:r--, group::r--, mask::r--, other::---  (linux/posix_acl_xattr.h)
    entries = [(1, 6, -1), (2, 4, 65534), (4, 4, -1), (16, 4, -1), (32, 0, -1)]
    acl = (2).to_bytes(4, "little") + b"".join(
        tag.to_bytes(2, "little") + bits.to_bytes(2, "little") + (who & 0xFFFFFFFF).to_bytes(4, "little")
        for tag, bits, who in entries
    )
    try:
        os.setxattr(path, "system.posix_acl_access", acl)
    except OSError:
        pytest.skip("this file system has no access lists")
    put(state, path, private=private)
    assert ("system.posix_acl_access" in os.listxattr(path)) is not private
    assert mode(path) == (0o600 if private else 0o640)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_owner_under_sudo(state: str, tmp_path: Path) -> None:
    """Run by root, a file keeps its owner, and a new one belongs to the owner of the folder."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    (folder / "old").write_bytes(b"old")
    for path in (folder, folder / "old"):
        os.chown(path, 12345, 12346)
    put(state, folder / "old")
    put(state, folder / "a" / "new")
    for path in (folder / "old", folder / "a", folder / "a" / "new"):
        assert (path.stat().st_uid, path.stat().st_gid) == (12345, 12346)


class Unprivileged:
    """A folder of user 65534, and ccsetup run by that user (or by us, when we are not root)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *args: object) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "DROP_TO_UID": "65534"} if os.geteuid() == 0 else None
        return subprocess.run([*DRIVER, *map(str, args)], capture_output=True, text=True, env=environment)


@pytest.fixture
def unprivileged() -> Iterator[Unprivileged]:
    folder = Path(tempfile.mkdtemp())  # not below tmp_path, which only its owner may enter
    if os.geteuid() == 0:
        os.chown(folder, 65534, 65534)
    yield Unprivileged(folder)
    folder.chmod(0o700)
    shutil.rmtree(folder)


def test_read_only_folder(unprivileged: Unprivileged) -> None:
    """In a folder that may not be written, nothing changes, and the message names file and reason."""
    state, path = unprivileged.folder / "state", unprivileged.folder / "sub" / "file"
    assert unprivileged.run("put", state, path, "old").returncode == 0
    path.parent.chmod(0o500)
    result = unprivileged.run("put", state, path, "new")
    assert (result.returncode, result.stderr) == (
        1,
        f"{path} cannot be written: permission denied. No file was changed.\n",
    )
    result = unprivileged.run("remove", state, path)
    assert result.returncode == 1
    assert path.read_bytes() == b"old"
    path.parent.chmod(0o700)
    assert os.listdir(path.parent) == ["file"]
    assert unprivileged.run("put", state, path, "new").returncode == 0
    assert sorted(os.listdir(state / "journal")) == ["000001.json", "000002.json"]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs files of two users")
def test_owned_by_another_user(unprivileged: Unprivileged) -> None:
    """Another user's file is refused, whether it may be written or not, because its owner could not be kept."""
    path = unprivileged.folder / "file"
    path.write_bytes(b"old")
    for bits in (0o644, 0o666):
        path.chmod(bits)
        result = unprivileged.run("put", unprivileged.folder / "state", path, "new")
        assert result.returncode == 1
        assert result.stderr == f"{path} is not changed: it belongs to another user.\n"
        assert path.read_bytes() == b"old"
        assert disk_driver.leftovers(str(unprivileged.folder)) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a file immutable")
def test_immutable_file(state: str, tmp_path: Path) -> None:
    """An immutable file is refused with the reason, and the other files of the plan stay as they are."""
    paths = [tmp_path / "one", tmp_path / "two"]
    for path in paths:
        path.write_bytes(b"old")
    if subprocess.run(["chattr", "+i", paths[1]], capture_output=True).returncode:
        pytest.skip("this file system cannot make files immutable")
    try:
        with pytest.raises(WriteError, match=r"two.*not permit") as caught:
            disk.commit(Plan("x", tuple(FileChange(str(path), b"old", b"new") for path in paths)), here(state), now=1.0)
    finally:
        subprocess.run(["chattr", "-i", paths[1]], check=True)
    assert "immutable" in caught.value.hint
    assert [path.read_bytes() for path in paths] == [b"old", b"old"]
    assert disk_driver.leftovers(str(tmp_path)) == []


@pytest.mark.parametrize("where", ["file", "state", "mounted file"])
def test_mounts(tmp_path: Path, where: str) -> None:
    """A full disk, under the file or the journal, or a file that is a mount of its own: refused, nothing changed."""
    small, home = tmp_path / "small", tmp_path / "home"
    small.mkdir()
    state, path = (small if where == "state" else home) / "state", (small if where == "file" else home) / "file"
    after = "x" * 40_000 if where == "file" else "new"
    script = f"""
        mount -t tmpfs -o size=64k none {small} || exit 77
        printf old > {path}
        if [ "{where}" = "mounted file" ]; then touch {small}/source && mount --bind {small}/source {path} || exit 77
        else head -c 40000 /dev/zero > {small}/filler; [ {where} = state ] && head -c 99999 /dev/zero > {small}/filler2
        fi
        {" ".join(DRIVER)} put {state} {path} {after}
        echo "exit $?"; cat {path} | head -c 10; echo; find {small} {home} -name '*ccsetup-*' -o -name '*.pending'
    """
    if shutil.which("unshare") is None:
        pytest.skip("no unshare")
    result = subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, text=True)
    if result.returncode == 77 or "unshare" in result.stderr:
        pytest.skip("may not mount here")
    content = "" if where == "mounted file" else "old"
    assert result.stdout == f"exit 1\n{content}\n"
    message = result.stderr.splitlines()[-1]
    assert ("mounted as a single file" if where == "mounted file" else "the disk is full") in message
    assert message.startswith(str(state if where == "state" else path))


def test_size_limit(state: str, tmp_path: Path) -> None:
    """Under a file size limit that the journal exceeds, nothing changes and nothing is left."""
    path = tmp_path / "file"
    command = f"ulimit -f 1; {' '.join(DRIVER)} put {state} {path} {'x' * 20000}"
    result = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
    assert result.returncode == 1
    assert "size limit" in result.stderr
    assert not path.exists()
    assert os.listdir(Path(state, "journal")) == []


def test_changed_between_look_and_replacement(state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another program writes in the last moment, by renaming or in place, is found out and given back."""
    path = tmp_path / "file"
    for lock in (False, True):
        for theirs in ("in place", "renamed", "deleted", "made"):
            for name in os.listdir(tmp_path):
                if name.startswith("file"):
                    (tmp_path / name).unlink()
            if theirs != "made":
                path.write_bytes(b"old")
            before = None if theirs == "made" else b"old"

            def meddle(theirs: str = theirs) -> None:
                if theirs == "deleted":
                    path.unlink()
                elif theirs == "renamed":
                    (tmp_path / "other").write_bytes(b"THEIRS")
                    (tmp_path / "other").rename(path)
                else:
                    path.write_bytes(b"THEIRS")

            swap = Step.swap

            def meddled(self: Step, swap=swap, meddle=meddle) -> None:  # type: ignore[no-untyped-def]
                meddle()
                swap(self)

            monkeypatch.setattr(Step, "swap", meddled)
            try:
                with pytest.raises((ChangedMeanwhile, WriteError)):
                    disk.commit(
                        Plan("x", (FileChange(str(path), before, b"new", claude_lock=lock),)), here(state), now=1.0
                    )
            finally:
                monkeypatch.setattr(Step, "swap", swap)
            assert (path.read_bytes() if path.exists() else None) == (None if theirs == "deleted" else b"THEIRS")
            assert disk_driver.leftovers(str(tmp_path)) == []


def test_no_hard_links_here(state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a file system without hard links all works the same, and going back restores bytes, mode and attributes."""
    one, two = tmp_path / "one", tmp_path / "two"

    def no_link(*_args: object, **_options: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_link)
    put(state, one, b"1")
    put(state, one, b"2")
    assert one.read_bytes() == b"2"
    one.chmod(0o640)
    settle = Step.settle

    def full(self: Step) -> None:
        settle(self)
        monkeypatch.setattr(Step, "settle", settle)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Step, "settle", full)
    changes = (FileChange(str(one), b"2", b"3", private=False), FileChange(str(two), None, b"3"))
    with pytest.raises(WriteError, match="disk is full"):
        disk.commit(Plan("x", changes), here(state), now=1.0)
    assert (one.read_bytes(), mode(one), two.exists()) == (b"2", 0o640, False)
    assert disk_driver.leftovers(str(tmp_path)) == []


@pytest.mark.parametrize("lock", [False, True])
def test_killed_before_theirs_was_given_back(state: str, tmp_path: Path, lock: bool) -> None:
    """When we are killed right after displacing what another program wrote, recovery gives that back."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    code = (
        f"import sys, os; sys.path[:0] = {sys.path!r}\n"
        "from ccsetup import disk; from ccsetup.disk.replace import Step; from ccsetup.plan import *\n"
        "from support.disk_driver import here\n"
        f"swap, check, path = Step.swap, Step._check_displaced, {str(path)!r}\n"
        "def meddled(self):\n"
        "    stat = os.stat(path)\n"
        "    with open(path, 'wb') as file: file.write(b'HIS')\n"
        "    os.utime(path, ns=(stat.st_mtime_ns,) * 2)\n"
        "    swap(self)\n"
        "Step.swap, Step._check_displaced = meddled, lambda *_: os.kill(os.getpid(), 9)\n"
        f"disk.commit(Plan('x', (FileChange(path, b'old', b'new', claude_lock={lock}),)), here({state!r}), now=1.0)\n"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == -9
    assert path.read_bytes() == b"new"
    disk.transaction(lambda: Plan("x", ()), here(state), now=1.0)
    assert path.read_bytes() == b"HIS"
    assert disk_driver.leftovers(str(tmp_path)) == []


def test_theirs_again_while_giving_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another program writes while its last file is given back is newer still, and is the one that stays."""
    path, temp = tmp_path / "file", tmp_path / "temp"
    path.write_bytes(b"new")
    temp.write_bytes(b"THEIRS")
    exchange = system.exchange
    calls = []

    def meddled(one: str, other: str) -> bool:
        calls.append(1)
        if len(calls) == 1:
            path.write_bytes(b"NEWEST")
        return exchange(one, other)

    monkeypatch.setattr(system, "exchange", meddled)
    Step(FileChange(str(path), b"old", b"new", claude_lock=True), str(path), str(temp), 0o600).back()
    assert path.read_bytes() == b"NEWEST"
    assert not temp.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux exchanges two names at once here")
def test_last_instant(state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even what Claude Code writes in the instant before the replacement itself is lost."""
    path = tmp_path / ".claude.json"
    path.write_bytes(b"old")

    def meddled(real: Callable[..., Any]) -> Callable[..., Any]:
        def write_theirs_first(*args: str) -> Any:
            if path.read_bytes() == b"old":
                (tmp_path / "other").write_bytes(b"THEIRS")
                (tmp_path / "other").rename(path)
            return real(*args)

        return write_theirs_first

    for name in ("exchange", "replace"):
        monkeypatch.setattr(system, name, meddled(getattr(system, name)))
    with pytest.raises(ChangedMeanwhile):
        put(state, path, lock=True)
    assert path.read_bytes() == b"THEIRS"
    assert disk_driver.leftovers(str(tmp_path)) == []


def test_renamed_after_the_old_file_was_kept(state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program's file that arrives after ours was put aside is noticed, too."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    link = os.link

    def meddled(source: str, target: str) -> None:
        link(source, target)
        (tmp_path / "other").write_bytes(b"THEIRS")
        (tmp_path / "other").rename(path)

    monkeypatch.setattr(os, "link", meddled)
    with pytest.raises(ChangedMeanwhile):
        put(state, path)
    assert path.read_bytes() == b"THEIRS"
    assert disk_driver.leftovers(str(tmp_path)) == []
