"""The tables of the SQLite file, and how older files become like newer ones.

What many requests have in common is written once, in ``kinds``: a row of ``requests`` is half as large and costs a
third.  The views ``usage`` and ``days`` show all of it, to ``relay stats`` and to whoever looks: a row for each
request that is kept, and the sums of each day, whether its requests are kept or not.
"""

from __future__ import annotations

import sqlite3
from typing import NamedTuple, Optional

from ccsetup.documents import version
from ccsetup.relay.store import UsageRow
from ccsetup.relay.store.spending import DAY

COLUMNS = UsageRow._fields

MAX_NAME = 200
"""Characters of a model's name, which a client chose, in a row, in the log and in figures."""

KIND = (
    "client", "upstream", "key", "model", "served", "wire_in", "wire_out", "status", "error", "attempts", "stream",
    "currency", "purpose", "estimated", "failed",
)  # fmt: skip
"""Those of ``kinds``."""

OWN = tuple(name for name in COLUMNS if name not in KIND)
"""Those of ``requests``."""

PLACE = ("upstream", "model", "client", "currency", "asked", "purpose")
"""What the sums of a day are told apart by."""

FIGURES = (
    "requests", "errors", "unpriced", "estimated", "tries", "tries_failed", "input", "output", "cache_read",
    "cache_write", "reasoning", "cost",
)  # fmt: skip

_MODELS = (
    "CASE served WHEN '' THEN model ELSE served END AS model, client, {currency} AS currency,"
    " CASE served WHEN '' THEN '' WHEN model THEN '' ELSE model END AS asked, purpose"
)
"""``model`` answered (or was asked for, where none did), ``asked`` is another that the client named."""

VIEWS = {
    "counted": f"SELECT seq, time, upstream, {_MODELS.format(currency='currency')}, 1 AS requests,"  # noqa: S608
    " error <> '' AS errors, cost IS NULL AND output > 0 AS unpriced, estimated, upstream <> '' AND attempts >"
    " length(failed) - length(replace(failed, ' ', '')) + (failed <> '') AS tries, 0 AS tries_failed, input, output,"
    " cache_read, cache_write, reasoning, cost, CASE error WHEN '' THEN first_ms END AS first_ms,"
    " CASE error WHEN '' THEN total_ms END AS total_ms FROM usage",
    "lost": f"SELECT seq, time, value AS upstream, {_MODELS.format(currency=repr(''))}, 0 AS requests,"  # noqa: S608
    " 0 AS errors, 0 AS unpriced, 0 AS estimated, 1 AS tries, 1 AS tries_failed, 0 AS input, 0 AS output,"
    " 0 AS cache_read, 0 AS cache_write, 0 AS reasoning, NULL AS cost FROM usage,"
    """ json_each('["' || replace(failed, ' ', '","') || '"]') WHERE failed <> ''""",
}
"""What each request adds to the figures, and what each try that failed adds to those of its own upstream.  They are
two, because SQLite takes twice as long for the sums of one view of both."""

# sum() fails beyond 63 bits, and upstreams may say any number.
_SUMS = ", ".join(f"CAST(total({name}) AS INTEGER) AS {name}" for name in FIGURES[:-1]) + ", total(cost) AS cost"
DAYS = {
    view: f"SELECT CAST(time / {DAY} AS INTEGER) AS day, {', '.join(PLACE)}, {_SUMS} FROM {view}"  # noqa: S608
    for view in VIEWS
}
BY_DAY = f"GROUP BY 1, {', '.join(PLACE)}"
"""With *DAYS*: rows of ``sums``."""

GONE_BEFORE = (
    "SELECT day, upstream, model, client, currency, '' AS asked, '' AS purpose, requests, errors, unpriced,"
    " 0 AS estimated, CASE upstream WHEN '' THEN 0 ELSE requests END AS tries, 0 AS tries_failed, input, output,"
    " cache_read, cache_write, reasoning, cost"
)
"""The sums of the first two schemas as those of the third."""

ADDED = f"ON CONFLICT DO UPDATE SET {', '.join(f'{f} = {f} + excluded.{f}' for f in FIGURES)}"
"""Behind what is put into ``sums``."""

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE usage (seq INTEGER PRIMARY KEY AUTOINCREMENT, time REAL NOT NULL, id TEXT NOT NULL,"
        " client TEXT NOT NULL, upstream TEXT NOT NULL, key INTEGER NOT NULL, model TEXT NOT NULL,"
        " served TEXT NOT NULL, wire_in TEXT NOT NULL, wire_out TEXT NOT NULL, status INTEGER NOT NULL,"
        " error TEXT NOT NULL, attempts INTEGER NOT NULL, stream INTEGER NOT NULL, input INTEGER NOT NULL,"
        " output INTEGER NOT NULL, cache_read INTEGER NOT NULL, cache_write INTEGER NOT NULL,"
        " reasoning INTEGER NOT NULL, cost REAL, currency TEXT NOT NULL, first_ms REAL, total_ms REAL NOT NULL,"
        " purpose TEXT NOT NULL)",
        "CREATE INDEX usage_time ON usage (time)",
        "CREATE TABLE days (day INTEGER NOT NULL, upstream TEXT NOT NULL, model TEXT NOT NULL, client TEXT NOT NULL,"
        " currency TEXT NOT NULL, requests INTEGER NOT NULL, errors INTEGER NOT NULL, unpriced INTEGER NOT NULL,"
        " input INTEGER NOT NULL, output INTEGER NOT NULL, cache_read INTEGER NOT NULL, cache_write INTEGER NOT NULL,"
        " reasoning INTEGER NOT NULL, cost REAL NOT NULL,"
        " PRIMARY KEY (day, upstream, model, client, currency)) WITHOUT ROWID",
        "CREATE TABLE spending (day INTEGER NOT NULL, client TEXT NOT NULL, currency TEXT NOT NULL,"
        " requests INTEGER NOT NULL, tokens INTEGER NOT NULL, cost REAL NOT NULL,"
        " PRIMARY KEY (day, client, currency)) WITHOUT ROWID",
        "CREATE TABLE rests (upstream TEXT NOT NULL, key INTEGER NOT NULL, until REAL NOT NULL, step INTEGER NOT NULL,"
        " reason TEXT NOT NULL, PRIMARY KEY (upstream, key)) WITHOUT ROWID",
        "CREATE TABLE notes (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    ),
    (
        # ``days`` had the sums of all days, and a note the first day whose rows were kept.  ``gone`` has the sums of
        # rows that were removed, and of no others.
        "CREATE TEMP VIEW kept AS SELECT coalesce(max(CAST(value AS INTEGER)), 0) AS day FROM notes"
        " WHERE name = 'kept from'",
        "DELETE FROM usage WHERE time < (SELECT day FROM kept) * 86400",
        "DELETE FROM days WHERE day >= (SELECT day FROM kept)",
        "DROP VIEW kept",
        "DELETE FROM notes WHERE name = 'kept from'",
        "ALTER TABLE days RENAME TO gone",
        "CREATE TABLE kinds (kind INTEGER PRIMARY KEY, client TEXT NOT NULL, upstream TEXT NOT NULL,"
        " key INTEGER NOT NULL, model TEXT NOT NULL, served TEXT NOT NULL, wire_in TEXT NOT NULL,"
        " wire_out TEXT NOT NULL, status INTEGER NOT NULL, error TEXT NOT NULL, attempts INTEGER NOT NULL,"
        " stream INTEGER NOT NULL, currency TEXT NOT NULL, purpose TEXT NOT NULL,"
        " UNIQUE (client, upstream, key, model, served, wire_in, wire_out, status, error, attempts, stream, currency,"
        " purpose))",
        # AUTOINCREMENT: a number is never given again, so that "sent up to this row" stays true.
        "CREATE TABLE requests (seq INTEGER PRIMARY KEY AUTOINCREMENT, kind INTEGER NOT NULL, time REAL NOT NULL,"
        " id TEXT NOT NULL, input INTEGER NOT NULL, output INTEGER NOT NULL, cache_read INTEGER NOT NULL,"
        " cache_write INTEGER NOT NULL, reasoning INTEGER NOT NULL, cost REAL, first_ms REAL, total_ms REAL NOT NULL)",
        # The requests of a day are between these two, among others: an index of their times costs more.
        "CREATE TABLE spans (day INTEGER PRIMARY KEY, first INTEGER NOT NULL, last INTEGER NOT NULL)",
        "INSERT INTO kinds SELECT DISTINCT NULL, client, upstream, key, model, served, wire_in, wire_out, status,"
        " error, attempts, stream, currency, purpose FROM usage",
        "INSERT INTO requests SELECT seq, kind, time, id, input, output, cache_read, cache_write, reasoning, cost,"
        " first_ms, total_ms FROM usage JOIN kinds USING (client, upstream, key, model, served, wire_in, wire_out,"
        " status, error, attempts, stream, currency, purpose) ORDER BY seq",
        "INSERT INTO spans SELECT CAST(time / 86400 AS INTEGER), min(seq), max(seq) FROM usage GROUP BY 1",
        "DELETE FROM sqlite_sequence WHERE name = 'requests'",
        "UPDATE sqlite_sequence SET name = 'requests' WHERE name = 'usage'",
        "DROP TABLE usage",
        # CROSS: never search the requests of each kind.
        "CREATE VIEW usage AS SELECT seq, time, id, client, upstream, key, model, served, wire_in, wire_out, status,"
        " error, attempts, stream, input, output, cache_read, cache_write, reasoning, cost, currency, first_ms,"
        " total_ms, purpose FROM requests CROSS JOIN kinds USING (kind)",
    ),
    (
        # Tries that failed, estimates, the model that was asked for and the purpose: nothing of older rows.
        "DROP VIEW IF EXISTS days",
        "DROP VIEW usage",
        "ALTER TABLE kinds RENAME TO older",
        "CREATE TABLE kinds (kind INTEGER PRIMARY KEY, client TEXT NOT NULL, upstream TEXT NOT NULL,"
        " key INTEGER NOT NULL, model TEXT NOT NULL, served TEXT NOT NULL, wire_in TEXT NOT NULL,"
        " wire_out TEXT NOT NULL, status INTEGER NOT NULL, error TEXT NOT NULL, attempts INTEGER NOT NULL,"
        " stream INTEGER NOT NULL, currency TEXT NOT NULL, purpose TEXT NOT NULL,"
        # The defaults are for a relay of before that goes on until its answers have ended.
        " estimated INTEGER NOT NULL DEFAULT 0, failed TEXT NOT NULL DEFAULT '',"
        " UNIQUE (client, upstream, key, model, served, wire_in, wire_out, status, error, attempts, stream, currency,"
        " purpose, estimated, failed))",
        "INSERT INTO kinds SELECT *, 0, '' FROM older",
        "DROP TABLE older",
        "ALTER TABLE gone RENAME TO older",
        "CREATE TABLE gone (day INTEGER NOT NULL, upstream TEXT NOT NULL, model TEXT NOT NULL, client TEXT NOT NULL,"
        " currency TEXT NOT NULL, asked TEXT NOT NULL, purpose TEXT NOT NULL, requests INTEGER NOT NULL,"
        " errors INTEGER NOT NULL, unpriced INTEGER NOT NULL, estimated INTEGER NOT NULL, tries INTEGER NOT NULL,"
        " tries_failed INTEGER NOT NULL, input INTEGER NOT NULL, output INTEGER NOT NULL,"
        " cache_read INTEGER NOT NULL, cache_write INTEGER NOT NULL, reasoning INTEGER NOT NULL, cost REAL NOT NULL,"
        " PRIMARY KEY (day, upstream, model, client, currency, asked, purpose)) WITHOUT ROWID",
        f"INSERT INTO gone {GONE_BEFORE} FROM older",
        "DROP TABLE older",
        # CROSS: never search the requests of each kind.
        "CREATE VIEW usage AS SELECT seq, time, id, client, upstream, key, model, served, wire_in, wire_out, status,"
        " error, attempts, stream, input, output, cache_read, cache_write, reasoning, cost, currency, first_ms,"
        " total_ms, purpose, estimated, failed FROM requests CROSS JOIN kinds USING (kind)",
        *(f"CREATE VIEW {name} AS {view}" for name, view in VIEWS.items()),
        f"CREATE VIEW days AS SELECT * FROM gone {' '.join(f'UNION ALL {day} {BY_DAY}' for day in DAYS.values())}",  # noqa: S608
    ),
    (
        # A relay of the second schema that still runs puts into ``gone`` what it removes: it goes on as it is.
        "DROP VIEW days",
        "ALTER TABLE gone RENAME TO sums",
        "CREATE TABLE gone (day INTEGER NOT NULL, upstream TEXT NOT NULL, model TEXT NOT NULL, client TEXT NOT NULL,"
        " currency TEXT NOT NULL, requests INTEGER NOT NULL, errors INTEGER NOT NULL, unpriced INTEGER NOT NULL,"
        " input INTEGER NOT NULL, output INTEGER NOT NULL, cache_read INTEGER NOT NULL, cache_write INTEGER NOT NULL,"
        " reasoning INTEGER NOT NULL, cost REAL NOT NULL,"
        " PRIMARY KEY (day, upstream, model, client, currency)) WITHOUT ROWID",
        "CREATE TRIGGER gone_before AFTER INSERT ON gone BEGIN"  # noqa: S608
        f" INSERT INTO sums {GONE_BEFORE} FROM gone WHERE 1 {ADDED}; DELETE FROM gone; END",
        f"CREATE VIEW days AS SELECT * FROM sums {' '.join(f'UNION ALL {day} {BY_DAY}' for day in DAYS.values())}",  # noqa: S608
    ),
)
"""What makes each version of the schema of the one before; ``PRAGMA user_version`` counts them."""

AFTER = f"SELECT seq, {', '.join(COLUMNS)} FROM usage WHERE seq > ? ORDER BY seq LIMIT ?"  # noqa: S608


class Chosen(NamedTuple):
    """Which requests are meant: those for which all that is given holds."""

    since: Optional[float] = None
    """Unix time."""
    until: Optional[float] = None
    """Unix time; not itself."""
    upstream: Optional[str] = None
    model: Optional[str] = None
    """The one that answered, or that was asked for."""
    client: Optional[str] = None

    def names(self) -> tuple[str, tuple[str, ...]]:
        """Return a condition on the names in ``counted`` or ``sums``, and its values."""
        model = None if self.model is None else (self.model, self.model)
        given = (
            ("upstream = ?", None if self.upstream is None else (self.upstream,)),
            ("(model = ? OR asked = ?)", model),
            ("client = ?", None if self.client is None else (self.client,)),
        )
        found = [(text, values) for text, values in given if values is not None]
        return " AND ".join(["1", *(text for text, _v in found)]), tuple(v for _t, values in found for v in values)


ALL = Chosen()


class transaction:
    """BEGIN, and COMMIT or ROLLBACK."""

    def __init__(self, base: sqlite3.Connection) -> None:
        self._base = base

    def __enter__(self) -> None:
        self._base.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        try:
            if kind is None:
                self._base.execute("COMMIT")
        finally:
            if self._base.in_transaction:
                self._base.execute("ROLLBACK")


def migrate(base: sqlite3.Connection, path: str) -> None:
    """Bring the schema up to date; two processes may do it at once."""
    if _version(base) != len(MIGRATIONS):
        with transaction(base):
            check_version(base, path)
            for statements in MIGRATIONS[_version(base) :]:
                for statement in statements:
                    base.execute(statement)
            base.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
    base.execute(AFTER, (0, 0))
    for table in ("days", "spans", "spending", "rests", "notes"):
        base.execute(f"SELECT * FROM {table} LIMIT 0")  # noqa: S608


def check_version(base: sqlite3.Connection, path: str) -> None:
    """Raise CcsetupError when a newer ccsetup made the file *path*, which is open as *base*."""
    version.check(_version(base), len(MIGRATIONS), path)


def _version(base: sqlite3.Connection) -> int:
    return int(base.execute("PRAGMA user_version").fetchone()[0])
