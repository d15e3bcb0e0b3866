"""Carries a plan out: all of its files or none, one process at a time, and nothing that others wrote is lost."""

from __future__ import annotations

import os
import time
from types import FrameType, TracebackType
from typing import Any, Callable, Optional

from ccsetup.disk import journal
from ccsetup.disk.journal import Recovered
from ccsetup.disk.lock import WAIT, Busy, ClaudeLock, StateLock
from ccsetup.disk.read import read
from ccsetup.disk.replace import Step, changed, make_folders, missing_folders, prepare, refused
from ccsetup.documents.edit import MISSING, Set, lookup
from ccsetup.errors import CcsetupError, ChangedMeanwhile, WriteError
from ccsetup.i18n import _
from ccsetup.naming import Homes
from ccsetup.plan import FileChange, Plan
from ccsetup.platform import system
from ccsetup.tuples import NamedTuple

ATTEMPTS = 10
"""How often a plan is made anew because another program changed a file meanwhile."""

LOOKS = 4
LOOK_EVERY = 0.04
"""Seconds.  Claude Code reads ~/.claude.json, and some 40 ms later writes all of it, with or without its lock."""


class Committed(NamedTuple):
    """What a transaction did."""

    id: str
    """The id of its record, or "" when there was nothing to change."""
    plan: Plan
    """The plan that was carried out."""


def transaction(
    build: Callable[[], Plan], homes: Homes, *, now: float, undoes: str = "", wait: float = WAIT
) -> Committed:
    """Call *build* and carry its plan out, both under the lock, so that no two runs lose each other's changes.

    *build* takes a new snapshot each time: it is called again when another program has changed a file meanwhile.
    It must not commit by itself.  *now* is the time for the record, in seconds since 1970; *undoes* the id of the
    record that the plan takes back; *wait* how many seconds to wait for another ccsetup.
    Raises WriteError; ChangedMeanwhile when ATTEMPTS were not enough; and what *build* raises.
    """
    with StateLock(homes.state_dir, wait) as lock:
        _recover(homes, lock)
        for attempt in range(1, ATTEMPTS + 1):
            plan = build()
            try:
                return Committed(_carry_out(plan, homes, now, undoes), plan)
            except ChangedMeanwhile:
                if attempt == ATTEMPTS:
                    raise
            time.sleep(0.01 * attempt)
    raise AssertionError("unreachable")


def commit(plan: Plan, homes: Homes, *, now: float, undoes: str = "", wait: float = WAIT) -> str:
    """Carry *plan* out, and return the id of its record, or "" when there is nothing to change.

    Raises ChangedMeanwhile when a file is not as ``before`` says: make a new plan, or use ``transaction``.
    Raises WriteError otherwise.  In both cases every file is as it was.
    """
    if all(change.before == change.after for change in plan.changes):
        return ""
    with StateLock(homes.state_dir, wait) as lock:
        _recover(homes, lock)
        return _carry_out(plan, homes, now, undoes)


def recover(homes: Homes) -> Recovered:
    """Take back what a killed run left halfway, unless another run is at work: then it may be that one's.

    Raises WriteError when that cannot be done; the next transaction tries again.
    """
    if not journal.interrupted(homes.state_dir):
        return Recovered()
    try:
        with StateLock(homes.state_dir, 0) as lock:
            return _recover(homes, lock)
    except Busy:
        return Recovered()


class Shield:
    """Holds Ctrl-C, SIGTERM and SIGHUP back, so that they are answered between two steps and never inside one.

    Without it, they raise (or end the process) at any place, also in the middle of going back.  By handlers rather
    than by blocking: a blocked signal is delivered to another thread, and then raises here all the same.
    Outside the main thread it does nothing, for no signal raises there.
    """

    def __enter__(self) -> Shield:
        import signal

        self._caught: list[int] = []
        self._before: dict[int, Any] = {}
        for name in ("SIGINT", *system.ENDING):
            number: int = getattr(signal, name)
            before = signal.getsignal(number)
            if before in (None, signal.SIG_IGN):  # not Python's; ignored (nohup)
                continue
            try:
                signal.signal(number, self._catch)
            except ValueError:  # not the main thread
                break
            self._before[number] = before
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        import signal

        for number, before in self._before.items():
            signal.signal(number, before)
        for number in dict.fromkeys(self._caught):
            signal.raise_signal(number)

    def hit(self) -> bool:
        """Tell whether a signal is being held back."""
        return bool(self._caught)

    def check(self) -> None:
        """Raise KeyboardInterrupt when a signal is being held back; what follows is the way back."""
        if self._caught:
            raise KeyboardInterrupt

    def _catch(self, number: int, _frame: Optional[FrameType]) -> None:
        self._caught.append(number)


def _recover(homes: Homes, lock: StateLock) -> Recovered:
    try:
        with Shield():
            return journal.recover(homes, locked=lock.held)
    except OSError as error:
        raise refused(error.filename or homes.state_dir, error) from None


def _carry_out(plan: Plan, homes: Homes, now: float, undoes: str) -> str:
    changes = [change for change in plan.changes if change.before != change.after]
    if not changes:
        return ""
    locks = [ClaudeLock(change.path) for change in changes if change.claude_lock]
    with Shield() as shield:
        try:
            steps = [prepare(change) for change in changes]
            _check_distinct(steps)
            made = _missing(steps)
            shield.check()
            entry = journal.begin(homes, steps, made=made, time=now, command=plan.command, undoes=undoes)
            try:
                for lock in locks:
                    lock.take(shield.hit)
                shield.check()
                _replace_all(steps, made, locks, shield)
                _finish(entry, homes.state_dir)
            except BaseException:
                _roll_back(steps, made, entry)
                raise
            journal.prune(homes.state_dir)
        finally:
            for lock in locks:
                lock.release()
    return str(entry.number)


def _replace_all(steps: list[Step], made: list[str], locks: list[ClaudeLock], shield: Shield) -> None:
    # Everything that needs disk space comes first; then the files change in quick succession.
    _for_each(steps[:1], lambda _step: make_folders(made))
    for action in (Step.stage, Step.swap):
        for step in steps:
            _for_each([step], action)
            shield.check()
    for lock in locks:
        # Who waited for it reads what we wrote; _look_again is for those who do not wait.
        lock.release()
    _look_again([step for step in steps if step.change.claude_lock], shield)
    _for_each(steps, Step.settle)
    folders = {os.path.dirname(step.real): step for step in steps}
    for folder, step in folders.items():
        _for_each([step], lambda _step, folder=folder: system.sync_folder(folder))  # type: ignore[misc]
    shield.check()


def _for_each(steps: list[Step], action: Callable[[Step], None]) -> None:
    for step in steps:
        try:
            action(step)
        except OSError as error:
            raise refused(step.change.path, error) from None


def _finish(entry: journal.OpenRecord, state_dir: str) -> None:
    try:
        entry.finish()
    except OSError as error:
        raise refused(state_dir, error) from None


def _roll_back(steps: list[Step], made: list[str], entry: journal.OpenRecord) -> None:
    """Make every file what it was; raises WriteError when that fails, too (the next transaction tries again)."""
    failed = ""
    for step in reversed(steps):
        try:
            step.back()
        except (OSError, CcsetupError):
            failed = step.change.path
    journal.clear(steps, made)
    if failed:
        entry.keep_pending()
        raise WriteError(
            _("{path} could not be written, and could not be put back either.").format(path=failed),
            hint=_("The next ccsetup command that writes puts it back first."),
        )
    try:
        entry.drop()
    except OSError:  # still pending: the next transaction finds every file as it was, and drops it
        entry.keep_pending()


def _look_again(steps: list[Step], shield: Shield) -> None:
    """Watch whether another program writes its older idea of a file over ours.  Raises ChangedMeanwhile if so."""
    if not steps:
        return
    for look in range(1, LOOKS + 1):
        time.sleep(LOOK_EVERY)
        shield.check()
        for step in steps:
            found = read(step.real)
            data = None if found is None else found.data
            if data != step.change.after and not _still_there(step.change, data, last=look == LOOKS):
                raise changed(step.change.path)


def _still_there(change: FileChange, data: Optional[bytes], *, last: bool) -> bool:
    """Tell whether *data*, written by another program after us, still holds our edits."""
    if data is None or change.format != "json":
        return False
    import json

    try:
        document = json.loads(data.decode("utf-8-sig"))
    except ValueError:
        return not last  # it may be in the middle of writing
    for edit in change.edits:
        value = lookup(document, edit.path)
        if value != (edit.value if isinstance(edit, Set) else MISSING):
            return False
    return True


def _check_distinct(steps: list[Step]) -> None:
    seen: dict[str, str] = {}
    for step in steps:
        real = os.path.realpath(step.real)
        if real in seen:
            raise WriteError(
                _("{one} and {other} are the same file, reached by symbolic links. No file was changed.").format(
                    one=seen[real], other=step.change.path
                )
            )
        seen[real] = step.change.path


def _missing(steps: list[Step]) -> list[str]:
    made: list[str] = []
    for step in steps:
        if step.change.after is not None:
            made += [folder for folder in missing_folders(os.path.dirname(step.real)) if folder not in made]
    return made
