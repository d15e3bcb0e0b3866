"""Codex' own account: what ``official`` takes out of its way, and what it can only name."""

from __future__ import annotations

import json
import os
import re
from typing import Any, Iterator, Mapping, Optional

from ccsetup import bounded
from ccsetup.clients.codex import edits, facts, now, route
from ccsetup.clients.codex.stops import stops
from ccsetup.clients.values import Correction, Files, KnownValues
from ccsetup.documents.edit import Edit, Unset
from ccsetup.i18n import _
from ccsetup.plan import Note


def leftovers(files: Files, known: KnownValues, administrator: Mapping[str, Any]) -> list[Correction]:
    """Return what other programs, or we, left in Codex' settings that its own account cannot be used with.

    Of auth.json that is OPENAI_API_KEY alone, and only a key that is known to be another provider's, or none at all.
    """
    path, auth_path = files.paths.codex_config, os.path.join(files.paths.codex_home, "auth.json")
    data, out = files.get(path), []
    managed = route.addresses(administrator)
    gone = [k for k in facts.OWN_ADDRESSES if route.reach(_text(data.get(k)), managed) != "official"]
    gone += ["model_catalog_json" for s in _stops(files) if s.key == ("model_catalog_json",)]
    model = _text(data.get("model"))
    if edits.is_official(data) and known.model(model) and not re.match(facts.OWN_MODELS, model):
        gone.append("model")
    for key in gone:
        out.append(Correction(path, "toml", _("{key} was taken out.").format(key=key), (Unset((key,)),)))
    auth = files.get(auth_path)
    key_ = auth.get("OPENAI_API_KEY") if isinstance(auth, dict) else None
    if isinstance(key_, str) and key_ and known.key(key_):
        edit: tuple[Edit, ...] = (Unset(("OPENAI_API_KEY",)),)
        said = _("the key of another provider was taken out; a login in it stays.")
        out.append(Correction(auth_path, "json", said, edit))
    return out


def hindrances(files: Files, administrator: Mapping[str, Any]) -> list[Note]:
    """Return what keeps Codex from its own account, and is not ours to take out."""
    out = []
    shown, data = files.paths.short(files.paths.codex_config), files.get(files.paths.codex_config)
    for key in ("model_provider", *facts.OWN_ADDRESSES):
        value = administrator.get(key)
        if isinstance(value, str) and value not in ("", "openai") and (key not in data or data[key] != value):
            text = _("The administrator sets {key} for Codex, which does not use its own account then.")
            out.append(Note("blocked", text.format(key=key), _("Ask your administrator.")))
    if files.paths.environ.get("CODEX_API_KEY"):
        text = _("CODEX_API_KEY of this shell goes before Codex' own login with 'codex exec'.")
        out.append(Note("blocked", text, _("Run: unset {name}").format(name="CODEX_API_KEY")))
    out += [Note("blocked", f"{shown}: {text}", fix) for text, fix in _models(files, data)]
    out += _login(files)
    found = [s for s in _stops(files) if s.id == "codex-files"]  # the others are told of with every switch
    return [*out, *(Note("blocked", f"{shown}: {s.text}", s.fix) for s in found)]


def _models(files: Files, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what has Codex ask its own account for models of another provider, and what to do."""
    fix = _("Take the line out.")
    catalogue = _text(data.get("model_catalog_json"))
    try:
        models = json.loads(_pointed(files, catalogue) or "")["models"] if catalogue else []
        slugs = [m["slug"] for m in models]
    except (ValueError, RecursionError, LookupError, TypeError):
        return  # Codex does not start: that is said
    if slugs and "" not in slugs and not any(re.match(facts.OWN_MODELS, s) for s in slugs if isinstance(s, str)):
        yield _("model_catalog_json names none of OpenAI's models, and Codex asks for no others."), fix


def _login(files: Files) -> Iterator[Note]:
    """Tell of an auth.json in which Codex finds neither a login nor a key."""
    path = os.path.join(files.paths.codex_home, "auth.json")
    data = files.get(files.paths.codex_config)
    auth = files.get(path)
    if not files.text.get(path, "").strip() or not isinstance(auth, dict) or route.stored(data, auth) is not auth:
        return
    if not route.credential({"requires_openai_auth": True}, auth, {}):
        text = _("{file} holds no login: Codex cannot use its own account yet.").format(file=files.paths.short(path))
        yield Note("blocked", text, _("Run: codex login"))


def _stops(files: Files) -> list[Any]:
    def read(value: str) -> Optional[str]:
        return _pointed(files, value)

    return list(stops(files.get(files.paths.codex_config), files.version, read=read))


def _pointed(files: Files, value: str) -> Optional[str]:
    """Return the text of the file that *value* names, None where there is none."""
    try:
        return bounded.found(facts.pointed(files.paths.codex_home, files.paths.home, value)).decode("utf-8", "replace")
    except OSError:
        return None
    except bounded.TooLarge:
        return '{"models": [{"slug": ""}]}'  # it is there, and not to be judged


def administrator(etc: str = "/etc/codex") -> dict[str, Any]:
    """Return what the administrator's files say together."""
    out: Any = {}
    for name in facts.ADMINISTRATORS:
        out = edits.merged(out, now.toml(os.path.join(etc, name)))
    return dict(out)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
