"""Carries the repairs of findings out on a draft: one check at a time, and looks again after each.

So a repair may uncover what the next one sets right, and no two repairs of one value meet.
"""

from __future__ import annotations

from typing import NamedTuple

from ccsetup.change import actions
from ccsetup.change.draft import Draft
from ccsetup.clients.house import BringAlong, Check, Edits, Facts, Finding, House, Protect, Recover, RemoveFolder, Whole
from ccsetup.doctor.checks import checks, examine
from ccsetup.doctor.saved import world_of
from ccsetup.errors import CcsetupError

ROUNDS = 200


class Repaired(NamedTuple):
    check: Check
    finding: Finding


class Repairs(NamedTuple):
    """What the repairs of one house come to, beside what the draft holds."""

    done: tuple[Repaired, ...]
    failed: tuple[tuple[Repaired, str], ...]
    """Repairs that cannot be carried out, and why."""
    protect: tuple[str, ...]
    folders: tuple[str, ...]
    recover: bool


def view(facts: Facts, draft: Draft, **more: object) -> House:
    """Return the house as *draft* has it."""

    def text(path: str) -> str | None:
        return draft.text(path) if draft.exists(path) else None

    return House(facts, text, **more)  # type: ignore[arg-type]


def plan(facts: Facts, draft: Draft) -> Repairs:
    """Put every repair into *draft*."""
    done: list[Repaired] = []
    failed: list[tuple[Repaired, str]] = []
    protect: dict[str, None] = {}
    folders: dict[str, None] = {}
    tried: dict[tuple[str, str, str], int] = {}
    recover = False
    for _round in range(ROUNDS):
        house = view(facts, draft, protected=frozenset(protect), gone=frozenset(folders), recovered=recover)
        found = _next(house, tried)
        if found is None:
            break
        one = found
        try:
            # An edit that cannot be made leaves this finding as it is, and the others go on.
            for repair in one.finding.repairs:
                if isinstance(repair, Edits):
                    draft.edit(repair.path, repair.form, repair.edits, claude_lock=repair.claude_lock)
                elif isinstance(repair, Whole):
                    draft.replace(repair.path, repair.text)
                elif isinstance(repair, Protect):
                    protect[repair.path] = None
                elif isinstance(repair, RemoveFolder):
                    folders[repair.path] = None
                elif isinstance(repair, Recover):
                    recover = True
                elif isinstance(repair, BringAlong):
                    actions.bring_along(world_of(facts, draft), every=True)
        except CcsetupError as e:
            failed.append((one, e.message))
            continue
        done.append(one)
    return Repairs(tuple(done), tuple(failed), tuple(protect), tuple(folders), recover)


def _next(house: House, tried: dict[tuple[str, str, str], int]) -> Repaired | None:
    """Return the first finding with a repair that was not tried yet."""
    for check in checks():
        for outcome in examine(house, (check,)):
            for finding in outcome.findings:
                key = (check.id, finding.text, repr(finding.repairs))  # which names paths, and no value
                # Another repair may bring a defect back once; what comes back more often is not repaired by this.
                if finding.repairs and tried.get(key, 0) < 2:
                    tried[key] = tried.get(key, 0) + 1
                    return Repaired(check, finding)
    return None
