"""What Claude Code would really use, from every place that it reads (``scopes``).

May run the user's ``apiKeyHelper``; writes nothing.
"""

from __future__ import annotations

from typing import Callable, Iterable, Mapping, Optional, cast

from ccsetup.clients.claude import facts
from ccsetup.clients.claude.facts import API_KEY, AUTH_TOKEN, BASE_URL, HEADERS, HELPER, NO_BETAS, OTHER_BACKENDS
from ccsetup.clients.claude.problems import problems
from ccsetup.clients.claude.scopes import Held, Sources, from_disk, read
from ccsetup.clients.house import Finding
from ccsetup.clients.saved import recognise
from ccsetup.clients.values import Sending, Use
from ccsetup.i18n import _
from ccsetup.model import ClaudeEndpoint, Preset, Secret, Version
from ccsetup.paths import Paths
from ccsetup.plan import Note
from ccsetup.probe.target import Credential, Setting, Target, TierModel
from ccsetup.probe.verdict import clean

_SILENT = ("claude-onboarding", "claude-shell", "claude-headers", "claude-managed", "claude-project", "claude-tls")
"""What is no defect of the request that is tested, unless it stops the client, or what the connection shows itself."""
_ASIDE = ("claude-two-keys", "claude-helper")
"""What is shown, and makes no answer worse."""


def target(
    paths: Paths,
    presets: Callable[[], Iterable[Preset]],
    version: Version,
    *,
    etc: str = "/etc",
    helper_seconds: float = 10.0,
) -> Optional[Target]:
    """Return what Claude Code would use in the current folder, or None when it would use its own account.

    *presets* is called only when an address has to be recognised.
    """
    seen = read(paths, from_disk, version, etc=etc)
    found = [(p.id, p.finding) for p in problems(seen)]
    findings = [_note(paths, id, f) for id, f in found if f.level == "stops" or id not in _SILENT]
    base, token, key = seen.env(BASE_URL), seen.env(AUTH_TOKEN), seen.env(API_KEY)
    helper = seen.setting(HELPER[0])
    if not (base or token or key or helper):
        blocked = [n for n in findings if n.level == "blocked"] + _backend(seen)
        return _target(seen, "", (), (), blocked, presets) if blocked else None
    url = base.text if base else "https://" + facts.OFFICIAL
    if any(f.level == "stops" and id == "claude-project" for id, f in found):
        return _target(seen, url, (), (), findings, presets)  # no key is sent there, and no command is run
    made = ""
    if helper and not any(n.level == "blocked" for n in findings):
        made = run_helper(helper, paths, seen.environ(), findings, helper_seconds)
    credentials = _credentials(token, key, helper, made)
    return _target(seen, url, credentials, _models(seen, facts.foreign(url)), findings, presets)


def _note(paths: Paths, id: str, found: Finding) -> Note:
    """Return an entry of the list of problems as ``test`` says it."""
    place = paths.short(found.path) + (f":{found.line}" if found.line else "") if found.path else ""
    hint = _("Run: ccsetup doctor --fix") if found.repairs else found.fix
    text = f"{place}: {found.text}" if place else found.text
    if found.level == "stops":
        return Note("blocked", text, hint)
    aside = id in _ASIDE or (id == "claude-key-approval" and found.level == "warning")
    return Note("info" if aside else "warning", text, "" if aside else hint)


def _backend(seen: Sources) -> list[Note]:
    text = _("{name} is set ({source}): Claude Code uses {backend}, which this test does not ask.")
    held = [(name, seen.env(name)) for name in OTHER_BACKENDS]
    return [
        Note("blocked", text.format(name=n, source=h.source, backend=OTHER_BACKENDS[n]))
        for n, h in held
        if h and facts.on(h.text)
    ]


def asked(use: Use, key: Optional[Secret], source: str) -> Sending:
    """Return what Claude Code would send by a saved profile; *source* says where the key is from."""
    endpoint = cast(ClaudeEndpoint, use.endpoint)
    env = {n: f.value for n, f in endpoint.env.items()}
    extra = {"betas": env.get(NO_BETAS, "") in ("", "0"), "env": env}
    credentials: tuple[Credential, ...] = ()
    if key is not None:
        bearer = Credential("authorization", "Bearer", key, source)
        plain = Credential("x-api-key", "", key, source)
        if use.profile.key_storage != "inline":
            credentials = (bearer, plain)  # apiKeyHelper sends both
        else:
            credentials = (bearer,) if endpoint.auth == "auth_token" else (plain,)
    names = ("primary", *facts.ALIASES, "subagent") if endpoint.models else ()
    models = tuple(TierModel(t, facts.wire_id(getattr(endpoint.models, t))) for t in names)
    return Sending(credentials, models, env, extra)


def _target(
    seen: Sources,
    url: str,
    credentials: tuple[Credential, ...],
    models: tuple[TierModel, ...],
    findings: list[Note],
    presets: Callable[[], Iterable[Preset]],
) -> Target:
    environ = seen.environ()
    preset, region = recognise(url, "claude-code", presets()) if url else (None, None)
    return Target(
        label=(preset.id if preset else "") or "claude",
        client="claude-code",
        kind="effective",
        wire="anthropic",
        base_url=url,
        credentials=credentials,
        models=models,
        environ=environ,
        settings=_settings(seen),
        findings=tuple(findings),
        headers=facts.headers(environ.get(HEADERS, "")),
        preset=preset,
        region=region,
        extra={
            "betas": environ.get(NO_BETAS, "") in ("", "0"),
            "more_betas": environ.get(facts.BETAS, ""),
            "env": environ,
        },
    )


def _settings(seen: Sources) -> tuple[Setting, ...]:
    names = (BASE_URL, AUTH_TOKEN, API_KEY, *facts.MODELS, HEADERS, *facts.PROXIES)
    hidden = (AUTH_TOKEN, API_KEY, HEADERS, *facts.PROXIES, HELPER[0])
    held = [(n, h) for n in names if (h := seen.env(n))]
    helper = seen.setting(HELPER[0])
    return tuple(
        Setting(n, "***" if n in hidden else clean(h.text), h.source, h.hides)
        for n, h in [*held, *([(HELPER[0], helper)] if helper else [])]
    )


def _credentials(
    token: Optional[Held], key: Optional[Held], helper: Optional[Held], made: str
) -> tuple[Credential, ...]:
    """Return the headers that carry a key: a helper's answer fills whichever of the two no variable fills."""
    out = []
    for held, header, scheme in ((token, "authorization", "Bearer"), (key, "x-api-key", "")):
        if held:
            out.append(Credential(header, scheme, Secret(held.text), held.source))
        elif helper and made:
            out.append(Credential(header, scheme, Secret(made), helper.source))
    return tuple(out)


def run_helper(helper: Held, paths: Paths, environ: Mapping[str, str], findings: list[Note], seconds: float) -> str:
    """Run ``apiKeyHelper`` as Claude Code does, with /bin/sh; return the key, "" with a finding when it gives none."""
    from ccsetup.probe import command

    done = command.run(["/bin/sh", "-c", helper.text], cwd=paths.cwd, environ=environ, seconds=seconds)
    text = done.output.strip()
    if done.problem or not text or "\n" in text:
        why = done.problem or (_("it printed nothing") if not text else _("it printed more than one line"))
        findings.append(
            Note(
                "blocked",
                _("{source}: apiKeyHelper gives no key: {why}.").format(source=helper.source, why=why),
                _("Run the command in a shell and look; it has to print the key alone."),
            )
        )
        return ""
    return text


def _models(seen: Sources, foreign: bool) -> tuple[TierModel, ...]:
    """Return the models of every tier, the main one first."""
    own = {a: facts.wire_id(v) for a, name in facts.TIERS.items() if (v := seen.value(name))}
    alias = {**facts.DEFAULTS, **own}

    def resolved(name: str) -> tuple[str, bool]:
        name = {"default": "opus", "best": "opus", "opusplan": "sonnet"}.get(name.strip(), name.strip())
        return (alias[name], name not in own) if name in alias else (facts.wire_id(name), False)

    primary = resolved(seen.primary()[0])
    if any(p.id == "claude-models" for p in problems(seen)):
        primary = resolved("default")
    out = [TierModel("primary", *primary)]
    for tier in alias:
        # The unset tiers only count where the client asks for them by itself: haiku, for titles.
        if tier in own or (tier == "haiku" and foreign):
            out.append(TierModel(tier, alias[tier], tier not in own))
    subagent = seen.value(facts.SUBAGENT)
    if subagent and subagent != "inherit":
        out.append(TierModel("subagent", *resolved(subagent)))
    return tuple(out)
