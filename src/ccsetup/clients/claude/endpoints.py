"""What Claude Code is to use by a profile."""

from __future__ import annotations

import re
from typing import Optional, cast

from ccsetup import urls
from ccsetup.errors import CcsetupError, Incomplete
from ccsetup.i18n import _
from ccsetup.model import Auth, ClaudeEndpoint, Fact, Preset, Tiers, Unsupported
from ccsetup.profiles import UNKNOWN_CONTEXT, Profile, region_of
from ccsetup.profiles.facts import NAMES


def endpoint(profile: Profile, preset: Preset) -> ClaudeEndpoint:
    """Return what Claude Code is to use: the preset's endpoint with the profile's own choices on top.

    A tier for which the profile has no choice keeps the preset's model, except where the preset gives that
    tier the same model as the primary one: then it follows the profile's primary model.
    """
    part = profile.parts["claude-code"]
    region = region_of(profile, preset)
    base = region.claude
    if isinstance(base, Unsupported):
        if not part.url:
            raise CcsetupError(
                _("{provider} has no endpoint that Claude Code can speak to: {reason}").format(
                    provider=preset.name, reason=base.reason
                ),
                hint=_("Have the relay translate for it: add --via-relay; or choose another provider."),
            )
        base = ClaudeEndpoint("", "auth_token", None, None, {})
    url = urls.base(part.url or base.base_url, "anthropic")
    if not url:
        raise Incomplete(
            _("Provider '{provider}' needs a URL for Claude Code.").format(provider=preset.id),
            hint=_("Give it with -u URL."),
        )
    default = base.models
    primary = part.primary_model or (default.primary if default else "")
    models: Optional[Tiers] = None
    if primary:

        def tier(own: str, preset_tier: str, follow: str) -> str:
            if own:
                return own
            if not default or preset_tier == default.primary:
                return follow
            return preset_tier

        d = default or Tiers("", "", "", "", "", "")
        models = Tiers(
            primary=primary,
            haiku=tier(part.haiku_model, d.haiku, primary),
            sonnet=tier(part.sonnet_model, d.sonnet, primary),
            opus=tier(part.opus_model, d.opus, primary),
            fable=tier(part.fable_model, d.fable, primary),
            subagent=tier(part.subagent_model, d.subagent, primary),
        )
    elif not base.native_models:
        raise Incomplete(
            _("Provider '{provider}' needs a model for Claude Code.").format(provider=preset.id),
            hint=_("Give it with -M MODEL."),
        )
    return base._replace(
        base_url=url,
        auth=cast(Auth, part.auth or base.auth),
        models=models,
        env={**base.env, **{name: Fact(value, "") for name, value in part.settings.items() if name not in NAMES}},
        context_window=part.context_window or _claude_context(preset, base, primary),
    )


def _claude_context(preset: Preset, base: ClaudeEndpoint, primary: str) -> Optional[int]:
    if not primary or re.match(r"(?:anthropic/)?claude-", primary):
        return None  # the client knows its own models
    if base.models and primary == base.models.primary and base.context_window:
        return base.context_window
    known = preset.model(primary)
    return known.context if known and known.context else UNKNOWN_CONTEXT
