"""What Claude Code would really use, from every place that it reads.

Strongest first: managed settings, the project's settings.local.json and settings.json, the user's settings.json, the
shell; ``env`` is merged key by key (observed with 2.1.329, 2.1.197 and 2.0.76).  Reads files and may run the user's
``apiKeyHelper``; writes nothing.
"""

from __future__ import annotations

import os
import re
from typing import Any, Callable, Iterable, Mapping, NamedTuple, Optional, cast

from ccsetup import bounded
from ccsetup.clients.base import Sending, Use
from ccsetup.clients.claude.edits import API_KEY, AUTH_TOKEN, BASE_URL, MODELS, OTHER_BACKENDS, TYPES, key_suffix
from ccsetup.clients.saved import recognise
from ccsetup.documents import encoding, jsondoc
from ccsetup.documents.edit import MISSING, lookup
from ccsetup.errors import DocumentError
from ccsetup.i18n import _
from ccsetup.model import ClaudeEndpoint, Preset, Secret
from ccsetup.paths import Paths
from ccsetup.plan import Note
from ccsetup.probe.target import Credential, Setting, Target, TierModel
from ccsetup.probe.verdict import clean

OAUTH = "CLAUDE_CODE_OAUTH_TOKEN"
HEADERS = "ANTHROPIC_CUSTOM_HEADERS"
DEFAULTS: Mapping[str, str] = {
    "opus": "claude-opus-5-5",
    "sonnet": "claude-sonnet-5-5",
    "haiku": "claude-haiku-5-5",
}
"""What 2.1.329 asks for where no variable names a model for a tier."""

_LEADS_AWAY = (
    "https_proxy",
    "HTTPS_PROXY",
    "http_proxy",
    "HTTP_PROXY",
    "NODE_EXTRA_CA_CERTS",
    *OTHER_BACKENDS,
)
"""Variables with which a folder that somebody else made could read the key on its way."""


class Layer(NamedTuple):
    """One settings file that exists, or the shell."""

    path: str
    """Empty: the shell."""
    shown: str
    text: str
    data: Mapping[str, Any]
    project: bool
    """It belongs to the folder, not to the user."""

    def where(self, *path: str) -> str:
        """Return the place of a key for people: ``file:line``."""
        if not self.path:
            return f"shell: {path[-1]}"
        line = jsondoc.locate(self.text, path)
        return f"{self.shown}:{line}" if line else self.shown


class Found(NamedTuple):
    value: str
    layer: Layer
    source: str
    hides: tuple[str, ...]


def target(
    paths: Paths,
    presets: Callable[[], Iterable[Preset]],
    *,
    profile: str = "",
    etc: str = "/etc",
    helper_seconds: float = 10.0,
) -> Optional[Target]:
    """Return what Claude Code would use in the current folder, or None when it would use its own account.

    *presets* is called only when an address has to be recognised.  *profile* is the name of the saved profile that
    was activated last, for the label.
    """
    findings: list[Note] = []
    layers = _layers(paths, etc, findings)

    def env(name: str) -> Optional[Found]:
        return _env(layers, name)

    def text(name: str) -> str:
        found = env(name)
        return found.value if found else ""

    base, token, key = env(BASE_URL), env(AUTH_TOKEN), env(API_KEY)
    helper = _helper(layers)
    url = base.value if base else ""
    claude_json = _read_json(paths.claude_json)
    login = _has_login(paths, claude_json)
    backend = next((n for n in OTHER_BACKENDS if text(n) not in ("", "0", "false")), "")
    if not url and not token and not key and not helper:
        if findings and not login:
            return _blocked(paths, findings)
        if findings:
            return _blocked(paths, findings)
        return None
    if not url and not (token or key or helper):
        return None
    if not url:
        url = "https://api.anthropic.com"
    if backend:
        findings.append(
            Note(
                "blocked",
                _("{name} is set ({source}): Claude Code goes there and ignores ANTHROPIC_BASE_URL.").format(
                    name=backend, source=_source(env(backend))
                ),
                _("Run: unset {name}").format(name=backend),
            )
        )
    foreign = base is not None and "//api.anthropic.com" not in url
    trusted = _trusted(paths, claude_json)
    projects = [f for f in (base, helper, *(env(n) for n in _LEADS_AWAY)) if f is not None and f.layer.project]
    if projects and not trusted:
        findings.append(
            Note(
                "blocked",
                _(
                    "{source} belongs to this folder, which is not trusted: no key is sent to {url}, and no command "
                    "is run."
                ).format(source=projects[0].source, url=clean(url, limit=80)),
                _(
                    "Claude Code itself sends your key there with -p. Trust the folder in Claude Code first, or remove "
                    "the setting."
                ),
            )
        )
        return _made(paths, url, (), (), layers, findings, presets, profile)
    made = ""
    if helper is not None and not any(f.level == "blocked" for f in findings):
        made = run_helper(helper, paths, _environ(paths, layers), findings, helper_seconds)
    credentials = _credentials(token, key, helper, made)
    if not credentials and not any(f.level == "blocked" for f in findings):
        if foreign and login:
            findings.append(
                Note(
                    "blocked",
                    _("No key is set: Claude Code sends your own Anthropic login to {url}.").format(
                        url=clean(url, limit=80)
                    ),
                    _("Set a key with: ccsetup init, or take the address away with: ccsetup config-switch official"),
                )
            )
        else:
            findings.append(
                Note(
                    "blocked",
                    _('An address is set ({source}), but no key: Claude Code says "Not logged in".').format(
                        source=_source(base)
                    ),
                    _("Set a key with: ccsetup init -p PROVIDER -k KEY"),
                )
            )
    findings += _credential_findings(paths, token, key, helper, claude_json, foreign)
    if text("CLAUDE_CONFIG_DIR") and _is_file(env("CLAUDE_CONFIG_DIR")):
        findings.append(
            Note(
                "warning",
                _("{source} sets CLAUDE_CONFIG_DIR, which makes Claude Code read another folder's settings.").format(
                    source=_source(env("CLAUDE_CONFIG_DIR"))
                ),
                _("Remove it from the file."),
            )
        )
    return _made(paths, url, credentials, _models(layers, foreign), layers, findings, presets, profile)


def asked(use: Use, key: Optional[Secret], source: str) -> Sending:
    """Return what Claude Code would send by a saved profile; *source* says where the key is from."""
    endpoint = cast(ClaudeEndpoint, use.endpoint)
    env = {n: f.value for n, f in endpoint.env.items()}
    extra = {"betas": env.get("CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS", "") in ("", "0"), "env": env}
    credentials: tuple[Credential, ...] = ()
    if key is not None:
        bearer = Credential("authorization", "Bearer", key, source)
        plain = Credential("x-api-key", "", key, source)
        if use.profile.key_storage != "inline":
            credentials = (bearer, plain)  # apiKeyHelper sends both
        else:
            credentials = (bearer,) if endpoint.auth == "auth_token" else (plain,)
    names = ("primary", "opus", "sonnet", "haiku", "fable", "subagent") if endpoint.models else ()
    models = tuple(TierModel(t, wire_id(getattr(endpoint.models, t))) for t in names)
    return Sending(credentials, models, env, extra)


def _made(
    paths: Paths,
    url: str,
    credentials: tuple[Credential, ...],
    models: tuple[TierModel, ...],
    layers: list[Layer],
    findings: list[Note],
    presets: Callable[[], Iterable[Preset]],
    profile: str,
) -> Target:
    environ = _environ(paths, layers)
    preset, region = recognise(url, "claude-code", presets()) if url else (None, None)
    headers = {}
    for line in environ.get(HEADERS, "").split("\n"):
        name, colon, value = line.partition(":")
        if colon and re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name.strip()):
            headers[name.strip()] = value.strip()
    return Target(
        label=profile or (preset.id if preset else "") or "claude",
        client="claude-code",
        kind="effective",
        wire="anthropic",
        base_url=url,
        credentials=credentials,
        models=models,
        environ=environ,
        settings=_settings(layers),
        findings=tuple(findings),
        headers=headers,
        preset=preset,
        region=region,
        profile=profile,
        extra={
            "betas": environ.get("CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS", "") in ("", "0"),
            "more_betas": environ.get("ANTHROPIC_BETAS", ""),
            "env": environ,
        },
    )


def _blocked(paths: Paths, findings: list[Note]) -> Target:
    return Target(
        "claude", "claude-code", "effective", "anthropic", "", (), (), paths.environ, findings=tuple(findings)
    )


# Layers.


def _layers(paths: Paths, etc: str, findings: list[Note]) -> list[Layer]:
    """Return the layers that exist and that Claude Code accepts, strongest first."""
    managed = os.path.join(etc, "claude-code")
    more = os.path.join(managed, "managed-settings.d")
    try:
        names = sorted((n for n in os.listdir(more) if n.endswith(".json") and not n.startswith(".")), reverse=True)
    except OSError:
        names = []
    files = [(os.path.join(more, n), False) for n in names]
    files += [
        (os.path.join(managed, "managed-settings.json"), False),
        (os.path.join(paths.cwd, ".claude", "settings.local.json"), True),
        (os.path.join(paths.cwd, ".claude", "settings.json"), True),
        (paths.claude_settings, False),
    ]
    out = []
    seen = set()
    for path, project in files:
        if path in seen or (project and os.path.dirname(path) == paths.claude_dir and path == paths.claude_settings):
            continue
        seen.add(path)
        layer = _layer(path, paths.short(path), project, findings)
        if layer is not None:
            out.append(layer)
    out.append(Layer("", "shell", "", {"env": dict(paths.environ)}, False))
    return out


def _layer(path: str, shown: str, project: bool, findings: list[Note]) -> Optional[Layer]:
    try:
        if not os.path.isfile(path):
            if os.path.lexists(path) and not os.path.exists(path):
                findings.append(Note("warning", _("{file} is a link to nowhere.").format(file=shown)))
            return None
        data = bounded.found(path)
        text = _utf16(data) if data[:2] == b"\xff\xfe" else encoding.decode(data)
    except (OSError, DocumentError, UnicodeError, bounded.TooLarge) as e:
        reason = getattr(e, "strerror", None) or getattr(e, "message", None) or _("it is no text")
        findings.append(_ignored(shown, 0, str(reason)))
        return None
    if not text.strip("\ufeff \t\r\n"):
        return None
    problem = jsondoc.strict_problem(text)
    if problem is not None:
        findings.append(_ignored(shown, problem.line, problem.message))
        return None
    try:
        parsed = jsondoc.parse(text)
    except DocumentError as e:
        findings.append(_ignored(shown, e.line, e.message))
        return None
    if not isinstance(parsed, dict):
        findings.append(_ignored(shown, 1, _("the top level is not an object")))
        return None
    for name, kind in TYPES.items():
        value = parsed.get(name)
        if name in parsed and (not isinstance(value, kind) or (kind is int and isinstance(value, bool))):
            findings.append(
                _ignored(shown, jsondoc.locate(text, (name,)), _("'{key}' has the wrong type").format(key=name))
            )
            return None
    return Layer(path, shown, text, parsed, project)


def _utf16(data: bytes) -> str:
    return data.decode("utf-16")


def _ignored(shown: str, line: int, why: str) -> Note:
    place = f"{shown}:{line}" if line else shown
    return Note(
        "blocked",
        _("{place}: {why}. Claude Code ignores the whole file because of it.").format(
            place=place, why=clean(why, limit=160).rstrip(".。")
        ),
        _("Correct the line; comments and trailing commas go with: ccsetup init ... --repair"),
    )


def _read_json(path: str) -> Mapping[str, Any]:
    try:
        parsed = jsondoc.parse(bounded.found(path).decode("utf-8-sig"))
    except (OSError, ValueError, DocumentError, bounded.TooLarge):
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _env(layers: list[Layer], name: str) -> Optional[Found]:
    """Return the value of a variable from the strongest layer that has it; an empty one counts as unset."""
    holders = [layer for layer in layers if lookup(layer.data, ("env", name)) is not MISSING]
    if not holders:
        return None
    value = _text(lookup(holders[0].data, ("env", name)))
    if not value.strip():
        return None
    hides = tuple(h.where("env", name) for h in holders[1:] if _text(lookup(h.data, ("env", name))).strip())
    return Found(value, holders[0], holders[0].where("env", name), hides)


def _text(value: Any) -> str:
    """Return a JSON value as Claude Code makes text of it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    return value if isinstance(value, str) else str(value)


def _helper(layers: list[Layer]) -> Optional[Found]:
    for i, layer in enumerate(layers):
        value = layer.data.get("apiKeyHelper") if layer.path else None
        if isinstance(value, str) and value.strip():
            hides = tuple(h.where("apiKeyHelper") for h in layers[i + 1 :] if h.path and h.data.get("apiKeyHelper"))
            return Found(value, layer, layer.where("apiKeyHelper"), hides)
    return None


def _environ(paths: Paths, layers: list[Layer]) -> dict[str, str]:
    """Return the variables as Claude Code has them: the shell's under those of the settings."""
    out = dict(paths.environ)
    for layer in reversed(layers):
        block = layer.data.get("env")
        if layer.path and isinstance(block, dict):
            out.update({n: _text(v) for n, v in block.items()})
    return out


def _settings(layers: list[Layer]) -> tuple[Setting, ...]:
    names = [
        BASE_URL,
        AUTH_TOKEN,
        API_KEY,
        *MODELS,
        HEADERS,
        "HTTPS_PROXY",
        "https_proxy",
        "HTTP_PROXY",
        "http_proxy",
        "NO_PROXY",
    ]
    out = []
    for name in names:
        found = _env(layers, name)
        if found is None:
            continue
        hidden = name in (AUTH_TOKEN, API_KEY, HEADERS) or "proxy" in name.lower()
        out.append(Setting(name, "***" if hidden else clean(found.value), found.source, found.hides))
    helper = _helper(layers)
    if helper is not None:
        out.append(Setting("apiKeyHelper", "***", helper.source, helper.hides))
    return tuple(out)


def _source(found: Optional[Found]) -> str:
    return found.source if found else "-"


def _is_file(found: Optional[Found]) -> bool:
    return found is not None and bool(found.layer.path)


# Credentials.


def _credentials(
    token: Optional[Found], key: Optional[Found], helper: Optional[Found], made: str
) -> tuple[Credential, ...]:
    """Return the headers that carry a key: a helper's answer fills whichever of the two no variable fills."""
    out = []
    bearer = (token.value.strip(), token.source) if token else (made, helper.source) if helper and made else None
    plain = (key.value.strip(), key.source) if key else (made, helper.source) if helper and made else None
    if bearer:
        out.append(Credential("authorization", "Bearer", Secret(bearer[0]), bearer[1]))
    if plain:
        out.append(Credential("x-api-key", "", Secret(plain[0]), plain[1]))
    return tuple(out)


def _credential_findings(
    paths: Paths,
    token: Optional[Found],
    key: Optional[Found],
    helper: Optional[Found],
    claude_json: Mapping[str, Any],
    foreign: bool,
) -> list[Note]:
    out = []
    for found in (token, key):
        value = found.value.strip() if found else ""
        if found and not all("!" <= c <= "~" for c in value):
            out.append(
                Note(
                    "blocked",
                    _("{source}: the key has a character that no header can carry.").format(source=found.source),
                    _("Copy the key again, without anything around it."),
                )
            )
    if token and key and token.value.strip() != key.value.strip():
        out.append(
            Note(
                "info",
                _("Two keys are sent: ANTHROPIC_AUTH_TOKEN ({one}) and ANTHROPIC_API_KEY ({other}).").format(
                    one=token.source, other=key.source
                ),
            )
        )
    console = claude_json.get("primaryApiKey")
    if foreign and isinstance(console, str) and console and not key:
        out.append(
            Note(
                "warning",
                _(
                    "{file} holds a key of Anthropic's console (primaryApiKey), which Claude Code sends to this "
                    "provider too."
                ).format(file=paths.short(paths.claude_json)),
                _("Log out in Claude Code (/logout), or remove primaryApiKey. This test did not send it."),
            )
        )
    if key is not None:
        suffix = key_suffix(key.value.strip())
        responses = claude_json.get("customApiKeyResponses")
        rejected = responses.get("rejected") if isinstance(responses, dict) else None
        approved = responses.get("approved") if isinstance(responses, dict) else None
        if isinstance(rejected, list) and suffix in rejected:
            out.append(
                Note(
                    "warning",
                    _("You once answered No to this ANTHROPIC_API_KEY: an interactive session does not use it."),
                    _("Allow it in /config (Use custom API key), or run ccsetup init again."),
                )
            )
        elif not (isinstance(approved, list) and suffix in approved):
            out.append(
                Note("info", _("An interactive session will ask whether to use this ANTHROPIC_API_KEY: answer Yes."))
            )
    if helper is not None and (token is not None or key is not None):
        out.append(Note("info", _("apiKeyHelper and a key in a variable are both set; both are sent.")))
    return out


def run_helper(helper: Found, paths: Paths, environ: Mapping[str, str], findings: list[Note], seconds: float) -> str:
    """Run ``apiKeyHelper`` as Claude Code does, with /bin/sh; return the key, "" with a finding when it gives none."""
    from ccsetup.probe import command

    done = command.run(["/bin/sh", "-c", helper.value], cwd=paths.cwd, environ=environ, seconds=seconds)
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


def _has_login(paths: Paths, claude_json: Mapping[str, Any]) -> bool:
    if paths.environ.get(OAUTH) or claude_json.get("oauthAccount") or claude_json.get("primaryApiKey"):
        return True
    return os.path.isfile(os.path.join(paths.claude_dir, ".credentials.json"))


def _trusted(paths: Paths, claude_json: Mapping[str, Any]) -> bool:
    """Tell whether the user trusted the current folder, or one above it, in Claude Code."""
    folder = paths.cwd
    while True:
        if lookup(claude_json, ("projects", folder, "hasTrustDialogAccepted")) is True:
            return True
        parent = os.path.dirname(folder)
        if parent == folder:
            return False
        folder = parent


# Models.


def wire_id(model: str) -> str:
    """Return *model* without the suffix that Claude Code keeps to itself (observed: only ``[1m]``)."""
    return model.removesuffix("[1m]")


def _models(layers: list[Layer], foreign: bool) -> tuple[TierModel, ...]:
    """Return the models of every tier, the main one first."""
    alias: dict[str, tuple[str, bool]] = {}
    for tier in ("opus", "sonnet", "haiku", "fable"):
        found = _env(layers, f"ANTHROPIC_DEFAULT_{tier.upper()}_MODEL")
        if found:
            alias[tier] = wire_id(found.value.strip()), False
        elif tier in DEFAULTS:
            alias[tier] = DEFAULTS[tier], True

    def resolved(name: str) -> tuple[str, bool]:
        name = name.strip()
        if name in alias:
            return alias[name]
        if name in ("default", "best"):
            return alias["opus"]
        if name == "opusplan":
            return alias["sonnet"]
        return wire_id(name), False

    main = _env(layers, "ANTHROPIC_MODEL")
    if main:
        primary = resolved(main.value)
    else:
        chosen = next(
            (
                layer.data["model"]
                for layer in layers
                if layer.path and isinstance(layer.data.get("model"), str) and layer.data["model"]
            ),
            "",
        )
        primary = resolved(chosen or "default")
    out = [TierModel("primary", *primary)]
    for tier in ("opus", "sonnet", "haiku", "fable"):
        if tier not in alias:
            continue
        model, built_in = alias[tier]
        # The unset tiers only count where the client asks for them by itself: haiku, for titles.
        if built_in and (tier != "haiku" or not foreign):
            continue
        out.append(TierModel(tier, model, built_in))
    subagent = _env(layers, "CLAUDE_CODE_SUBAGENT_MODEL")
    if subagent and subagent.value.strip() != "inherit":
        out.append(TierModel("subagent", *resolved(subagent.value)))
    return tuple(out)
