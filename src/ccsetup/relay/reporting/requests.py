"""Single requests out of the usage database, read while the relay may be writing to it."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import Optional

from ccsetup.errors import CcsetupError
from ccsetup.i18n import _
from ccsetup.relay.reporting import stats
from ccsetup.relay.store import UsageRow
from ccsetup.relay.store.schema import AFTER, COLUMNS, check_version

_MOST = 10_000


def read(path: str, after: int, last: Optional[int] = None) -> tuple[int, list[UsageRow]]:
    """Return the rows of the database *path* whose number is above *after*, in order, and the highest number now.

    With *last* only so many of the end.  A database that is missing or empty has no rows.  CcsetupError when it cannot
    be read, or a newer ccsetup made it.
    """
    if not os.path.exists(path):
        return after, []
    try:
        with closing(stats.opened(path)) as base:
            check_version(base, path)
            if not base.execute("SELECT 1 FROM sqlite_master WHERE name = 'usage'").fetchone():
                return after, []
            (highest,) = base.execute("SELECT coalesce(max(seq), 0) FROM usage").fetchone()
            if 0 < highest < after:  # another file is in its place
                after = 0
            if last is None:
                found = base.execute(AFTER, (after, _MOST)).fetchall()
            else:
                query = f"SELECT seq, {', '.join(COLUMNS)} FROM usage ORDER BY seq DESC LIMIT ?"  # noqa: S608
                found = base.execute(query, (last,)).fetchall()[::-1]
    except sqlite3.Error as error:
        raise CcsetupError(_("{path} cannot be read: {reason}").format(path=path, reason=str(error))) from None
    if last is not None:
        after = highest
    elif found:
        after = found[-1][0]
    return after, [UsageRow._make(row) for _seq, *row in found]
