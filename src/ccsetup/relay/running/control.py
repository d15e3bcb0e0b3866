"""The relay that runs: the file in which it says how it is reached, and the requests by which it is told what to do.

The file outlives a relay that was killed, so nothing believes it before the process and the relay itself have agreed.
It goes along when a home is copied, so it names its folder: the relay of another home is none of this one's.
"""

from __future__ import annotations

import json
import os
import secrets
from typing import Any, Literal, Mapping, NamedTuple, Optional

from ccsetup import bounded, naming, paths
from ccsetup.errors import CcsetupError
from ccsetup.i18n import _
from ccsetup.platform import system
from ccsetup.relay.config.places import Places

TIMEOUT = 5.0
"""Seconds for a control request; the relay answers these from memory."""

_MOST = 4 << 20


class RelayProcess(NamedTuple):
    """What a relay says of itself in ``run.json``."""

    pid: int
    born: str
    """When the process began, as the system tells it: a pid alone may be another process's by now."""
    url: str
    """By which this machine reaches it."""
    config: str
    token: str
    version: str
    certificate: str = ""
    """File of its TLS certificate; "" for plain HTTP."""

    def __repr__(self) -> str:  # the token is a key
        return f"RelayProcess({self.pid}, {self.url})"


def new_token() -> str:
    return secrets.token_urlsafe(32)


def announce(places: Places, running: RelayProcess) -> None:
    """Write ``run.json``; called by the relay when it takes requests."""
    places.make()
    temporary = f"{places.run}.{running.pid}"
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as f:
        json.dump({**running._asdict(), "folder": places.folder}, f)
    os.replace(temporary, places.run)


def withdraw(places: Places, pid: int) -> None:
    """Remove ``run.json`` when it is that of *pid*; called by the relay at its end."""
    running = recorded(places)
    if running is not None and running.pid == pid:
        try:
            os.remove(places.run)
        except OSError:
            pass


def recorded(places: Places) -> Optional[RelayProcess]:
    """Return what ``run.json`` says, believed or not; None where none of this home can be read."""
    try:
        data = json.loads(bounded.found(places.run, 1 << 20))
        # What a newer relay says besides is nothing that we ask.
        found = RelayProcess(**{name: data[name] for name in RelayProcess._fields if name in data})
    except (OSError, ValueError, TypeError, RecursionError, bounded.TooLarge):
        return None
    texts = (found.born, found.url, found.config, found.token, found.version, found.certificate)
    if type(found.pid) is not int or found.pid < 2 or not all(type(t) is str for t in texts):
        return None
    return None if _copied(places, found, data.get("folder")) else found


def _copied(places: Places, running: RelayProcess, folder: Any) -> bool:
    """Tell whether *running*, which was found in *places*, is the relay of another home.

    Earlier versions named no *folder*.  Of theirs, the process's own variables tell, and where these cannot be read,
    the configuration, if it is the usual one of a home.
    """
    if not isinstance(folder, str):
        folder = _folder_of(running.pid)
    if folder:
        return naming.copied(folder, places.folder)
    usual = os.path.join("ccsetup", os.path.basename(places.config))
    return running.config.endswith(os.sep + usual) and naming.copied(running.config, places.config)


def _folder_of(pid: int) -> str:
    """Return the folder of the relay that the variables of process *pid* name; "" where they cannot be read."""
    try:
        with open(f"/proc/{pid}/environ", encoding="utf-8", errors="surrogateescape") as f:
            environ = dict(item.split("=", 1) for item in f.read().split("\0") if "=" in item)
        return paths.from_environ(environ).relay_dir
    except (OSError, CcsetupError):
        return ""


State = Literal["none", "runs", "silent"]


def there(places: Places) -> Optional[RelayProcess]:
    """Return the relay whose process is there, whether it answers or not."""
    running = recorded(places)
    return running if running is not None and running.born and system.born(running.pid) == running.born else None


def look(places: Places) -> tuple[State, Optional[RelayProcess]]:
    """Return whether a relay runs.  ``silent``: its process is there, but takes no request (it starts, or it ends)."""
    running = there(places)
    if running is None:
        return "none", None
    try:
        said = status(running)
    except CcsetupError:
        return "silent", running
    return ("runs" if said.get("pid") == running.pid else "silent"), running


def alive(places: Places) -> Optional[RelayProcess]:
    """Return the relay that runs and answers, or None."""
    state, running = look(places)
    return running if state == "runs" else None


# Requests to it.


def status(running: RelayProcess) -> dict[str, Any]:
    return _ask(running, "GET", "/_relay/status")


def reload(running: RelayProcess) -> dict[str, Any]:
    """Have it read its configuration again; CcsetupError with the place in the file when that cannot be used."""
    return _ask(running, "POST", "/_relay/reload")


def reset(running: RelayProcess, upstream: str) -> dict[str, Any]:
    """Take *upstream* ("": all) out of its rest."""
    return _ask(running, "POST", "/_relay/reset", {"upstream": upstream})


def stop(running: RelayProcess) -> dict[str, Any]:
    """Have it end; running answers go on for as long as its configuration allows."""
    return _ask(running, "POST", "/_relay/stop")


def log(running: RelayProcess, client: str, seconds: float) -> dict[str, Any]:
    """Have it log the contents of requests of *client*, the name of its key or ``*``, for *seconds*."""
    return _ask(running, "POST", "/_relay/log", {"client": client, "seconds": seconds})


def _ask(running: RelayProcess, method: str, path: str, body: Optional[Mapping[str, Any]] = None) -> dict[str, Any]:
    status, data = _send(running, method, path, body)
    try:
        said = json.loads(data)
    except ValueError:
        said = None
    if status == 200 and isinstance(said, dict):
        return said
    if status == 401:
        raise CcsetupError(
            _("Something else answers at {url}, or the relay was started anew.").format(url=running.url),
            hint=_("See: ccsetup relay status"),
        )
    raise CcsetupError(_reason(said) or _("The relay answered with HTTP {status}.").format(status=status))


def _reason(said: Any) -> str:
    error = (said.get("problem") or said.get("error")) if isinstance(said, dict) else None
    if isinstance(error, dict):
        error = error.get("message")
    return error if isinstance(error, str) else ""


def _send(running: RelayProcess, method: str, path: str, body: Optional[Mapping[str, Any]]) -> tuple[int, bytes]:
    import http.client
    from urllib.parse import urlsplit

    parts = urlsplit(running.url)
    host, port = parts.hostname or "", parts.port or 0
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(host, port, timeout=TIMEOUT, context=_context(running.certificate))
    else:
        connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT)
    headers = {"authorization": f"Bearer {running.token}", "connection": "close"}
    data = None if body is None else json.dumps(body).encode()
    if data is not None:
        headers["content-type"] = "application/json"
    elif method == "POST":
        headers["content-length"] = "0"
    try:
        connection.request(method, path, data, headers)
        answer = connection.getresponse()
        return answer.status, answer.read(_MOST)
    except TimeoutError:
        raise CcsetupError(
            _("The relay at {url} does not answer.").format(url=running.url), hint=_("See: ccsetup relay logs")
        ) from None
    except (OSError, http.client.HTTPException) as e:
        raise CcsetupError(
            _("The relay at {url} cannot be reached: {reason}.").format(
                url=running.url, reason=getattr(e, "strerror", None) or type(e).__name__
            ),
            hint=_("See: ccsetup relay status"),
        ) from None
    finally:
        connection.close()


def _context(certificate: str) -> Any:
    """Return TLS settings that take the relay's own certificate and no other.

    Its name is not compared: it is the one under which other machines know the relay.
    """
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # a certificate that an authority issued counts by itself
    try:
        context.load_verify_locations(certificate)
    except (OSError, ssl.SSLError):
        raise CcsetupError(_("The certificate of the relay cannot be read: {file}").format(file=certificate)) from None
    return context
