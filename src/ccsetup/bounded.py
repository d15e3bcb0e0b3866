"""Reads what may be too long, stuck or endless: all of it, or a refusal, and never a part that passes for the whole."""

from __future__ import annotations

import os
import stat
from typing import IO, Any, BinaryIO

from ccsetup.errors import UsageError
from ccsetup.i18n import _
from ccsetup.platform import system

FILE = 64 << 20
"""Bytes of a settings file of a client: what is larger is none."""


class TooLarge(UsageError):
    """There is more than may be read."""

    def __init__(self, name: str, most: int) -> None:
        size = f"{most >> 20} MiB" if most >= 1 << 20 else f"{most >> 10} KiB"
        super().__init__(_("{name} is larger than {size}, and is not read.").format(name=name, size=size))


def stream(source: BinaryIO, most: int, name: str) -> bytes:
    """Return all of *source*, which people call *name*.  Raises TooLarge for more than *most* bytes, and OSError."""
    data = source.read(most + 1)
    if len(data) > most:
        raise TooLarge(name, most)
    return data


def given(path: str, most: int) -> bytes:
    """Return all of the file that the user named, which may be a pipe.  Raises TooLarge and OSError."""
    with open(os.path.expanduser(path), "rb") as file:
        return stream(file, most, path)


def found(path: str, most: int = FILE) -> bytes:
    """Return all of a file that nobody named.  What is no regular file could keep us for ever: OSError.

    Raises TooLarge as well.
    """
    with open(os.open(path, system.READ), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(0, _("it is not a regular file"), path)
        return stream(file, most, path)


def output(pipe: IO[bytes], most: int, seconds: float) -> tuple[bytes, str]:
    """Return what a program writes into *pipe* until it closes it, and why there is no use in that, or ""."""
    import select
    import time

    end = time.monotonic() + seconds
    data = b""
    while True:
        left = end - time.monotonic()
        if left <= 0 or not select.select([pipe], [], [], left)[0]:
            return data, _("it did not end within {seconds} seconds").format(seconds=round(seconds))
        piece = os.read(pipe.fileno(), 1 << 16)
        if not piece:
            return data, ""
        data += piece
        if len(data) > most:
            return data, _("it prints without end")


def zstd() -> Any:
    """Return the module of Python 3.14 that unpacks zstd, or the same for those before; ImportError."""
    import importlib

    try:
        return importlib.import_module("compression.zstd")
    except ImportError:
        return importlib.import_module("backports.zstd")
