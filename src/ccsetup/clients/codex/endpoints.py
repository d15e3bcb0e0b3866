"""What Codex is to use by a profile."""

from __future__ import annotations

from ccsetup import urls
from ccsetup.errors import CcsetupError, Incomplete
from ccsetup.i18n import _
from ccsetup.model import CodexEndpoint, Preset, Unsupported
from ccsetup.profiles import UNKNOWN_CONTEXT, Profile, region_of


def endpoint(profile: Profile, preset: Preset) -> CodexEndpoint:
    """Return what Codex is to use: the preset's endpoint with the profile's own choices on top."""
    part = profile.parts["codex"]
    region = region_of(profile, preset)
    base = region.codex
    if isinstance(base, Unsupported):
        if not part.url:
            raise CcsetupError(
                _("{provider} has no endpoint that Codex can speak to: {reason}").format(
                    provider=preset.name, reason=base.reason
                ),
                hint=_("Have the relay translate for it: add --via-relay; or choose another provider."),
            )
        base = CodexEndpoint("", "responses", "", None, "disabled", False, True, (), "")
    if part.url and base.wire == "chat" and urls.origin(part.url) != urls.origin(base.base_url):
        # The user names another host: a relay in front of the provider. Codex speaks Responses to it.
        base = base._replace(wire="responses")
    url = urls.base(part.url or base.base_url, "responses")
    if not url:
        raise Incomplete(
            _("Provider '{provider}' needs a URL for Codex.").format(provider=preset.id),
            hint=_("Give it with -u URL."),
        )
    model = part.primary_model or base.model
    if not model:
        raise Incomplete(
            _("Provider '{provider}' needs a model for Codex.").format(provider=preset.id),
            hint=_("Give it with -M MODEL."),
        )
    known = preset.model(model)
    context = part.context_window or (base.context_window if model == base.model else None)
    return base._replace(
        base_url=url,
        extra_tools=base.extra_tools or part.tools == "all",
        web_search=part.web_search or base.web_search,
        model=model,
        settings=part.settings,
        context_window=context or (known.context if known else None) or UNKNOWN_CONTEXT,
    )
