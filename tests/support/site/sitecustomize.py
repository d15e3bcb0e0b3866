"""Makes a Python process part of a world of ``world.py``, when this folder is on PYTHONPATH.  Changes nothing else.

``WORLD_PORT`` is the port that a new relay takes in place of the usual one; ``WORLD_TIME`` is what the clock says,
in seconds since 1970.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any, Optional

RELAY = "ccsetup.relay.config.model"
"""The module that knows the usual port."""


def change_port(config: Any, port: int) -> None:
    """Make *port* the usual one of *config*, which is the module ``RELAY``."""
    config.DEFAULT_PORT = port
    _change_default(config.Listen, "port", port)
    _change_default(config.Config, "listen", config.Listen())


def _change_default(kind: Any, field: str, value: object) -> None:
    kind._field_defaults[field] = value
    kind.__new__.__defaults__ = tuple(kind._field_defaults.values())


class _Port(MetaPathFinder):
    """Changes the port as soon as the module is there, so that other processes import nothing more than usual."""

    def find_spec(
        self, name: str, path: Optional[Sequence[str]] = None, target: Optional[ModuleType] = None
    ) -> Optional[ModuleSpec]:
        spec = PathFinder.find_spec(name, path, target) if name == RELAY else None
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def changed(module: ModuleType) -> None:
            execute(module)
            change_port(module, int(os.environ["WORLD_PORT"]))

        spec.loader.exec_module = changed  # type: ignore[method-assign]
        return spec


if os.environ.get("WORLD_PORT"):
    sys.meta_path.insert(0, _Port())
if os.environ.get("WORLD_TIME"):
    now = float(os.environ["WORLD_TIME"])
    time.time = lambda: now
