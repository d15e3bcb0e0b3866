"""What differs between systems, chosen once: ``from ccsetup.platform import system``.

Each module answers to the same names, which ``posix`` and ``linux`` explain; mypy compares them for all systems.
Nothing of the program is imported here, and what takes time to import only where it is needed.
"""

from __future__ import annotations

import sys

if sys.platform == "win32":
    from ccsetup.platform import windows as system
elif sys.platform == "darwin":
    from ccsetup.platform import darwin as system
else:
    from ccsetup.platform import linux as system

__all__ = ["system"]
