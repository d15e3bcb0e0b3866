"""The entry point: ``--version`` without any import, everything else through the command tree."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line of this process and exit with its code."""
    if len(sys.argv) == 2 and sys.argv[1] in ("--version", "-V"):
        from ccsetup import __version__

        try:
            raw = sys.stdout.buffer.raw  # type: ignore[union-attr]  # at once: what is buffered fails at the exit
            raw.write(f"ccsetup {__version__}\n".encode())
            return
        except (AttributeError, OSError):
            pass  # the command tree says what is wrong
    import gc
    import os

    # The folder of this script has programs, and no modules: to look there first for each took 1 of 80 ms.
    if sys.path[:1] == [os.path.dirname(os.path.realpath(sys.argv[0]))]:
        del sys.path[0]
    # What the imports make stays, so no garbage is looked for before the command runs: that took 12 of 80 ms.
    gc.disable()
    from ccsetup.cli import _run

    sys.exit(_run.main(sys.argv[1:]))


if __name__ == "__main__":
    main()
