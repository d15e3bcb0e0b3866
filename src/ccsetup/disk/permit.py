"""The two changes that are no change of contents: permissions taken from others, and empty folders removed.

They are not in the journal.  ``undo`` gives contents back; it never makes a file with keys readable for others again.
"""

from __future__ import annotations

import os

from ccsetup.disk.replace import refused


def protect(path: str) -> None:
    """Take the permissions of group and others from the file that *path* leads to.  Raises WriteError."""
    try:
        mode = os.stat(path).st_mode & 0o7777
        if mode & 0o077:
            os.chmod(path, mode & 0o700)
    except FileNotFoundError:
        return
    except OSError as error:
        raise refused(path, error) from None


def remove_empty(folder: str) -> None:
    """Remove *folder* if there is nothing in it; somebody's lock stays where it is no folder, or was renewed."""
    try:
        os.rmdir(folder)
    except OSError:
        pass
