"""The store of one relay: memory, and a task that writes it to one SQLite file in batches.

Two processes may use the file at once, as the old and the new relay do during a restart: what they count adds up.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import Callable, Mapping, Optional

from ccsetup.errors import CcsetupError, WriteError
from ccsetup.i18n import _
from ccsetup.relay.log import Log
from ccsetup.relay.store import Rest, Spent, UsageRow
from ccsetup.relay.store.file import Batch, Known, UsageFile
from ccsetup.relay.store.spending import ClientTotal, Spending, day_of, no_spending, together

EVERY = 0.5
"""Seconds between two batches."""

BATCH = 1000
"""Rows that are written before that time is over."""

PAUSE = 8.0
"""The longest pause, in seconds, while the disk takes nothing."""

LIMIT = 50_000
"""Rows that wait in memory while the disk takes none, about 25 MB; each further one pushes the oldest out."""


class SqliteStore:
    """A ``Store`` in the file *path*, whose single requests are kept *days* days."""

    def __init__(
        self, path: str, log: Optional[Log] = None, *, days: int = 90, clock: Callable[[], float] = time.time
    ) -> None:
        self.path = path
        self.lost = 0
        """Rows that were pushed out while the disk took none."""
        self._clock = clock
        self._log = log

        self._rows: deque[UsageRow] = deque()
        self._known: Spending = no_spending()
        """As the file has it, of all processes."""
        self._new: Spending = no_spending()
        """What is not in ``_known`` yet."""
        self._rests: dict[tuple[str, int], Rest] = {}
        self._changed_rests: dict[tuple[str, int], Optional[Rest]] = {}
        self._notes: dict[str, str] = {}
        self._changed_notes: dict[str, str] = {}
        self._watchers: list[Callable[[], None]] = []
        self._ended: list[Callable[[str, int], None]] = []

        self._file = UsageFile(path, days)
        self._thread = ThreadPoolExecutor(1, "ccsetup-store")
        self._one_at_a_time = asyncio.Lock()
        self._wake = asyncio.Event()
        self._enough = asyncio.Event()
        self._task: Optional[asyncio.Task[None]] = None
        self._away = ""
        """Since when and why nothing can be written."""
        self._set_aside = ""

    # Memory only.

    def record(self, row: UsageRow) -> None:
        rows = self._rows
        rows.append(row)
        if row.client:
            self._new[day_of(row.time)][row.client].charge(row)
        if len(rows) >= BATCH:
            self._enough.set()
            if len(rows) > LIMIT:
                self._drop()
        self._wake.set()

    def reserve(self, client: str, now: float) -> None:
        if client:
            self._new[day_of(now)][client].requests += 1
            self._wake.set()

    def spent(self, client: str, now: float) -> Spent:
        return self.total(client, now).spent()

    def total(self, client: str, now: float) -> ClientTotal:
        """Return what was spent on the day that holds *now* by all processes that use the file; not to be changed."""
        day = day_of(now)
        known, new = self._known[day].get(client), self._new[day].get(client)
        if known is None or new is None:
            return known or new or ClientTotal()
        return known.plus(new)

    def totals(self, now: float) -> dict[str, ClientTotal]:
        """Return ``total`` of every client that spent something."""
        day = day_of(now)
        return {client: self.total(client, now) for client in {*self._known[day], *self._new[day]}}

    def rest(self, rest: Rest) -> None:
        place = (rest.upstream, rest.key)
        self._rests[place] = self._changed_rests[place] = rest
        self._wake.set()

    def unrest(self, upstream: str, key: int) -> None:
        if self._rests.pop((upstream, key), None) is not None:
            self._changed_rests[upstream, key] = None
            self._wake.set()

    def rests(self, now: float) -> list[Rest]:
        return [rest for rest in self._rests.values() if rest.until > now]

    def watch(
        self,
        changed: Callable[[], None],
        announced: Optional[Callable[[], None]] = None,  # noqa: ARG002 - nobody does
        ended: Optional[Callable[[str, int], None]] = None,
    ) -> None:
        self._watchers.append(changed)
        if ended is not None:
            self._ended.append(ended)

    def announce(self) -> None:
        """Nobody has to be told: other relays of this machine read the same files."""

    def note(self, name: str) -> str:
        """Return the small value kept as *name*, or ""."""
        return self._notes.get(name, "")

    def keep(self, name: str, value: str) -> None:
        """Keep a small value."""
        self._notes[name] = self._changed_notes[name] = value
        self._wake.set()

    def health(self) -> Mapping[str, str]:
        lost = f"; {self.lost} requests were not recorded" if self.lost else ""
        if self._away:
            return {"sqlite": f"{self._away}; {len(self._rows)} requests wait{lost}"}
        aside = f"; the damaged file is now {self._set_aside}" if self._set_aside else ""
        return {"sqlite": f"ok{aside}{lost}"}

    def _drop(self) -> None:
        while len(self._rows) > LIMIT:
            self._rows.popleft()
            if not self.lost and self._log is not None:
                reason = self._away or "the disk is too slow"
                self._log.add("error", "requests are not recorded any more", waiting=LIMIT, reason=reason)
            self.lost += 1

    @property
    def writable(self) -> bool:
        """The file took the last batch."""
        return self._task is not None and not self._away

    # The file.

    async def open(self) -> None:
        """Open the file, or make it.  When the disk refuses, go on in memory and try again with each batch.

        CcsetupError when a newer ccsetup made the file.
        """
        failure = await self._write()
        if isinstance(failure, CcsetupError) and not isinstance(failure, WriteError):
            self._thread.shutdown()
            raise failure
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None
        if await self._write() is not None and self._log is not None:
            self._log.add("error", "requests were not recorded", number=len(self._rows), reason=self._away)
        await asyncio.get_running_loop().run_in_executor(self._thread, self._file.close)
        self._thread.shutdown()

    async def flush(self) -> None:
        if await self._write() is not None:
            raise WriteError(_("{path} cannot be written: {reason}.").format(path=self.path, reason=self._away))

    async def rows_after(self, seq: int, limit: int) -> list[tuple[int, UsageRow]]:
        """Return at most *limit* rows of the file after the row *seq*, in order, with their numbers.

        sqlite3.Error, OSError, CcsetupError when the file cannot be read.
        """
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._file.rows_after, seq, limit)

    async def last_row(self) -> int:
        """Return the number of the row that was written last, 0 when there never was one; raises as ``rows_after``."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._file.last_row)

    async def _run(self) -> None:
        pause = EVERY
        while True:
            await self._wake.wait()
            try:
                async with asyncio.timeout(EVERY):  # wait_for may lose a cancellation (Python 3.11)
                    await self._enough.wait()
            except TimeoutError:
                pass
            if await self._write() is None:
                pause = EVERY
            else:
                await asyncio.sleep(pause)
                pause = min(2 * pause, PAUSE)

    async def _write(self) -> Optional[Exception]:
        """Write what waits, and return what the disk said; what it did not take goes on waiting."""
        async with self._one_at_a_time:
            self._wake.clear()
            self._enough.clear()
            batch = Batch(list(self._rows), self._new, self._changed_rests, self._changed_notes)
            before = self._known
            self._known = together(before, batch.spending)  # what is being written counts meanwhile
            self._rows, self._new, self._changed_rests, self._changed_notes = deque(), no_spending(), {}, {}
            loop = asyncio.get_running_loop()
            writing = loop.run_in_executor(self._thread, self._file.write, batch, self._clock())
            cancelled: Optional[asyncio.CancelledError] = None
            while not writing.done():
                try:
                    await asyncio.wait([writing])
                except asyncio.CancelledError as error:  # the thread goes on, and its outcome has to be known
                    cancelled = error
            failure = writing.exception()
            if failure is None:
                self._took(writing.result())
            elif isinstance(failure, Exception):
                self._known = before
                self._give_back(batch)
                self._refused(failure)
            else:
                raise failure
            if cancelled is not None:
                raise cancelled
            return failure

    def _took(self, known: Known) -> None:
        if self._away and self._log is not None:
            self._log.add("info", "requests are recorded again", lost=self.lost)
        self._away = ""
        if self._file.set_aside != self._set_aside:
            self._set_aside = self._file.set_aside
            if self._log is not None:
                self._log.add("error", "the usage database was damaged; a new one began", damaged=self._set_aside)
        self._known = known.spending
        self._notes = {**known.notes, **self._changed_notes}
        rests = {**known.rests}
        for place, rest in self._changed_rests.items():
            if rest is None:
                rests.pop(place, None)
            else:
                rests[place] = rest
        now = self._clock()
        before, self._rests = self._rests, rests
        for place, rest in before.items():
            if rest.until > now and place not in rests:
                for ended in self._ended:
                    ended(*place)
        if any(rest.until > now and rest != before.get(place) for place, rest in rests.items()):
            for changed in self._watchers:
                changed()

    def _give_back(self, batch: Batch) -> None:
        self._rows.extendleft(reversed(batch.rows))
        self._drop()
        self._new = together(batch.spending, self._new)
        self._changed_rests = {**batch.rests, **self._changed_rests}
        self._changed_notes = {**batch.notes, **self._changed_notes}
        self._wake.set()

    def _refused(self, failure: Exception) -> None:
        if not self._away:
            since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._clock()))
            reason = failure.strerror or "" if isinstance(failure, OSError) else str(failure)
            self._away = f"away since {since}: {reason or type(failure).__name__}"
            if self._log is not None:
                self._log.add("error", "requests cannot be recorded", reason=reason, file=self.path)
