"""What ``doctor`` looks at in Claude Code, in the order in which it is shown and repaired."""

from __future__ import annotations

from functools import partial
from typing import Callable

from ccsetup.clients.claude import advice
from ccsetup.clients.claude.scopes import moved_away
from ccsetup.clients.house import Check, House
from ccsetup.i18n import _

ID = "claude-code"


def _settings(house: House) -> bool:
    return any(s.path for s in advice.sources(house).scopes)


def _claude_json(house: House) -> bool:
    return house.exists(house.paths.claude_json)


def _config_dir(house: House) -> bool:
    return _settings(house) or moved_away(house.paths)


def _always(_house: House) -> bool:
    return True


def _listed(id: str, title: str, needs: Callable[[House], bool] = _settings) -> Check:
    """Return the check of the list's problems that are called *id*."""
    return Check(id, ID, title, partial(advice.listed, id=id), needs)


CHECKS = (
    _listed("claude-syntax", _("settings.json is strict JSON")),
    _listed("claude-types", _("settings.json has the right types")),
    _listed("claude-config-dir", _("CLAUDE_CONFIG_DIR leads to the settings"), _config_dir),
    _listed("claude-other-backend", _("Nothing overrides the address")),
    Check("claude-base-url", ID, _("The address is a base URL"), advice.base_url),
    Check("claude-legacy", ID, _("Address and models are today's"), advice.legacy, _settings),
    _listed("claude-no-key", _("An address has a key"), _always),
    _listed("claude-key", _("The key can be sent"), _always),
    _listed("claude-two-keys", _("Only one key is sent"), _always),
    _listed("claude-helper", _("No apiKeyHelper beside a key")),
    _listed("claude-console-key", _("No console key is sent along"), _claude_json),
    _listed("claude-key-approval", _("The key is approved")),
    _listed("claude-models", _("availableModels lets the model through")),
    Check("claude-tiers", ID, _("Every tier has a model"), advice.tiers, _settings),
    _listed("claude-headers", _("No headers of another provider are sent along")),
    _listed("claude-tls", _("The provider's certificate is checked"), _always),
    _listed("claude-onboarding", _("Nothing asks for a login"), _always),
    _listed("claude-shell", _("The shell adds nothing"), _always),
    _listed("claude-project", _("The folder overrides nothing"), _always),
    _listed("claude-managed", _("The administrator overrides nothing"), _always),
)
