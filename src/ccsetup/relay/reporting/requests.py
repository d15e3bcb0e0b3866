"""Single requests out of the usage database, read while the relay may be writing to it."""

from __future__ import annotations

from typing import Optional

from ccsetup.relay.reporting import stats
from ccsetup.relay.store import UsageRow
from ccsetup.relay.store.file import row_of
from ccsetup.relay.store.schema import AFTER, COLUMNS

_MOST = 10_000


def read(path: str, after: int, last: Optional[int] = None) -> tuple[int, list[UsageRow]]:
    """Return the rows of the database *path* whose number is above *after*, in order, and the highest number now.

    With *last* only so many of the end.  A database that is missing or empty has no rows.  CcsetupError when it cannot
    be read, or a newer ccsetup made it.
    """
    with stats.opened(path) as base:
        if base is None:
            return after, []
        (highest,) = base.execute("SELECT coalesce(max(seq), 0) FROM usage").fetchone()
        if 0 < highest < after:  # another file is in its place
            after = 0
        if last is None:
            found = base.execute(AFTER, (after, _MOST)).fetchall()
        else:
            query = f"SELECT seq, {', '.join(COLUMNS)} FROM usage ORDER BY seq DESC LIMIT ?"  # noqa: S608
            found = base.execute(query, (last,)).fetchall()[::-1]
    if last is not None:
        after = highest
    elif found:
        after = found[-1][0]
    return after, [row_of(values) for _seq, *values in found]
