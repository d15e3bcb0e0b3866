"""What the relay's files say, read and checked together: its configuration, and the keys of upstreams and clients."""

from __future__ import annotations

import os
import ssl
from functools import partial
from typing import Callable, NamedTuple, Optional

from ccsetup import bounded, presets, profiles
from ccsetup.clients import CLIENTS
from ccsetup.documents import yamldoc
from ccsetup.errors import CcsetupError
from ccsetup.i18n import _
from ccsetup.model import Preset
from ccsetup.paths import Paths
from ccsetup.relay.config import access as accessing
from ccsetup.relay.config import dangers, secrets
from ccsetup.relay.config.access import Access
from ccsetup.relay.config.model import Config, Listen
from ccsetup.relay.config.parse import parse
from ccsetup.relay.config.places import Places
from ccsetup.relay.log import Level
from ccsetup.relay.serving.runtime import Runtime, build


class Settings(NamedTuple):
    """How a relay is started."""

    paths: Paths
    places: Places
    host: str = ""
    """Instead of the configuration's; "" as the configuration says."""
    port: Optional[int] = None
    level: Level = "info"
    as_json: bool = True
    """The log is JSON; else text for people."""
    started: Optional[Callable[[str], None]] = None
    """Called with the relay's address when it takes requests."""


class Loaded(NamedTuple):
    """What the files say."""

    config: Config
    runtime: Runtime
    access: Access


def load(settings: Settings) -> Loaded:
    """Read the files; DocumentError or CcsetupError says what is wrong and where."""
    paths, places = settings.paths, settings.places
    config = read_config(places, paths)
    listen = config.listen
    listen = listen._replace(tls_cert=os.path.expanduser(listen.tls_cert), tls_key=os.path.expanduser(listen.tls_key))
    if settings.host:
        listen = listen._replace(host=settings.host)
    if settings.port is not None:
        listen = listen._replace(port=settings.port)
    config, untaken = with_saved(config._replace(listen=listen), paths)
    access = read_access(places, paths)
    refused = dangers.refusals(config, access.any())
    if refused:
        raise CcsetupError(" ".join(refused), hint=_("The file is {file}.").format(file=paths.short(places.config)))
    _check_tls(listen, paths)
    runtime = build(config, secrets.read(config, paths), paths.environ)
    return Loaded(config, runtime._replace(problems=(*untaken, *runtime.problems)), access)


def tls(listen: Listen) -> Optional[ssl.SSLContext]:
    """Return what serves TLS, None without; OSError, ValueError when its files are not right."""
    if not listen.tls_cert:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(listen.tls_cert, listen.tls_key, password="")
    context.set_alpn_protocols(["http/1.1"])
    return context


def _check_tls(listen: Listen, paths: Paths) -> None:
    try:
        tls(listen)
    except (OSError, ValueError) as error:  # an SSLError is an OSError
        reason = (error.reason if isinstance(error, ssl.SSLError) else getattr(error, "strerror", None)) or str(error)
        raise CcsetupError(
            _("The certificate {cert} and its key {key} cannot be used: {reason}").format(
                cert=paths.short(listen.tls_cert), key=paths.short(listen.tls_key), reason=reason
            ),
            hint=_("Both are files in PEM format, the key without a passphrase."),
        ) from None


def with_saved(config: Config, paths: Paths) -> tuple[Config, tuple[str, ...]]:
    """Return *config* as ``compose.with_saved`` does; CcsetupError where the saved profiles cannot be read."""
    if not config.profiles:
        return config, ()
    from ccsetup.relay.config import compose

    file = paths.short(paths.profiles)
    try:
        text = bounded.found(paths.profiles).decode()
    except FileNotFoundError:
        text = ""
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise CcsetupError(_("{file} cannot be read: {reason}").format(file=file, reason=reason)) from None
    return compose.with_saved(config, profiles.parse(text, file, CLIENTS), partial(_preset, paths))


def _preset(paths: Paths, name: str) -> Preset:
    return presets.load(name, paths.user_presets)


def read_config(places: Places, paths: Paths) -> Config:
    """Return what ``relay.yaml`` says; CcsetupError when there is none."""
    try:
        data = bounded.found(places.config, yamldoc.MAX_BYTES)
    except FileNotFoundError:
        raise CcsetupError(
            _("There is no {file}: the relay has not been set up.").format(file=paths.short(places.config)),
            hint=_("Set it up with: ccsetup relay init"),
        ) from None
    except OSError as error:
        raise CcsetupError(
            _("{file} cannot be read: {reason}").format(file=paths.short(places.config), reason=error.strerror)
        ) from None
    return parse(data, paths.short(places.config), partial(_preset, paths))


def read_access(places: Places, paths: Paths) -> Access:
    """Return the client keys; none where there is no file."""
    try:
        data = bounded.found(places.keys)
    except FileNotFoundError:
        return Access()
    except OSError as error:
        raise CcsetupError(
            _("{file} cannot be read: {reason}").format(file=paths.short(places.keys), reason=error.strerror)
        ) from None
    return accessing.parse(data, paths.short(places.keys))
