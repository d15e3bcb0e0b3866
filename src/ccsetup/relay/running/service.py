"""Starting and stopping the relay in the background: a systemd user unit, a launchd agent, or a process of its own.

Whatever starts it, the relay is found again by ``run.json`` (see ``control``), and told by request to stop.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from typing import Callable, Literal, Mapping, NamedTuple, Optional, Sequence
from xml.sax.saxutils import escape

from ccsetup.errors import CcsetupError
from ccsetup.i18n import _
from ccsetup.paths import Paths
from ccsetup.platform import system
from ccsetup.relay.config.places import Places
from ccsetup.relay.running import control
from ccsetup.relay.running.control import RelayProcess

Kind = Literal["systemd", "launchd", "process"]

UNIT = "ccsetup-relay.service"
LABEL = "ccsetup.relay"

START_SECONDS = 20.0
"""How long a relay may take until it answers; it takes a third of a second."""
EVERY = 0.02
LOG_BYTES = 5 << 20
"""A log that is longer when the relay starts is put aside as ``relay.log.1``."""

PASSED = ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "CLAUDE_CONFIG_DIR", "CODEX_HOME", "PATH", "SSL_CERT_FILE")
"""Variables that a service manager is to give to the relay as they are now; none ever holds a key."""


class Job(NamedTuple):
    """What is to run, and by what."""

    kind: Kind
    command: tuple[str, ...]
    """Program and arguments, absolute."""
    file: str
    """The service manager's file; "" for a process of its own."""
    text: str
    enable: bool
    """Also start it at every login."""


def kind(environ: Mapping[str, str]) -> Kind:
    """Return what this machine starts services with."""
    if system.SERVICES == "launchd":
        return "launchd"
    return "systemd" if system.SERVICES and _reads_our_units(environ) else "process"


def _reads_our_units(environ: Mapping[str, str]) -> bool:
    """Tell whether systemd is there for this home: there is one for each user, who may have several homes.

    To one of another home our unit's name means the relay of that home, or nothing.
    """
    done = _run(("systemctl", "--user", "show-environment"), environ)
    if done is None or done.returncode:
        return False
    # What the shell would expand is quoted: HOME=$'/home/a b'
    lines = (line.partition("=") for line in done.stdout.splitlines())
    its = {n: v[2:-1].replace("\\'", "'") if v.startswith("$'") else v for n, _equals, v in lines}
    its.setdefault("HOME", environ.get("HOME", ""))
    return all(os.path.realpath(own(its)) == os.path.realpath(own(environ)) for own in (_home, _units))


def _home(environ: Mapping[str, str]) -> str:
    return environ.get("HOME", "")


def _units(environ: Mapping[str, str]) -> str:
    """Return the folder of the user's units."""
    base = environ.get("XDG_CONFIG_HOME", "")
    return os.path.join(base if os.path.isabs(base) else os.path.join(_home(environ), ".config"), "systemd", "user")


def label(home: str) -> str:
    """Return what launchd calls the relay of *home*: it keeps one list for each user, who may have several homes."""
    import hashlib

    if os.path.realpath(home) == os.path.realpath(system.recorded_home()):
        return LABEL
    return f"{LABEL}.{hashlib.sha256(os.path.realpath(home).encode()).hexdigest()[:8]}"


def job(which: Kind, places: Places, paths: Paths, command: Sequence[str], *, enable: bool) -> Job:
    """Return how *which* runs *command*; the file is to be written before ``start``."""
    if which == "systemd":
        return Job(which, tuple(command), unit_file(paths), _unit(places, paths, command), enable)
    if which == "launchd":
        file = agent_file(paths) if enable else os.path.join(places.folder, LABEL + ".plist")
        return Job(which, tuple(command), file, _agent(places, paths, command), enable)
    if enable:
        raise CcsetupError(
            _("Starting the relay at every login needs systemd or launchd, and neither answers here."),
            hint=_("Have your own start script run: ccsetup relay start"),
        )
    return Job(which, tuple(command), "", "", False)


def unit_file(paths: Paths) -> str:
    return os.path.join(_units(paths.environ), UNIT)


def agent_file(paths: Paths) -> str:
    return os.path.join(paths.home, "Library", "LaunchAgents", LABEL + ".plist")


def _unit(places: Places, paths: Paths, command: Sequence[str]) -> str:
    lines = [
        "# Written by: ccsetup relay start",
        "[Unit]",
        "Description=Relay of ccsetup for Claude Code and Codex",
        "StartLimitIntervalSec=60",
        "StartLimitBurst=5",
        "",
        "[Service]",
        "ExecStart=" + " ".join(_quoted(word, command=True) for word in command),
        "ExecReload=/bin/kill -HUP $MAINPID",
        *(f"Environment={_quoted(f'{n}={paths.environ[n]}')}" for n in PASSED if paths.environ.get(n)),
        "Restart=on-failure",
        "RestartSec=1",
        "# Wrong settings do not get better by trying again.",
        "RestartPreventExitStatus=1 2",
        "TimeoutStopSec=90",
        f"StandardOutput=append:{places.log}",
        f"StandardError=append:{places.log}",
        "UMask=0077",
        "NoNewPrivileges=yes",
        "",
        "[Install]",
        "WantedBy=default.target",
    ]
    return "\n".join(lines) + "\n"


def _quoted(word: str, *, command: bool = False) -> str:
    """Return *word* for a unit file, where ``%`` and, in a command, ``$`` begin something."""
    word = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return '"' + (word.replace("$", "$$") if command else word) + '"'


def _agent(places: Places, paths: Paths, command: Sequence[str]) -> str:
    arguments = "".join(f"    <string>{escape(word)}</string>\n" for word in command)
    environ = "".join(
        f"    <key>{n}</key><string>{escape(paths.environ[n])}</string>\n" for n in PASSED if paths.environ.get(n)
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">\n'
        '<plist version="1.0">\n<dict>\n'
        f"  <key>Label</key><string>{label(paths.home)}</string>\n"
        f"  <key>ProgramArguments</key>\n  <array>\n{arguments}  </array>\n"
        f"  <key>EnvironmentVariables</key>\n  <dict>\n{environ}  </dict>\n"
        "  <key>RunAtLoad</key><true/>\n"
        "  <key>KeepAlive</key><dict><key>Crashed</key><true/></dict>\n"
        "  <key>Umask</key><integer>63</integer>\n"
        f"  <key>StandardOutPath</key><string>{escape(places.log)}</string>\n"
        f"  <key>StandardErrorPath</key><string>{escape(places.log)}</string>\n"
        "</dict>\n</plist>\n"
    )


# Start.


def start(job: Job, places: Places, environ: Mapping[str, str]) -> RelayProcess:
    """Start the relay and return when it answers; CcsetupError with the reason from its log when it ends before."""
    places.make()
    begin = _rotate(places.log)
    if job.kind == "process":
        gone = _spawn(job.command, places.log, environ)
    else:
        gone = _systemd(job, environ) if job.kind == "systemd" else _launchd(job, environ)
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        running = control.alive(places)
        if running is not None:
            return running
        if gone():
            raise CcsetupError(
                _("The relay ended right after its start: {reason}").format(
                    reason=_said(places.log, begin) or _("it did not say why.")
                ),
                hint=_("See: ccsetup relay logs"),
            )
        time.sleep(EVERY)
    if job.kind == "process":
        _started[-1].kill()
    raise CcsetupError(
        _("The relay was started, but does not answer after {seconds} seconds.").format(seconds=round(START_SECONDS)),
        hint=_("See: ccsetup relay logs"),
    )


def _rotate(log: str) -> int:
    """Put a long log aside, and return where what comes now begins."""
    try:
        size = os.stat(log).st_size
        if size > LOG_BYTES:
            os.replace(log, log + ".1")
            size = 0
    except OSError:
        size = 0
    os.close(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))  # systemd would make it 0644
    return size


_started: list[subprocess.Popen[bytes]] = []
"""Kept, because a process that nobody holds is waited for when Python ends."""


def _spawn(command: Sequence[str], log: str, environ: Mapping[str, str]) -> Callable[[], bool]:
    try:
        with open(log, "ab") as out:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=dict(environ),
                cwd="/",
                start_new_session=True,
                umask=0o077,
            )
    except OSError as e:
        raise CcsetupError(
            _("'{program}' cannot be run: {reason}").format(program=command[0], reason=e.strerror)
        ) from None
    _started.append(process)
    return lambda: process.poll() is not None


def _systemd(job: Job, environ: Mapping[str, str]) -> Callable[[], bool]:
    _do(("systemctl", "--user", "daemon-reload"), environ)  # the file may be new
    # After five starts in a minute it would refuse, and remember that.
    _ok(("systemctl", "--user", "reset-failed", UNIT), environ)
    if job.enable:
        enable(job, environ)
    _do(("systemctl", "--user", "start", UNIT), environ)

    def gone() -> bool:
        state = _output(("systemctl", "--user", "show", "-p", "ActiveState", "--value", UNIT), environ)
        return state in ("failed", "inactive")

    return gone


def at_login(paths: Paths) -> bool:
    """Tell whether the relay is started at every login."""
    if system.SERVICES == "launchd":
        return os.path.lexists(agent_file(paths))
    asked = ("systemctl", "--user", "is-enabled", UNIT)
    return os.path.lexists(unit_file(paths)) and _output(asked, paths.environ) == "enabled"


def enable(job: Job, environ: Mapping[str, str]) -> None:
    """Have the relay started at every login, by the file of *job* that is there now."""
    if job.kind == "systemd":
        _do(("systemctl", "--user", "daemon-reload"), environ)
        _do(("systemctl", "--user", "enable", UNIT), environ)


def _launchd(job: Job, environ: Mapping[str, str]) -> Callable[[], bool]:
    target = f"gui/{system.USER}"
    name = label(_home(environ))
    _ok(("launchctl", "bootout", f"{target}/{name}"), environ)  # an earlier definition
    _do(("launchctl", "bootstrap", target, job.file), environ)
    return lambda: "state = running" not in _output(("launchctl", "print", f"{target}/{name}"), environ)


def _said(log: str, begin: int) -> str:
    """Return the last lines that a relay which ended wrote to its log after *begin*."""
    try:
        with open(log, "rb") as f:
            f.seek(begin)
            text = f.read(1 << 20).decode("utf-8", "replace")
    except OSError:
        return ""
    lines = [line for line in text.splitlines() if line.strip()]
    return "\n".join(lines[-4:]).strip().removeprefix(_("Error: {message}").format(message=""))


# Stop.


def stop(running: RelayProcess, seconds: float, told: Callable[[], None] = lambda: None) -> bool:
    """Have the relay end, and return whether it did within *seconds*.  Running answers finish first.

    *told* is called when the relay knows: from then on it ends, whether anybody waits for that or not.
    """
    try:
        control.stop(running)
    except CcsetupError:
        pass  # it takes no requests any more because it is ending; a signal now would cut its answers
    told()
    return _ended(running, seconds)


def kill(running: RelayProcess) -> bool:
    """End the relay without waiting for its answers.  Return whether it is gone."""
    # Its second SIGTERM cuts the answers, and it still writes down what it knows.
    for number, seconds in ((signal.SIGTERM, 0.2), (signal.SIGTERM, 5.0), (_LAST, 5.0)):
        _signal(running, number)
        if _ended(running, seconds):
            return True
    return False


_LAST = getattr(signal, system.KILL)


def _signal(running: RelayProcess, number: int) -> None:
    if system.born(running.pid) == running.born:
        try:
            os.kill(running.pid, number)
        except OSError:
            pass


def _ended(running: RelayProcess, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while system.born(running.pid) == running.born:
        if time.monotonic() > deadline:
            return False
        time.sleep(EVERY)
    return True


def disable(paths: Paths) -> Optional[str]:
    """Have no service manager start the relay at login any more; return the file that is to be removed, if any."""
    if system.SERVICES == "launchd":
        _ok(("launchctl", "bootout", f"gui/{system.USER}/{label(paths.home)}"), paths.environ)
        return agent_file(paths) if os.path.lexists(agent_file(paths)) else None
    if not os.path.lexists(unit_file(paths)):
        return None
    if _reads_our_units(paths.environ):
        _ok(("systemctl", "--user", "disable", UNIT), paths.environ)
    return unit_file(paths)


# Programs.


def _run(command: Sequence[str], environ: Mapping[str, str]) -> Optional[subprocess.CompletedProcess[str]]:
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            env=dict(environ),
            timeout=30,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None


def _ok(command: Sequence[str], environ: Mapping[str, str]) -> bool:
    done = _run(command, environ)
    return done is not None and done.returncode == 0


def _output(command: Sequence[str], environ: Mapping[str, str]) -> str:
    done = _run(command, environ)
    return done.stdout.strip() if done is not None else ""


def _do(command: Sequence[str], environ: Mapping[str, str]) -> None:
    done = _run(command, environ)
    if done is None or done.returncode:
        said = done.stderr.strip().splitlines() if done is not None else []
        raise CcsetupError(
            _("'{command}' failed: {reason}").format(
                command=" ".join(command), reason=said[-1] if said else _("it cannot be run.")
            ),
            hint=_("Start it without a service manager: ccsetup relay start --no-service"),
        )
