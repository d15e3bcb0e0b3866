"""What ``doctor`` looks at in Claude Code, in the order in which it is shown and repaired."""

from __future__ import annotations

from ccsetup.clients.claude import problems, surroundings
from ccsetup.clients.house import Check, House
from ccsetup.i18n import _

ID = "claude-code"


def _settings(house: House) -> bool:
    return house.seen(house.paths.claude_settings)


def _claude_json(house: House) -> bool:
    return house.exists(house.paths.claude_json)


CHECKS = (
    Check("claude-syntax", ID, _("settings.json is strict JSON"), problems.syntax, _settings),
    Check("claude-types", ID, _("settings.json has the right types"), problems.types, _settings),
    Check("claude-config-dir", ID, _("No CLAUDE_CONFIG_DIR in settings.json"), problems.config_dir, _settings),
    Check("claude-other-backend", ID, _("Nothing overrides the address"), problems.other_backend, _settings),
    Check("claude-base-url", ID, _("The address is a base URL"), problems.base_url),
    Check("claude-legacy", ID, _("Address and models are today's"), problems.legacy, _settings),
    Check("claude-no-key", ID, _("An address has a key"), problems.no_key),
    Check("claude-two-keys", ID, _("Only one key is sent"), problems.two_keys),
    Check("claude-helper", ID, _("No apiKeyHelper beside a key"), problems.helper, _settings),
    Check("claude-console-key", ID, _("No console key is sent along"), problems.console_key, _claude_json),
    Check("claude-key-approval", ID, _("The key is approved"), problems.approval, _settings),
    Check("claude-tiers", ID, _("Every tier has a model"), problems.tiers, _settings),
    Check("claude-onboarding", ID, _("Nothing asks for a login"), problems.onboarding),
    Check("claude-shell", ID, _("The shell adds nothing"), surroundings.shell),
    Check("claude-project", ID, _("The folder overrides nothing"), surroundings.project),
    Check("claude-managed", ID, _("The administrator overrides nothing"), surroundings.managed),
)
