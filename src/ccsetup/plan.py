"""A plan: what will become of each file, as plain values, and how wishes for a document become edits.

Nothing here reads or writes a disk.  ``disk.snapshot`` makes the input, ``disk.commit`` carries the output out,
and a dry run shows the same plan.
"""

from __future__ import annotations

from typing import Any, Iterable, Literal, Mapping, Optional

from ccsetup.documents.edit import MISSING, Edit, KeyPath, Set, Unset, lookup
from ccsetup.model import Secret
from ccsetup.tuples import NamedTuple


class FileChange(NamedTuple):
    """One file, before and after.  ``None`` as bytes means that the file does not exist."""

    path: str
    """Absolute path as the user knows it (symlinks not resolved)."""
    before: Optional[bytes]
    after: Optional[bytes]
    private: bool = True
    """The file holds keys (or may): mode 0600 when new, and group/other bits are cleared when it exists."""
    format: str = ""
    """As a wish has it, or "" for a file that is replaced as a whole; decides how ``undo`` takes it back."""
    edits: tuple[Edit, ...] = ()
    """The edits that lead from before to after, for ``undo``; empty for whole files."""
    claude_lock: bool = False
    """Take Claude Code's own lock folder (``<path>.lock``) around the replacement, and look again after it."""

    def __repr__(self) -> str:  # the contents may hold keys
        return f"FileChange({self.path!r}, {len(self.edits)} edits)"


class Plan(NamedTuple):
    """All changes of one command: one transaction."""

    command: str
    """What the user ran, without arguments that could hold a key; shown by ``undo --list``."""
    changes: tuple[FileChange, ...]


class Note(NamedTuple):
    """Something the user should know.  ``blocked``: a client will not work until the user acts."""

    level: Literal["info", "warning", "blocked"]
    text: str
    hint: str = ""


class Owned(NamedTuple):
    """A key that we set: what we wrote, and what stood there before."""

    path: KeyPath
    value: Any
    """What we wrote (MISSING: we removed a value); a key is kept as its digest."""
    before: Any
    """What to put back when we take ours away; MISSING: nothing."""
    prune: int
    """How many parents we had to create for it."""


class Wish(NamedTuple):
    """What one document is to hold, key by key."""

    path: str
    """The file."""
    format: str
    """A key of ``documents.FORMATS``."""
    settings: Mapping[KeyPath, Any]
    """Wanted values; a Secret for a key; MISSING: this key has to be absent."""
    tables: tuple[KeyPath, ...] = ()
    """Tables that are ours as a whole: taken away with everything in them."""
    forced: frozenset[KeyPath] = frozenset()
    """Keys that are ours to take away even when somebody changed them since (addresses and credentials)."""
    keep_before: frozenset[KeyPath] = frozenset()
    """Keys whose former value is put back when ours goes."""
    free: frozenset[KeyPath] = frozenset()
    """Keys that are set and then no longer ours: nothing takes them back."""
    claude_lock: bool = False


class Changed(NamedTuple):
    """A key of ours that somebody changed since; it was left as it is."""

    file: str
    path: KeyPath


def digest(value: Any) -> Any:
    """Return what a record keeps of *value*: the value itself, or for a Secret something that only recognises it."""
    if not isinstance(value, Secret):
        return value
    return {"blake2b": fingerprint(b"ccsetup\0" + value.reveal().encode("utf-8", "surrogatepass"))}


def fingerprint(data: bytes, size: int = 64) -> str:
    """Return *size* bytes, in hexadecimal, that stand for *data*."""
    try:
        from _blake2 import blake2b  # hashlib would load OpenSSL, which takes 5 ms
    except ImportError:
        from hashlib import blake2b
    return blake2b(data, digest_size=size).hexdigest()


def is_ours(current: Any, recorded: Any) -> bool:
    """Tell whether *current*, as found in a document, is what *recorded* says that we wrote."""
    if isinstance(recorded, dict) and set(recorded) == {"blake2b"} and isinstance(current, str):
        return bool(digest(Secret(current)) == recorded)
    return type(current) is type(recorded) and bool(current == recorded)


def edits(
    data: Any, wish: Wish, owned: Iterable[Owned]
) -> tuple[tuple[Edit, ...], tuple[Owned, ...], tuple[Changed, ...]]:
    """Return the edits that fulfil *wish* in a document that holds *data*, and what we own afterwards.

    What we own and no longer want goes away (or back to what it was); what somebody changed since stays,
    and is told in the third value.
    """
    mine = {o.path: o for o in owned}
    out: list[Edit] = []
    emptied: list[Edit] = []  # last, so that a parent which something new goes into is not taken away and made again
    now: list[Owned] = []
    changed: list[Changed] = []
    for path, wanted in wish.settings.items():
        current = lookup(data, path)
        was = mine.get(path)
        if was is not None:
            before, prune = was.before, was.prune
            if was.value is MISSING and current is not MISSING and path in wish.keep_before:
                before = current  # it was set anew since we took it away
        else:
            before = current if path in wish.keep_before else MISSING
            prune = _own_parents(data, path, mine.values())
        if wanted is MISSING:
            if current is not MISSING:
                (emptied if prune and was is not None else out).append(Unset(path, prune if was is not None else 0))
            if before is not MISSING:
                now.append(Owned(path, MISSING, before, 0))
            continue
        plain = wanted.reveal() if isinstance(wanted, Secret) else wanted
        if current is MISSING or type(current) is not type(plain) or current != plain:
            out.append(Set(path, plain))
        if path not in wish.free:
            now.append(Owned(path, digest(wanted), before, prune))
    kept_tables = set(wish.tables)
    removed: set[KeyPath] = set()
    for path, was in mine.items():
        if path in wish.settings:
            continue
        current = lookup(data, path)
        table = isinstance(was.value, dict) and was.value == {"table": True}
        if table:
            if path not in kept_tables and current is not MISSING:
                out.append(Unset(path, was.prune))
                removed.add(path)
            continue
        if any(path[: len(t)] == t for t, o in mine.items() if o.value == {"table": True} and t not in kept_tables):
            continue  # goes with its table
        if path not in wish.forced and current is not MISSING and not is_ours(current, was.value):
            changed.append(Changed(wish.path, path))
        elif was.before is not MISSING:
            if current is MISSING and was.value is not MISSING:
                continue  # somebody removed ours: nothing to take back
            out.append(Set(path, was.before))
        elif current is not MISSING and was.value is not MISSING:
            out.append(Unset(path, was.prune))
    for t in wish.tables:
        now.append(mine[t] if t in mine else Owned(t, {"table": True}, MISSING, _own_parents(data, t, mine.values())))
    return (*out, *emptied), tuple(now), tuple(changed)


def _own_parents(data: Any, path: KeyPath, mine: Iterable[Owned]) -> int:
    """Return how many parents of *path*, the nearest first, are not there yet or came with something of ours."""
    made = {o.path[:n] for o in mine for n in range(len(o.path) - o.prune, len(o.path))}
    count = 0
    for n in range(len(path) - 1, 0, -1):
        if path[:n] not in made and lookup(data, path[:n]) is not MISSING:
            break
        count += 1
    return count


def owned_to_json(owned: Iterable[Owned]) -> list[dict[str, Any]]:
    out = []
    for o in owned:
        item: dict[str, Any] = {"path": list(o.path)}
        if o.value is not MISSING:
            item["value"] = o.value
        if o.before is not MISSING:
            item["before"] = o.before
        if o.prune:
            item["prune"] = o.prune
        out.append(item)
    return out


def owned_from_json(items: Any) -> tuple[Owned, ...]:
    """Read what ``owned_to_json`` wrote; an item that is not of that shape is dropped."""
    out = []
    for item in items if isinstance(items, list) else []:
        if (
            isinstance(item, dict)
            and isinstance(item.get("path"), list)
            and all(isinstance(p, str) for p in item["path"])
        ):
            prune = item.get("prune", 0)
            out.append(
                Owned(
                    tuple(item["path"]),
                    item.get("value", MISSING),
                    item.get("before", MISSING),
                    prune if isinstance(prune, int) else 0,
                )
            )
    return tuple(out)
