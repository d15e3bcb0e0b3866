"""Moving in: what the clients and other tools have, as proposals for profiles.

``stores`` reads each tool's own files, ``match`` finds presets and names; only this module opens anything.
"""

from __future__ import annotations

import os
from typing import Any, Mapping, Optional

from ccsetup import bounded
from ccsetup.clients.found import ToolFiles
from ccsetup.paths import Paths

MAX_BYTES = 4 << 20


def store(paths: Paths) -> ToolFiles:
    """Return a reader of the files below *paths*."""
    return ToolFiles(paths, _text, _names, rows)


def _text(path: str) -> Optional[str]:
    try:
        return bounded.found(path, MAX_BYTES).decode("utf-8-sig", "replace")
    except (OSError, bounded.TooLarge):
        return None


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def rows(path: str, table: str) -> list[Mapping[str, Any]]:
    """Return the rows of *table*, which is one of our own words; [] where there is no such database or table.

    The database is opened read-only.  ``immutable`` leaves no -wal and -shm file behind, but misses what its own
    program has not checkpointed yet: it is for a database without such a file.
    """
    import sqlite3
    from urllib.parse import quote

    if not os.path.isfile(path):
        return []
    option = "mode=ro" if os.path.exists(path + "-wal") else "mode=ro&immutable=1"
    try:
        db = sqlite3.connect(f"file:{quote(path)}?{option}", uri=True, timeout=2)
    except sqlite3.Error:
        return []
    try:
        db.row_factory = sqlite3.Row
        return [dict(row) for row in db.execute(f"SELECT * FROM {table}")]  # noqa: S608 - a fixed word
    except sqlite3.Error:
        return []
    finally:
        db.close()


__all__ = ["ToolFiles", "rows", "store"]
