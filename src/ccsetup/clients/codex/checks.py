"""What ``doctor`` looks at in Codex, in the order in which it is shown and repaired."""

from __future__ import annotations

from ccsetup.clients.codex import credentials, problems, sessions, surroundings
from ccsetup.clients.house import SAVED, Check, House
from ccsetup.i18n import _

ID = "codex"


def _config(house: House) -> bool:
    return house.seen(house.paths.codex_config)


def _auth(house: House) -> bool:
    return house.exists(house.auth_path)


CHECKS = (
    Check("codex-syntax", ID, _("config.toml is TOML"), problems.syntax, _config),
    Check("codex-loads", ID, _("Codex loads config.toml"), problems.loads, _config),
    Check("codex-types", ID, _("config.toml has the right types"), problems.types, _config),
    # Before the id changes by which others filed the key.
    Check("codex-temp-env-key", ID, _("No temp_env_key"), credentials.temp_env_key, _config),
    Check("codex-credentials", ID, _("Providers find their key"), credentials.credentials, _config),
    Check("codex-reserved-id", ID, _("No provider has a reserved id"), problems.reserved_ids, _config),
    Check("codex-wire-api", ID, _("Providers speak Responses"), problems.wire_api, _config),
    Check("codex-saved", ID, _("Saved profiles are as Codex reads them"), SAVED, _config),
    Check("codex-legacy-profile", ID, _("No profiles of the old kind"), problems.legacy_profile, _config),
    Check("codex-provider", ID, _("The selected provider exists"), problems.provider, _config),
    Check("codex-fields", ID, _("Providers have name, address and model"), problems.fields, _config),
    Check("codex-base-url", ID, _("Addresses are base URLs"), problems.base_url, _config),
    Check("codex-legacy", ID, _("Address and model are today's"), problems.legacy, _config),
    Check("codex-ignored-keys", ID, _("No keys that Codex ignores"), problems.ignored, _config),
    Check("codex-files", ID, _("Files that it names are there"), problems.pointers, _config),
    Check("codex-auth-json", ID, _("auth.json holds a login only"), credentials.auth_json, _auth),
    Check("codex-shell", ID, _("The shell adds nothing"), surroundings.shell),
    Check("codex-project", ID, _("The folder overrides nothing"), surroundings.project),
    Check("codex-managed", ID, _("The administrator overrides nothing"), surroundings.managed),
    Check("codex-background", ID, _("No stale background process"), surroundings.stale),
    Check("codex-history", ID, _("Codex shows every session"), sessions.unseen, _config),
)
