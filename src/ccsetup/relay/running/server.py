"""Running the relay: from its files to a listening socket, reloads, and an end that loses nothing."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import random
import signal
import socket
import sys
import time
from typing import Any, Callable, Optional

from ccsetup import __version__
from ccsetup.errors import CcsetupError, DocumentError
from ccsetup.i18n import _
from ccsetup.platform import system
from ccsetup.relay.config import dangers, secrets, switchboard
from ccsetup.relay.config.model import Config
from ccsetup.relay.config.places import url as url_of
from ccsetup.relay.http.client import Lean
from ccsetup.relay.http.server import HttpServer
from ccsetup.relay.log import Log
from ccsetup.relay.routing import routes
from ccsetup.relay.routing.failover import Pool
from ccsetup.relay.running import control, loading
from ccsetup.relay.running.activating import Activations
from ccsetup.relay.running.loading import Loaded, Settings
from ccsetup.relay.serving.app import App
from ccsetup.relay.serving.relay import Relay
from ccsetup.relay.store import Store
from ccsetup.relay.store.sqlite import SqliteStore

TICK = 0.1
"""Seconds between two looks at deadlines, silent streams and the log."""
COLLECT_EVERY = 60.0
"""Seconds between looks at all that is alive for what can go, while no request runs."""
FILES_EVERY = 1.0
"""Seconds between two looks at the files of the configuration."""
FILES = 65_536
"""Files that may be open, where the system lets us."""
FAREWELL = 2.0
"""Seconds for the ends of the answers that were cut off when the time for a stop was over."""


def main(settings: Settings) -> int:
    """Run until told to stop.  CcsetupError when it cannot begin; nothing is changed then."""
    loaded = loading.load(settings)
    system.allow_files(FILES)
    system.keep_memory()
    listener = _bind(loaded.config)
    try:
        loop_factory: Optional[Callable[[], asyncio.AbstractEventLoop]] = None
        with contextlib.suppress(ImportError):
            import uvloop

            loop_factory = uvloop.new_event_loop
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(_Server(settings, loaded, listener).run())
    finally:
        listener.close()
    return 0


def _bind(config: Config) -> socket.socket:
    host, port = config.listen.host, config.listen.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        system.claim_port(listener)
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise CcsetupError(
            _("The relay cannot listen on {host}, port {port}: {reason}.").format(host=host, port=port, reason=reason),
            hint=_("See whether it runs already with: ccsetup relay status; or choose another port with --port."),
        ) from None
    listener.setblocking(False)
    return listener


def _version(path: str) -> tuple[int, int, int]:
    """Return what changes when the file *path* does."""
    try:
        status = os.stat(path)
    except OSError:
        return 0, 0, 0
    return status.st_mtime_ns, status.st_size, status.st_ino


class _Server:
    def __init__(self, settings: Settings, loaded: Loaded, listener: socket.socket) -> None:
        self.settings = settings
        self.loaded = loaded
        self.first = loaded.config
        """Of the start: address, TLS files and store stay those."""
        self.listener = listener
        self.log = Log(sys.stderr, as_json=settings.as_json, level=settings.level)
        self.seen = self._versions()
        self.tasks: set[asyncio.Task[Any]] = set()
        self.reloading = asyncio.Lock()
        self.stopping = asyncio.Event()
        self.at_once = asyncio.Event()

    async def run(self) -> None:
        config, runtime, access = self.loaded
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self.log.unhandled)
        places = self.settings.places
        try:
            places.make()
        except OSError as error:  # the store says it as well, and goes on in memory
            self.log.add("warning", "the state folder cannot be used", path=places.folder, reason=error.strerror)
        self.store = self._store(config)
        await self.store.open()
        self.pool = Pool(
            config,
            random.Random(),  # noqa: S311 - spreads load
            missing=runtime.missing,
            on_rest=self.store.rest,
            on_unrest=self.store.unrest,
        )
        self.pool.restore(self.store.rests(time.time()))
        self.steered: Any = None
        """Of the file that says where the reserved ids lead, when it was read."""
        http = Lean()
        self.relay = relay = Relay(runtime, access, self.pool, http, self.store, self.log, loop)
        self.log.hide((*runtime.secrets, relay.control.token))
        listen = config.listen
        port = self.listener.getsockname()[1]
        url = url_of(listen.host, port, tls=bool(listen.tls_cert))
        relay.control.about = {"url": url, "config": places.config, "stop_seconds": config.stop_seconds}
        relay.control.reload = self.reload
        relay.control.stop = self.stop
        self.server = HttpServer(App(relay).serve, max_body=config.limits.body)
        self._signals(loop)
        self._spawn(self._tick())
        self._spawn(self._files())
        self.activations = Activations(relay)
        self._spawn(self.activations.run())
        self.store.watch(self._elsewhere, lambda: self._spawn(self.reload(announce=False)), self.pool.unrest)
        for problem in runtime.problems:
            self.log.add("warning", "key", problem=problem)
        for warning in dangers.warnings(config):
            self.log.add("warning", "config", problem=warning)
        self._steer()
        try:
            await self.server.listen(self.listener, loading.tls(listen))
            self._started(url)
            await self.stopping.wait()
            await self._finish()
        finally:
            relay.ready = False
            for task in self.tasks:
                task.cancel()
            await asyncio.gather(*self.tasks, return_exceptions=True)
            await http.close()
            await self.store.close()
            control.withdraw(places, os.getpid())
            self.log.add("info", "stopped")
            self.log.close()

    def _store(self, config: Config) -> Store:
        settings = config.store
        local = SqliteStore(self.settings.places.usage, self.log, days=settings.days)
        if not settings.url:
            return local
        from ccsetup.relay.store.shared import SharedStore

        password = secrets.read_one(settings.password, self.settings.paths) if settings.password else None
        return SharedStore(local, settings.url, password, settings.prefix, self.log)

    def _started(self, url: str) -> None:
        pid = os.getpid()
        listen = self.loaded.config.listen
        running = control.RelayProcess(
            pid,
            system.born(pid),
            url,
            self.settings.places.config,
            self.relay.control.token,
            __version__,
            listen.tls_cert,
        )
        try:
            control.announce(self.settings.places, running)
        except OSError as error:
            problem = "run.json cannot be written: ccsetup relay status, reload and stop will not find this relay"
            self.log.add("warning", problem, reason=error.strerror)
        self.log.add("info", "started", url=url, pid=pid, upstreams=len(self.loaded.config.upstreams))
        self.log.flush()
        # What is alive now stays: later collections need not look at it again.
        gc.collect()
        gc.freeze()
        # One large request would else have all that is alive looked at, several times, while streams wait: ``_tick``.
        gc.set_threshold(10_000, 10, 1_000_000)
        # Where a large request is worked on in a thread, streams get their turn sooner than after 5 ms.
        sys.setswitchinterval(0.001)
        if self.settings.started is not None:
            self.settings.started(url)

    # Signals and reloads.

    def _signals(self, loop: asyncio.AbstractEventLoop) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(NotImplementedError):
                loop.add_signal_handler(number, self.stop)
        if system.RELOAD:
            with contextlib.suppress(NotImplementedError):
                loop.add_signal_handler(getattr(signal, system.RELOAD), lambda: self._spawn(self.reload()))

    def stop(self) -> None:
        """End gracefully; told again, at once."""
        if self.stopping.is_set():
            self.at_once.set()
        self.relay.ready = False
        self.stopping.set()
        self.log.add("info", "stopping", running=len(self.relay.running))
        self.log.flush()

    async def _finish(self) -> None:
        """Let the answers that run come to their end, for as long as the configuration says."""
        server = self.server
        server.close()
        ended = asyncio.create_task(server.wait_closed())
        told = asyncio.create_task(self.at_once.wait())
        seconds = max(1.0, self.loaded.config.stop_seconds)
        await asyncio.wait((ended, told), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
        for exchange in list(self.relay.running):
            exchange.stop()
        await asyncio.wait((ended,), timeout=FAREWELL)
        ended.cancel()
        server.abort()

    async def reload(self, *, announce: bool = True) -> str:
        """Read the files again; return "" or why the old configuration stays."""
        async with self.reloading:  # a signal, a command and the files may ask for it at once
            self.seen = self._versions()
            try:
                loaded = await asyncio.get_running_loop().run_in_executor(None, loading.load, self.settings)
            except (CcsetupError, DocumentError) as error:
                self._reloaded(error.message)
                return error.message
            except Exception as error:
                self.log.bug(error)
                problem = f"a bug of the relay: {type(error).__name__}"
                self._reloaded(problem)
                return problem
            first, now = self.first, loaded.config
            restart = first.listen[:4] != now.listen[:4] or first.store != now.store
            changed = self._versions() != self.seen
            self.loaded = loaded
            if not changed:
                self.seen = self._versions()  # of the files that the new configuration names
            self.relay.use(loaded.runtime, loaded.access)
            self.server.max_body = now.limits.body
            self.activations.changed()
            for problem in loaded.runtime.problems:
                self.log.add("warning", "key", problem=problem)
            self._reloaded("", restart=restart)
            self._steer()
            self._lost()
            if announce:
                self.store.announce()
            return ""

    def _reloaded(self, problem: str, *, restart: bool = False) -> None:
        said = {"time": time.time(), "ok": not problem, "problem": problem, "restart": restart}
        self.relay.control.last_reload = said
        if problem:
            self.log.add("error", "reload refused, the old configuration stays", problem=problem)
        else:
            note = "the address, TLS files and the store change at the next start" if restart else ""
            self.log.add("info", "reloaded", note=note)
        self.log.flush()

    def _steer(self) -> None:
        """Have the reserved ids lead where their file says now, if it is another than before.

        Not before a configuration that changed was read: a renamed profile and its targets change together.
        """
        paths = self.settings.paths
        seen = _version(paths.relay_switchboard)
        if seen == self.steered or (self.steered is not None and self._versions() != self.seen):
            return
        first, self.steered = self.steered is None, seen
        try:
            board = switchboard.read(paths.relay_switchboard, paths.short(paths.relay_switchboard))
        except CcsetupError as error:
            self.log.add("warning", "config", problem=error.message)
            return
        self.pool.steer(board)
        if not first or board.set():
            tiers = ", ".join(f"{tier}: {target}" for tier, target in board.tiers.items())
            self.log.add("info", "requests led", default=board.default, tiers=tiers, all=board.all)
        self._lost()

    def _lost(self) -> None:
        """Tell of targets that no upstream has."""
        for use, target in routes.lost(self.loaded.config.upstreams, self.pool.board).items():
            self.log.add("warning", "target gone", use=use, target=target)

    def _elsewhere(self) -> None:
        """Another relay that shares the state put something aside."""
        self.pool.restore(self.store.rests(time.time()))

    def _versions(self) -> tuple[Any, ...]:
        out = []
        paths, places = self.settings.paths, self.settings.places
        kept = [ref for upstream in self.loaded.config.upstreams for ref in upstream.keys]
        names = [ref.value for ref in kept if ref.kind == "profile"]
        of_profiles = [file(n) for n in names for file in (paths.key_file, paths.key_file_apart)]
        files = [os.path.expanduser(ref.value) for ref in kept if ref.kind == "file"]
        saved = (paths.profiles,) if self.loaded.config.profiles else ()
        for path in (places.config, places.keys, *saved, *of_profiles, *files):
            out.append(_version(path))
        return tuple(out)

    # Tasks.

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.log.add("error", "a task of the relay failed", kind=type(task.exception()).__name__)

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        collected = loop.time()
        while True:
            await asyncio.sleep(TICK)
            now = loop.time()
            if now - collected > (COLLECT_EVERY if not self.relay.running else 10 * COLLECT_EVERY):
                gc.collect()
                system.return_memory()
                collected = now
            ping = self.relay.runtime.config.ping
            for exchange in list(self.relay.running):
                exchange.tick(now, ping)
            self.server.tick()
            self._steer()
            self.log.flush()

    async def _files(self) -> None:
        while True:
            await asyncio.sleep(FILES_EVERY)
            if self._versions() != self.seen:
                # An editor may be in the middle of writing: read when it has been quiet for a moment.
                before = self._versions()
                await asyncio.sleep(0.2)
                if self._versions() == before:
                    await self.reload()
