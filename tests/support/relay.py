"""A real relay process in a scratch home, in front of upstreams on loopback.

with Relay(home, upstreams=[{"name": "a", "url": …, "wire": "chat", "key": {"inline": "…"}}]) as relay:
    relay.url, relay.key            # for clients
    relay.rows()                    # usage, after it was written
"""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Optional, Self

import yaml
from support import cc, waiting

KEY = "ccr-0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"


class Reply(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def upstream(name: str, url: str, wire: str, key: str = "", **more: Any) -> dict[str, Any]:
    """Return an entry of ``upstreams``; *key* is the key itself."""
    own: dict[str, Any] = {"name": name, "url": url, "wire": wire}
    if key:
        own["key"] = {"inline": key}
    return {**own, **more}


class Relay:
    """Writes relay.yaml and one client key, and runs ``ccsetup relay run`` until it is left."""

    def __init__(
        self,
        home: Path,
        upstreams: Sequence[Mapping[str, Any]],
        *,
        keyless: bool = False,
        env: Optional[Mapping[str, str]] = None,
        **settings: Any,
    ) -> None:
        self.home = home
        self.env = dict(env or {})
        self.key = KEY
        self.settings: dict[str, Any] = {"upstreams": list(upstreams), **settings}
        self.listen: dict[str, Any] = {"keyless": True} if keyless else {}
        self.config = home / ".config/ccsetup/relay.yaml"
        self.state = home / ".local/state/ccsetup/relay"
        self.log = home / "relay.log"
        self.process: Optional[subprocess.Popen[bytes]] = None
        self.url = ""

    def write(self, **changes: Any) -> None:
        """Write relay.yaml; *changes* replace top-level settings."""
        self.settings.update(changes)
        document = {"relay": 1, **self.settings}
        if self.listen:
            document["listen"] = {**self.listen, **document.get("listen", {})}
        self.config.parent.mkdir(parents=True, exist_ok=True)
        self.config.touch(mode=0o600)
        plain = json.loads(json.dumps(document))  # else what is there twice becomes an alias
        self.config.write_text(yaml.safe_dump(plain, sort_keys=False), "utf-8")

    def add_key(self, name: str = "local", key: str = KEY, **limits: Any) -> None:
        """Make *key* one that the relay takes."""
        from ccsetup.model import Secret
        from ccsetup.relay.config import access

        path = self.home / ".config/ccsetup/relay-keys.json"
        known = access.parse(path.read_bytes(), "keys") if path.exists() else access.Access()
        entry = access.describe(Secret(key), name, time.time(), **limits)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_bytes(access.dump(known.with_key(entry)))

    def __enter__(self) -> Self:
        self.write()
        if not (self.home / ".config/ccsetup/relay-keys.json").exists():
            self.add_key()
        self.start()
        return self

    def start(self) -> None:
        (self.state / "run.json").unlink(missing_ok=True)
        env = {"http_proxy": None, "https_proxy": None, "HTTP_PROXY": None, "HTTPS_PROXY": None, **self.env}
        # Into a file: a pipe that nobody empties would keep a part of the log back.
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ccsetup", "relay", "run", "--port", "0"],
                env=cc.environment(self.home, env),
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        end = time.monotonic() + waiting.LIMIT
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise AssertionError(f"the relay ended with {self.process.returncode}:\n{self.output}")
            try:
                running = json.loads((self.state / "run.json").read_text())
                if running["pid"] == self.process.pid:
                    self.url = running["url"]
                    self.token = running["token"]
                    return
            except (OSError, ValueError, KeyError):
                pass
            time.sleep(0.02)
        raise AssertionError("the relay did not start in time")

    def stop(self, how: int = signal.SIGTERM) -> int:
        """End the process and return its exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(how)
        code = self.process.wait(timeout=waiting.LIMIT)
        self.process = None
        return code

    @property
    def output(self) -> str:
        """What it wrote to its log so far, in all its runs."""
        return self.log.read_text("utf-8", "replace") if self.log.exists() else ""

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        if self.process is not None:
            self.stop()
        if error is not None:
            print(self.output)

    # Requests.

    def post(
        self,
        path: str,
        body: Any,
        *,
        key: Optional[str] = KEY,
        headers: Optional[Mapping[str, str]] = None,
        timeout: float = waiting.LIMIT,
    ) -> Reply:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.ask("POST", path, data, key=key, headers=headers, timeout=timeout)

    def get(self, path: str, *, key: Optional[str] = KEY, headers: Optional[Mapping[str, str]] = None) -> Reply:
        return self.ask("GET", path, None, key=key, headers=headers)

    def control(self, method: str, action: str, body: Any = None) -> Any:
        data = None if body is None and method == "GET" else json.dumps(body or {}).encode()
        return self.ask(method, "/_relay/" + action, data, key=self.token).json

    def ask(
        self,
        method: str,
        path: str,
        data: Optional[bytes],
        *,
        key: Optional[str],
        headers: Optional[Mapping[str, str]] = None,
        timeout: float = waiting.LIMIT,
    ) -> Reply:
        lines = {"content-type": "application/json", **(headers or {})}
        if key is not None:
            lines["authorization"] = f"Bearer {key}"
        request = urllib.request.Request(self.url + path, data, lines, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=timeout) as answer:
                return Reply(answer.status, dict(answer.headers), answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Reply(error.code, dict(error.headers), error.read())

    # What it noted.

    def rows(self, wanted: int = 1, *, purpose: str = "") -> list[dict[str, Any]]:
        """Return the usage rows, oldest first, once there are at least *wanted*."""
        end = time.monotonic() + waiting.LIMIT
        found: list[dict[str, Any]] = []
        while time.monotonic() < end:
            found = self._rows(purpose)
            if len(found) >= wanted:
                return found
            time.sleep(0.05)
        raise AssertionError(f"{len(found)} usage rows instead of {wanted}")

    def rows_of(self, ids: Collection[str]) -> dict[str, dict[str, Any]]:
        """Return the usage rows of the requests *ids* by id, once they are all there."""
        end = time.monotonic() + waiting.LIMIT
        while time.monotonic() < end:
            found = {row["id"]: row for row in self._rows("") if row["id"] in ids}
            if len(found) == len(ids):
                return found
            time.sleep(0.05)
        raise AssertionError(f"no usage rows for {set(ids) - set(found)}")

    def _rows(self, purpose: str) -> list[dict[str, Any]]:
        path = self.state / "usage.db"
        if not path.exists():
            return []
        base = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=waiting.LIMIT)
        try:
            base.row_factory = sqlite3.Row
            return [dict(r) for r in base.execute("SELECT * FROM usage WHERE purpose = ? ORDER BY time", (purpose,))]
        except sqlite3.OperationalError:
            return []
        finally:
            base.close()
