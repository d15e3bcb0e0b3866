"""Keys in the system's keyring (Secret Service, macOS Keychain, Windows Credential Locker), through ``keyring``.

The library is an optional extra.  A keyring may ask the user or hang without a desktop, so every call runs in a
thread with a time limit (gh does the same).

A user has one keyring, and may have several homes.  An entry has another one beside it that names the home (its state
folder) which stored the key: no other home that is there replaces or removes it.
"""

from __future__ import annotations

from typing import Any, Callable, Optional

from ccsetup.errors import CcsetupError
from ccsetup.i18n import _
from ccsetup.model import Secret
from ccsetup.naming import copied

SERVICE = "ccsetup"
_OWNERS = "ccsetup home"
"""The service under which the state folder stands that a key was stored from; earlier versions kept none."""
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


def owner(name: str, state_dir: str, came_from: str) -> str:
    """Return the state folder of the other home whose key the one of profile *name* is; "" when it may be changed.

    *came_from* is the state folder that this home was copied from ("": it was not): what names no owner is of that.
    """

    def find(keyring: Any) -> str:
        its = keyring.get_password(_OWNERS, name)
        return its or (came_from if came_from and keyring.get_password(SERVICE, name) else "")

    found = str(_call(find))
    return found if found and copied(found, state_dir) else ""


def put(name: str, key: Secret, state_dir: str, came_from: str = "") -> None:
    """Store the key of profile *name*; CcsetupError when the keyring cannot be used, or it has another home's."""
    other = owner(name, state_dir, came_from)
    if other:
        raise CcsetupError(
            _("The key '{name}' in the keyring is that of another home ({folder}), and is not replaced.").format(
                name=name, folder=other
            ),
            hint=_("Store it elsewhere: ccsetup init -n {name} -k KEY --key-storage command").format(name=name),
        )

    def store(keyring: Any) -> None:
        keyring.set_password(_OWNERS, name, state_dir)
        keyring.set_password(SERVICE, name, key.reveal())

    _call(store)


def remove(name: str, state_dir: str, came_from: str = "") -> str:
    """Forget the key of profile *name*, if there is one; return the home that it is of, when it stays for that."""
    other = owner(name, state_dir, came_from)

    def forget(keyring: Any) -> None:
        for service in (SERVICE, _OWNERS):
            if keyring.get_password(service, name) is not None:
                keyring.delete_password(service, name)

    if not other:
        _call(forget)
    return other


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
