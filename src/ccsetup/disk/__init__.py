"""The only writer: reads files into a snapshot, carries a plan out as one transaction, takes it back again.

A transaction is all or nothing, also when the process is killed: its journal record, which is the verified backup,
is on the disk before the first file changes, and the next transaction takes an unfinished one back.

It must not know what is in the files; only ``reverse`` looks inside, through ``documents``.
"""

from __future__ import annotations

from ccsetup.disk.journal import Record, Recovered, contents, damaged, history, interrupted, unfinished
from ccsetup.disk.read import snapshot
from ccsetup.disk.replace import protect, put, remove_empty, set_aside
from ccsetup.disk.transact import Committed, commit, recover, transaction

__all__ = [
    "Committed",
    "Record",
    "Recovered",
    "commit",
    "contents",
    "damaged",
    "history",
    "interrupted",
    "protect",
    "put",
    "recover",
    "remove_empty",
    "set_aside",
    "snapshot",
    "transaction",
    "unfinished",
]
