"""A keyring in a file of the home, for tests that need one and have no desktop.

``PYTHON_KEYRING_BACKEND=support.keyring_file.Keyring`` makes ``keyring`` use it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Optional

from keyring.backend import KeyringBackend


class Keyring(KeyringBackend):
    priority = 1

    @property
    def _file(self) -> Path:
        return Path(os.environ["HOME"]) / ".local/share/keyring.json"

    def _read(self) -> dict[str, str]:
        try:
            found: dict[str, str] = json.loads(self._file.read_text("utf-8"))
        except FileNotFoundError:
            return {}
        return found

    def _write(self, content: dict[str, str]) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_text(json.dumps(content, indent=1) + "\n", "utf-8")
        self._file.chmod(0o600)

    def get_password(self, service: str, username: str) -> Optional[str]:
        return self._read().get(f"{service}/{username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        self._write({**self._read(), f"{service}/{username}": password})

    def delete_password(self, service: str, username: str) -> None:
        self._write({name: key for name, key in self._read().items() if name != f"{service}/{username}"})
