"""A process that behaves as a relay does toward ``ccsetup relay``: run file, control requests, SIGTERM.

    python fake_relay.py STATE_FOLDER [MODE]

MODE: ``slow`` goes on for a while after it was told to stop; ``deaf`` does so for ever; ``broken`` ends at once.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

from ccsetup.platform import system
from ccsetup.relay.config.places import Places
from ccsetup.relay.running import control


class Handler(BaseHTTPRequestHandler):
    token = control.new_token()
    asked: ClassVar[list[Any]] = []
    ending = threading.Event()

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._answer(200, {"pid": os.getpid(), "running": 0, "stop_seconds": 1, "asked": self.asked, "upstreams": []})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.asked.append([self.path, json.loads(body) if body else None])
        if self.path == "/_relay/reload" and len(self.asked) > 1:
            self._answer(409, {"ok": False, "problem": "relay.yaml:3:1: it is wrong"})
            return
        if self.path == "/_relay/reset" and json.loads(body)["upstream"] == "nobody":
            self._answer(404, {"error": {"message": "There is no upstream 'nobody'."}})
            return
        self._answer(200, {"ok": True})
        if self.path == "/_relay/stop":
            self.ending.set()

    def _answer(self, status: int, value: Any) -> None:
        if self.headers["authorization"] != f"Bearer {self.token}":
            status, value = 401, {"error": {"message": "no"}}
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def main(folder: str, mode: str = "") -> int:
    if mode == "broken":
        sys.stderr.write("\x1b[31mnoise\nError: the port is taken.\n")
        return 1
    places = Places(os.path.join(folder, "relay.yaml"), os.path.join(folder, "keys"), folder)
    signals: list[int] = []

    def told(number: int, _frame: object) -> None:
        signals.append(number)
        Handler.ending.set()

    signal.signal(signal.SIGTERM, told)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    pid = os.getpid()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    control.announce(places, control.RelayProcess(pid, system.born(pid), url, places.config, Handler.token, "0"))
    sys.stderr.write("started\n")
    sys.stderr.flush()
    while not Handler.ending.wait(0.05):
        pass
    server.shutdown()
    server.server_close()
    if mode == "deaf":
        while True:
            signal.pause()
    if mode == "slow":
        threading.Event().wait(0.4)
    if mode == "cut":  # ends only when it is told twice
        while len(signals) < 2:
            threading.Event().wait(0.01)
    control.withdraw(places, pid)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
