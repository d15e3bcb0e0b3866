"""Keys in the system's keyring (Secret Service, macOS Keychain, Windows Credential Locker), through ``keyring``.

The library is an optional extra.  A keyring may ask the user or hang without a desktop, so every call runs in a
thread with a time limit (gh does the same).
"""

from __future__ import annotations

from typing import Any, Callable, Optional

from ccsetup.errors import CcsetupError
from ccsetup.i18n import _
from ccsetup.model import Secret

SERVICE = "ccsetup"
LIMIT = 10.0
"""Seconds for a call that may open the keyring's own dialogue."""
PROBE_LIMIT = 3.0


def problem() -> str:
    """Return why no keyring can be used here, or ""."""
    try:
        import keyring
        import keyring.errors
    except ImportError:
        return _("the Python package 'keyring' is not installed (pip install 'ccsetup[keyring]')")
    try:
        backend = _limited(keyring.get_keyring, PROBE_LIMIT)
        name = f"{type(backend).__module__}.{type(backend).__name__}"
        if name.startswith(("keyring.backends.fail", "keyring.backends.null", "keyrings.alt")):
            return _("there is no keyring service in this session")
        _limited(lambda: keyring.get_password(SERVICE, "\u2014"), PROBE_LIMIT)
    except Exception as e:
        return _("the keyring does not answer ({kind})").format(kind=type(e).__name__)
    return ""


def get(name: str) -> Optional[Secret]:
    """Return the key of profile *name*, or None; CcsetupError when the keyring cannot be used."""
    text = _call(lambda keyring: keyring.get_password(SERVICE, name))
    return Secret(text) if isinstance(text, str) and text else None


def put(name: str, key: Secret) -> None:
    """Store the key of profile *name*; CcsetupError when the keyring cannot be used."""
    _call(lambda keyring: keyring.set_password(SERVICE, name, key.reveal()))


def remove(name: str) -> None:
    """Forget the key of profile *name*, if there is one."""
    if get(name) is not None:
        _call(lambda keyring: keyring.delete_password(SERVICE, name))


def _call(act: Callable[[Any], Any]) -> Any:
    try:
        import keyring
    except ImportError:
        raise _unusable(_("the Python package 'keyring' is not installed (pip install 'ccsetup[keyring]')")) from None
    try:
        return _limited(lambda: act(keyring), LIMIT)
    except Exception as e:
        raise _unusable(_("the keyring does not answer ({kind})").format(kind=type(e).__name__)) from None


def _unusable(reason: str) -> CcsetupError:
    return CcsetupError(
        _("The key is in the system's keyring, which cannot be used: {reason}.").format(reason=reason),
        hint=_("Unlock the keyring, or store the key elsewhere: ccsetup init -n NAME -k KEY --key-storage command"),
    )


def _limited(act: Callable[[], Any], seconds: float) -> Any:
    import threading

    done: list[Any] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            done.append(act())
        except BaseException as e:  # handed to the caller's thread
            failed.append(e)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if failed:
        raise failed[0]
    if not done:
        raise TimeoutError
    return done[0]
