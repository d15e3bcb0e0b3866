"""``relay drain``: takes the usage that relays share out of the stream, and writes it to a PostgreSQL table.

A request is acknowledged after it was committed, and known by its id: whatever breaks in between, it is in the table
once.  Several drains may run at a time.
"""

from __future__ import annotations

import datetime
import math
import socket
import threading
from typing import TYPE_CHECKING, Any, Callable, Iterable, Iterator, Mapping, NamedTuple, Optional, Sequence

from ccsetup.errors import CcsetupError
from ccsetup.i18n import _
from ccsetup.model import Secret
from ccsetup.relay.store import UsageRow
from ccsetup.relay.store.server import Addresses
from ccsetup.relay.store.spending import LARGEST
from ccsetup.relay.wire import codec

if TYPE_CHECKING:
    import psycopg
    from redis import Redis

TABLE = "ccsetup_usage"

GROUP = "drain"
"""The consumer group in the stream."""

ENTRIES = 100
"""Of the stream, for one transaction; each holds up to some hundred requests."""

BLOCK = 2.0
"""Seconds to wait for news; a stop takes so long at most."""

ABANDONED = 60.0
"""Seconds after which entries that another drain took and did not acknowledge are taken over."""

PAUSE = 10.0
"""The longest pause, in seconds, between two attempts to reach a server that is away."""

COLUMNS: Mapping[str, str] = {
    "id": "text PRIMARY KEY",
    "relay": "text",
    "time": "timestamptz NOT NULL",
    **dict.fromkeys(("client", "upstream"), "text"),
    "key": "integer",
    **dict.fromkeys(("model", "served", "wire_in", "wire_out"), "text"),
    "status": "integer",
    "error": "text",
    "attempts": "integer",
    "stream": "boolean",
    **dict.fromkeys(("input", "output", "cache_read", "cache_write", "reasoning"), "bigint"),
    "cost": "double precision",
    "currency": "text",
    "first_ms": "double precision",
    "total_ms": "double precision",
    "purpose": "text",
    "estimated": "boolean",
    "failed": "text",
}
"""The table: ``relay`` is the relay's own name for itself, all else as in ``UsageRow``."""

_LONGEST_ID = 200
"""Characters; PostgreSQL's index takes no very long ones, and a relay's have 32."""

_LOCK = 0x6363_7365_7475  # "ccsetu": two drains that begin at once make one table

Message = tuple[bytes, Mapping[bytes, bytes]]
"""Id and members of an entry of the stream."""


class Drained(NamedTuple):
    written: int
    """Requests that are new in the table."""
    skipped: int
    """Entries and requests that are none of a relay, or that PostgreSQL did not take."""

    def plus(self, other: Drained) -> Drained:
        return Drained(self.written + other.written, self.skipped + other.skipped)


class Lost(CcsetupError):
    """A server is away; another attempt may succeed."""


def drain(
    redis_url: str,
    postgres_url: str,
    *,
    password: Optional[Secret] = None,
    prefix: str = "ccsetup",
    once: bool = False,
    consumer: str = "",
    stop: Optional[threading.Event] = None,
    tell: Optional[Callable[[str], None]] = None,
) -> Drained:
    """Write the usage in the stream to the table ``ccsetup_usage``, which is made where it is missing.

    *password* is Redis's; that of PostgreSQL comes from its URL, PGPASSWORD or ``~/.pgpass``.  *once*: return when the
    stream has nothing more, else when *stop* is set.  *consumer* is this drain's name in the stream; "" for the
    machine's, so that one that starts again goes on where it was.  *tell* gets a sentence when a server is away or
    back.  CcsetupError for addresses that are wrong; with *once*, and at the start, also for servers that are away.
    """
    stop = stop or threading.Event()
    total = Drained(0, 0)
    began = away = False
    pause = 0.5
    while True:
        try:
            with (
                _Source(redis_url, password, prefix, consumer or socket.gethostname()) as source,
                _Target(postgres_url) as target,
            ):
                if away and tell is not None:
                    tell(_("Both servers are reached again."))
                began, away, pause = True, False, 0.5
                for messages in source.messages(once, stop):
                    total = total.plus(target.write(messages))
                    source.acknowledge(messages)
                return total
        except Lost as error:
            if once or not began:
                raise
            if not away and tell is not None:
                tell(error.message)
            away = True
            if stop.wait(pause):
                return total
            pause = min(2 * pause, PAUSE)


class _Source:
    """The stream."""

    def __init__(self, url: str, password: Optional[Secret], prefix: str, consumer: str) -> None:
        self._stream = Addresses(prefix).usage
        self._consumer = consumer
        self._client = _redis(url, password)
        self._hidden = [url, password.reveal() if password else ""]

    def __enter__(self) -> _Source:
        from redis.exceptions import RedisError

        try:
            self._make_group()
        except (RedisError, OSError) as error:
            self._client.close()
            raise self._lost(error) from None
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        from redis.exceptions import RedisError

        self._client.close()
        if isinstance(error, (RedisError, OSError)):
            raise self._lost(error) from None

    def _lost(self, error: Exception) -> Lost:
        return Lost(_("The shared store cannot be used: {reason}").format(reason=_plain(error, self._hidden)))

    def messages(self, once: bool, stop: threading.Event) -> Iterator[Sequence[Message]]:
        """Return what nobody acknowledged: first what this drain was given in an earlier run, then what is new."""
        after = b"0"
        while not stop.is_set():
            found = self._read(after, block=not once)
            if not found:
                if after != b">":
                    after = b">"
                    continue
                found = self._abandoned()
                if not found and once:
                    return
            elif after != b">":
                after = found[-1][0]
            if found:
                yield found

    def acknowledge(self, messages: Iterable[Message]) -> None:
        self._client.xack(self._stream, GROUP, *(identity for identity, _members in messages))

    def _make_group(self) -> None:
        from redis.exceptions import ResponseError

        try:
            self._client.xgroup_create(self._stream, GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):  # it is there
                raise

    def _read(self, after: bytes, *, block: bool) -> list[Message]:
        from redis.exceptions import ResponseError

        wait = int(BLOCK * 1000) if block else None
        try:
            found: Any = self._client.xreadgroup(
                GROUP, self._consumer, {self._stream: after}, count=ENTRIES, block=wait
            )
        except ResponseError as error:
            if "NOGROUP" not in str(error):
                raise
            self._make_group()  # the server lost its memory
            return []
        if isinstance(found, dict):  # RESP3
            return [message for pages in found.values() for page in pages for message in page]
        return [message for _name, page in found or () for message in page]

    def _abandoned(self) -> list[Message]:
        found: Any = self._client.xautoclaim(self._stream, GROUP, self._consumer, int(ABANDONED * 1000), count=ENTRIES)
        return list(found[1])


class _Target:
    """The table."""

    def __init__(self, url: str) -> None:
        driver = _psycopg()
        try:
            hidden = str(driver.conninfo.conninfo_to_dict(url).get("password") or "")
        except driver.Error:  # its text shows the URL
            raise CcsetupError(
                _("The address of the PostgreSQL database is wrong."),
                hint=_("It looks like postgresql://user@host:5432/database."),
            ) from None
        self._hidden = [url, hidden]
        self._error: type[Exception] = driver.Error
        self._refused: tuple[type[Exception], ...] = (driver.DataError, driver.IntegrityError)
        try:
            self._base: psycopg.Connection[Any] = driver.connect(url, autocommit=True, connect_timeout=10)
        except driver.Error as error:
            raise self._lost(error) from None

    def __enter__(self) -> _Target:
        try:
            self._make_table()
        except self._error as error:
            self._base.close()
            raise self._lost(error) from None
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self._base.close()
        if isinstance(error, self._error):
            raise self._lost(error) from None

    def write(self, messages: Iterable[Message]) -> Drained:
        """Write the requests in *messages* in one transaction, and return when it is committed."""
        rows: list[tuple[Any, ...]] = []
        skipped = 0
        for _identity, members in messages:
            found = _rows(members)
            skipped += found is None
            for item in found or ():
                row = _row(item)
                if row is None:
                    skipped += 1
                else:
                    rows.append(row)
        try:
            with self._base.transaction(), self._base.cursor() as cursor:
                cursor.executemany(_INSERT, rows)
                return Drained(cursor.rowcount if rows else 0, skipped)
        except self._refused:
            return self._one_by_one(rows).plus(Drained(0, skipped))

    def _one_by_one(self, rows: Iterable[tuple[Any, ...]]) -> Drained:
        """Write *rows* but for those that PostgreSQL refuses."""
        written = skipped = 0
        with self._base.transaction():
            for row in rows:
                try:
                    with self._base.transaction():
                        written += self._base.execute(_INSERT, row).rowcount
                except self._refused:
                    skipped += 1
        return Drained(written, skipped)

    def _make_table(self) -> None:
        with self._base.transaction():
            self._base.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
            # CREATE TABLE IF NOT EXISTS would ask for the right to create, even where nothing is to be created.
            if self._base.execute("SELECT to_regclass(%s)", (TABLE,)).fetchone() == (None,):
                columns = ", ".join(f'"{name}" {kind}' for name, kind in COLUMNS.items())
                self._base.execute(f"CREATE TABLE {TABLE} ({columns})".encode())
                self._base.execute(f'CREATE INDEX ON {TABLE} ("time")'.encode())
                return
            found = self._base.execute(
                "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0", (TABLE,)
            ).fetchall()
            for name, kind in COLUMNS.items():
                if (name,) not in found:
                    self._base.execute(f'ALTER TABLE {TABLE} ADD COLUMN "{name}" {kind}'.encode())

    def _lost(self, error: Exception) -> CcsetupError:
        driver = _psycopg()
        reason = _plain(error, self._hidden)
        # A server that is away or is starting; all else does not get better by waiting.
        kind = Lost if isinstance(error, (driver.OperationalError, driver.InterfaceError)) else CcsetupError
        return kind(_("The PostgreSQL database cannot be used: {reason}").format(reason=reason))


_NAMES = ", ".join(f'"{name}"' for name in COLUMNS)
_PLACES = ", ".join(["%s"] * len(COLUMNS))
_INSERT = f"INSERT INTO {TABLE} ({_NAMES}) VALUES ({_PLACES}) ON CONFLICT (id) DO NOTHING".encode()  # noqa: S608


def _rows(members: Mapping[bytes, bytes]) -> Optional[list[Any]]:
    """Return the requests of an entry, None when it is not a relay's."""
    try:
        found = codec.loads(members[b"rows"])
    except (KeyError, ValueError):
        return None
    return found if isinstance(found, list) else None


def _row(item: Any) -> Optional[tuple[Any, ...]]:
    """Return the values of the table for a request, None when it is none."""
    if not isinstance(item, dict) or not isinstance(item.get("id"), str) or not 0 < len(item["id"]) <= _LONGEST_ID:
        return None
    try:
        moment = datetime.datetime.fromtimestamp(item["time"], datetime.UTC)
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        return None
    values = {**_DEFAULTS, **item, "time": moment}
    return tuple(_value(values.get(name), kind) for name, kind in COLUMNS.items())


_DEFAULTS = UsageRow._field_defaults


def _value(value: Any, kind: str) -> Any:
    """Return *value* as a column of *kind* takes it; None for what is of another kind."""
    if kind.startswith("text"):
        return value.replace("\0", "").encode("utf-8", "replace").decode() if isinstance(value, str) else None
    if kind == "boolean":
        return value if isinstance(value, bool) else None
    if kind.startswith("timestamptz"):
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    if kind == "double precision":
        return float(value)
    largest = LARGEST if kind == "bigint" else (1 << 31) - 1
    return max(-largest, min(int(value), largest))


def _plain(error: BaseException, hidden: Iterable[str]) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    for secret in hidden:
        if secret:
            text = text.replace(secret, "***")
    return text[:300]


def _redis(url: str, password: Optional[Secret]) -> Redis:
    try:
        from redis import Redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry
    except ImportError:
        raise _missing("redis") from None
    options: dict[str, Any] = {"password": password.reveal()} if password else {}
    options["retry"] = Retry(NoBackoff(), 0)
    try:
        return Redis.from_url(url, socket_timeout=BLOCK + 5, socket_connect_timeout=5, **options)
    except ValueError:  # its text shows the URL
        raise CcsetupError(
            _("The address of the shared store is wrong."), hint=_("It looks like redis://host:6379/0.")
        ) from None


def _psycopg() -> Any:
    try:
        import psycopg
        import psycopg.conninfo
    except ImportError:  # also where libpq is missing
        raise _missing("psycopg") from None
    return psycopg


def _missing(name: str) -> CcsetupError:
    return CcsetupError(
        _("Sharing state needs packages that are not installed: {names}.").format(names=name),
        hint=_("Install them with: pip install 'ccsetup[relay-shared]'"),
    )
