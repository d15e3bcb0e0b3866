"""What Codex would really use: config.toml and the layers around it, .env, auth.json, and the shell.

Weakest first: /etc/codex/config.toml, $CODEX_HOME/config.toml, the project's .codex/config.toml (where it is trusted,
and only some keys), /etc/codex/managed_config.toml; tables merge key by key (observed with Codex 0.169.0).  Reads files
and may run the provider's ``auth.command``; writes nothing.
"""

from __future__ import annotations

import json
import os
from typing import Any, Callable, Iterable, Iterator, Mapping, NamedTuple, Optional, Sequence

from ccsetup import bounded, disk, keys
from ccsetup.clients.codex import edits, facts, route, start
from ccsetup.clients.codex.dotenv import read_dotenv
from ccsetup.clients.codex.stops import stops
from ccsetup.clients.saved import recognise
from ccsetup.documents import encoding, tomldoc
from ccsetup.documents.edit import MISSING, KeyPath, lookup
from ccsetup.errors import CcsetupError
from ccsetup.i18n import _
from ccsetup.model import Preset, Secret, Version
from ccsetup.paths import Paths
from ccsetup.plan import Note
from ccsetup.probe.target import Credential, Setting, Target, TierModel
from ccsetup.probe.verdict import clean


class Layer(NamedTuple):
    path: str
    shown: str
    text: str
    data: Mapping[str, Any]

    def where(self, path: KeyPath) -> str:
        line = tomldoc.locate(self.text, path)
        return f"{self.shown}:{line}" if line else self.shown


def target(
    paths: Paths,
    version: Callable[[], Version],
    presets: Callable[[], Iterable[Preset]],
    *,
    profile: str = "",
    etc: str = "/etc",
) -> Optional[Target]:
    """Return what Codex would use in the current folder, or None when it would use its own account."""
    findings: list[Note] = []
    layers = _layers(paths, etc, findings)
    if not findings:
        findings = _asked(paths, version, list(stopping(paths, layers, version())))
    etc_codex, ask = paths.short(os.path.join(etc, "codex", "")), _("Ask your administrator.")
    findings = [n._replace(hint=ask) if n.text.startswith(etc_codex) else n for n in findings]
    data = merged(layers)
    environ: Mapping[str, str] = paths.environ
    auth: Mapping[str, Any] = {}
    large = []
    try:
        environ = {**paths.environ, **_dotenv(paths)}
    except bounded.TooLarge as e:
        large.append(Note("blocked", e.message, _("Shorten it: it has a line for each variable.")))
    try:
        auth = _auth_json(paths)
    except bounded.TooLarge as e:
        if route.route(data, {"OPENAI_API_KEY": "-"}, environ).credential == "OPENAI_API_KEY":
            large.append(Note("blocked", e.message, _("Move it away, then run: codex login")))
    way = route.route(data, auth, environ)
    name = way.provider
    if any(f.level == "blocked" for f in findings):
        return _made(paths, layers, findings, "", {}, (), presets, profile, name)
    leaks = _leaks(layers, data, auth, etc, way, findings)
    if not name and not way.url and not any(f.level == "blocked" for f in findings):
        return None
    if not way.table or (not way.url and name and facts.is_built_in(name, version())):
        text = _("{place}: Codex uses its own provider '{name}', which this test does not ask.")
        findings.append(Note("blocked", text.format(place=_where(layers, ("model_provider",)), name=name)))
        return _made(paths, layers, findings, "", {}, (), presets, profile, name)
    table, url = way.table, way.url
    findings += large

    def origin(path: KeyPath) -> str:
        return _where(layers, ("model_providers", name, *path) if name else ("openai_base_url",))

    if not name:
        url = url or next(leak.url for leak in leaks)
    elif not url:
        findings.append(
            Note(
                "blocked",
                _("{source}: provider '{name}' has no base_url: Codex would send the key to api.openai.com.").format(
                    source=origin(()), name=clean(name, limit=64)
                ),
                _('Add a line base_url = "https://..." to its table.'),
            )
        )
    display = str(table.get("name", ""))
    special = display.lower() == "openai" or "azure" in display.lower()
    if special and "api.openai.com" not in url and "azure.com" not in url:
        findings.append(
            Note(
                "warning",
                _("{source}: the name '{name}' makes Codex use OpenAI's own compaction, which fails elsewhere.").format(
                    source=origin(("name",)), name=clean(display, limit=40)
                ),
                _("Give the provider another name."),
            )
        )
    model, _source = _value(layers, ("model",))
    if not name and not model:
        model = facts.OWN_MODEL
    if not isinstance(model, str) or not model:
        findings.append(
            Note(
                "blocked",
                _("No model is set: Codex asks the provider for its own built-in one."),
                _('Add a line model = "..." at the top of {file}.').format(file=paths.short(paths.codex_config)),
            )
        )
        model = ""
    if way.credential == "keyring":
        text = _("{place}: Codex takes its login or key from the system's keyring, which this test does not ask.")
        findings.append(Note("blocked", text.format(place=_where(layers, ("cli_auth_credentials_store",)))))
    elif route.in_keyring(data) and way.credential in ("login", "OPENAI_API_KEY"):
        text = _("{place}: Codex takes what the system's keyring holds before {file}; this test goes by the file.")
        place = _where(layers, ("cli_auth_credentials_store",))
        findings.append(Note("warning", text.format(place=place, file=paths.short(_auth_path(paths)))))
    credentials: tuple[Credential, ...] = ()
    if not any(f.level == "blocked" for f in findings):
        credentials = _credentials(paths, way, auth, origin, environ, findings)
    return _made(paths, layers, findings, url, table, credentials, presets, profile, name, model, environ)


def _made(
    paths: Paths,
    layers: list[Layer],
    findings: list[Note],
    url: str,
    table: Mapping[str, Any],
    credentials: tuple[Credential, ...],
    presets: Callable[[], Iterable[Preset]],
    profile: str,
    name: str,
    model: str = "",
    environ: Optional[Mapping[str, str]] = None,
) -> Target:
    environ = environ if environ is not None else paths.environ
    preset, region = recognise(url, "codex", presets()) if url else (None, None)
    headers = {str(k): str(v) for k, v in _dict(table.get("http_headers")).items()}
    for header, variable in _dict(table.get("env_http_headers")).items():
        value = environ.get(str(variable), "")
        if value.strip():
            headers[str(header)] = value
    settings = []
    for path in (("model_provider",), ("model",), *(("model_providers", name, k) for k in sorted(table))):
        value, places = _value(layers, path)
        if value is MISSING or not places:
            continue
        key = path[-1]
        plain = key in ("model_provider", "model", "name", "base_url", "wire_api", "env_key", "env_key_instructions")
        shown = clean(str(value)) if plain or isinstance(value, (bool, int)) else "***"
        settings.append(Setting(".".join(path), shown, places[0], tuple(places[1:])))
    search, _source = _value(layers, ("web_search",))
    agents, _source = _value(layers, ("agents", "enabled"))
    multi, _source = _value(layers, ("features", "multi_agent"))
    return Target(
        label=profile or (preset.id if preset else "") or name or "codex",
        client="codex",
        kind="effective",
        wire="responses",
        base_url=url,
        credentials=credentials,
        models=(TierModel("model", model),) if model else (),
        environ=environ,
        settings=tuple(settings),
        findings=tuple(findings),
        headers=headers,
        query={str(k): str(v) for k, v in _dict(table.get("query_params")).items()},
        preset=preset,
        region=region,
        profile=profile,
        extra={
            "web_search": search if isinstance(search, str) else None,
            "extra_tools": agents is not False and multi is not False,
        },
    )


# Layers.


def _layers(paths: Paths, etc: str, findings: list[Note]) -> list[Layer]:
    """Return the layers that exist, strongest first; a broken one is a finding."""
    project = os.path.join(paths.cwd, ".codex", "config.toml")
    if os.path.realpath(project) == os.path.realpath(paths.codex_config):
        project = ""  # in the home folder
    files = [
        os.path.join(etc, "codex", "managed_config.toml"),
        *([project] if project else []),
        paths.codex_config,
        os.path.join(etc, "codex", "config.toml"),
    ]
    out = layers(files, paths, findings, project)
    if any(layer.path == project for layer in out) and not _trusted(paths, out):
        out = [layer for layer in out if layer.path != project]
    return [
        layer._replace(data={k: v for k, v in layer.data.items() if k in facts.PROJECT_KEYS})
        if layer.path == project
        else layer
        for layer in out
    ]


def layers(files: Sequence[str], paths: Paths, findings: list[Note], project: str = "") -> list[Layer]:
    """Return those of *files* that exist, in their order; a broken one is a finding, but for that of a *project*."""
    out: list[Layer] = []
    for path in files:
        if not os.path.exists(path):
            continue
        shown = paths.short(path)
        try:
            text = encoding.decode(disk.snapshot([path])[path] or b"")
            data = tomldoc.parse(text)
        except CcsetupError as e:
            if path == project:
                continue  # fatal only where the folder is trusted; then Codex itself says so
            line = getattr(e, "line", 0)
            said = _("{place}: {why}. Codex does not start with the file as it is.").format(
                place=f"{shown}:{line}" if line else shown, why=clean(e.short, limit=160).rstrip(".。")
            )
            findings.append(Note("blocked", said, e.hint or _("Correct the line.")))
            continue
        out.append(Layer(path, shown, text, data))
    return out


def _trusted(paths: Paths, layers: list[Layer]) -> bool:
    return any(
        lookup(layer.data, ("projects", paths.cwd, "trust_level")) == "trusted"
        for layer in layers
        if layer.path == paths.codex_config
    )


def _value(layers: list[Layer], path: KeyPath) -> tuple[Any, list[str]]:
    """Return the value at *path* from the strongest layer that has it, and the places of all that do."""
    found: Any = MISSING
    places = []
    for layer in layers:
        value = lookup(layer.data, path)
        if value is not MISSING:
            if found is MISSING:
                found = value
            places.append(layer.where(path))
    return found, places


def _where(layers: list[Layer], path: KeyPath) -> str:
    return next(iter(_value(layers, path)[1]), "-")


def merged(layers: list[Layer]) -> dict[str, Any]:
    """Return what all *layers* say together: tables merge key by key."""
    out: Any = {}
    for layer in reversed(layers):
        out = edits.merged(out, layer.data)
    return dict(out)


def _leaks(
    layers: list[Layer],
    data: Mapping[str, Any],
    auth: Mapping[str, Any],
    etc: str,
    way: route.CodexRoute,
    notes: list[Note],
) -> list[route.LoginLeak]:
    """Return what sends the ChatGPT login elsewhere by the next request, and tell of it in *notes*."""
    managed = route.addresses(*(v.data for v in layers if os.path.dirname(v.path) == os.path.join(etc, "codex")))
    found = []
    for leak in route.leaks(data, auth, managed):
        if not route.is_of(leak, way):
            continue
        found.append(leak)
        fix = _("Take it out, or run: ccsetup config-switch official -T codex")
        known = leak.certain and not leak.local
        notes.append(Note("blocked" if known else "warning", f"{_where(layers, leak.key)}: {leak.text}", fix))
    return found


def _asked(paths: Paths, version: Callable[[], Version], findings: list[Note]) -> list[Note]:
    """Return *findings*, with what the installed Codex says of its configuration; it decides whether it starts."""
    try:
        text = bounded.found(paths.codex_config).decode("utf-8")
    except (OSError, UnicodeError, bounded.TooLarge):
        return findings
    said = start.ask(paths, version(), text)
    if said is None:
        return findings
    if said.loads:
        return []
    shown = paths.short(paths.codex_config) + (f":{said.line}" if said.line else "")
    text = _("{place}: Codex refuses the file, and does not start: {words}").format(place=shown, words=said.words)
    return [*findings, Note("blocked", text, _("Look at all of it with: ccsetup doctor"))]


def stopping(paths: Paths, layers: list[Layer], version: Version) -> Iterator[Note]:
    """Yield what stops every codex command, whichever provider is active, in what *layers* say together."""

    def read(value: str) -> Optional[str]:
        folder = next((os.path.dirname(x.path) for x in layers if value in map(x.data.get, facts.POINTERS)), "")
        try:
            return bounded.found(facts.pointed(folder, paths.home, value)).decode("utf-8", "replace")
        except OSError:
            return None
        except bounded.TooLarge:
            return value  # it is there

    for stop in stops(merged(layers), version, read=read):
        places = (_value(layers, stop.key[:n])[1] for n in range(len(stop.key), 0, -1))
        yield Note("blocked", f"{next(filter(None, places), ['-'])[0]}: {stop.text}", stop.fix)


# Credentials.


def _credentials(
    paths: Paths,
    way: route.CodexRoute,
    auth: Mapping[str, Any],
    origin: Callable[[KeyPath], str],
    environ: Mapping[str, str],
    findings: list[Note],
) -> tuple[Credential, ...]:
    table, kind = way.table or {}, way.credential
    file = paths.short(_auth_path(paths))
    if kind == "auth":
        return _command(paths, table["auth"], origin, environ, findings)
    if kind == "env_key":
        return _variable(paths, str(table["env_key"]), origin, environ, findings)
    if kind == "experimental_bearer_token":
        return (Credential("authorization", "Bearer", Secret(str(table[kind])), origin((kind,))),)
    if kind == "login":
        return (Credential("authorization", "Bearer", Secret(str(lookup(auth, ("tokens", "access_token")))), file),)
    if kind == "OPENAI_API_KEY":
        return (Credential("authorization", "Bearer", Secret(route.api_key(auth)), file),)
    if kind == "CODEX_API_KEY":
        return (Credential("authorization", "Bearer", Secret(paths.environ[kind]), f"shell: {kind}"),)
    for name, value in _dict(table.get(kind)).items() if kind else ():
        header, source = str(name).lower(), origin((kind,))
        if kind == "env_http_headers":
            value, source = environ.get(str(value), ""), f"shell: {value}"
        if header in facts.CREDENTIAL_HEADERS and value:
            scheme, _space, rest = str(value).partition(" ")
            if header == "authorization" and rest:
                return (Credential(header, scheme, Secret(rest), source),)
            return (Credential(header, "", Secret(str(value)), source),)
    if table.get("requires_openai_auth") is True:
        text = _("requires_openai_auth is on, and {file} holds no key: Codex asks for a login.").format(file=file)
        hint = _("Set the provider up with: ccsetup init -T codex -p PROVIDER -k KEY")
        findings.append(Note("blocked", f"{origin(('requires_openai_auth',))}: {text}", hint))
    else:
        text = _("No key is set for this provider: Codex sends none. One would stand in {place}.")
        place = f"{paths.short(paths.codex_config)}, [model_providers.{clean(way.provider, limit=64)}]"
        findings.append(Note("info", text.format(place=place)))
    return ()


def _variable(
    paths: Paths, name: str, origin: Callable[[KeyPath], str], environ: Mapping[str, str], findings: list[Note]
) -> tuple[Credential, ...]:
    value = environ.get(name, "")
    if keys.in_place_of_name(name, environ):
        text = _("env_key is a key, where the name of a variable belongs: Codex stops with an error.")
        hint = _("Move it to where it belongs with: ccsetup doctor --fix")
    elif not value.strip():
        text = _('the variable {name} is not set, so Codex says "Missing environment variable".').format(name=name)
        hint = _("Run: export {name}=KEY, or write it into {file}.").format(
            name=name, file=paths.short(paths.codex_dotenv)
        )
    elif any(c in value for c in "\r\n\0") or not value.isprintable():
        text = _("the variable {name} holds a line break or a control character: Codex sends no key at all.").format(
            name=name
        )
        hint = _("Set it again, without the line break.")
    else:
        place = f"{paths.short(paths.codex_dotenv)}: {name}" if name in _dotenv(paths) else f"shell: {name}"
        return (Credential("authorization", "Bearer", Secret(value), place),)
    findings.append(Note("blocked", f"{origin(('env_key',))}: {text}", hint))
    return ()


def _command(
    paths: Paths, auth: Any, origin: Callable[[KeyPath], str], environ: Mapping[str, str], findings: list[Note]
) -> tuple[Credential, ...]:
    from ccsetup.probe import command

    program, args = auth["command"], auth.get("args", [])
    seconds = min(auth.get("timeout_ms", 5000) / 1000, 30.0)
    folder = auth.get("cwd") if isinstance(auth.get("cwd"), str) else paths.cwd
    done = command.run([program, *args], cwd=folder, environ=environ, seconds=seconds)
    text = done.output.strip()
    if done.problem or not text or "\n" in text:
        why = done.problem or (_("it printed nothing") if not text else _("it printed more than one line"))
        findings.append(
            Note(
                "blocked",
                _("{source}: auth.command gives no key: {why}. Codex would send none.").format(
                    source=origin(("auth",)), why=why
                ),
                _("Run the command in a shell and look; it has to print the key alone."),
            )
        )
        return ()
    return (Credential("authorization", "Bearer", Secret(text), origin(("auth",))),)


def _auth_path(paths: Paths) -> str:
    return os.path.join(paths.codex_home, "auth.json")


def _auth_json(paths: Paths) -> Mapping[str, Any]:
    """Return what Codex reads in auth.json.  Raises TooLarge."""
    try:
        data = json.loads(bounded.found(_auth_path(paths)).decode("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return _dict(data)


# The .env file.


def _dotenv(paths: Paths) -> dict[str, str]:
    try:
        return read_dotenv(bounded.found(paths.codex_dotenv).decode("utf-8"), paths.environ)
    except (OSError, UnicodeError):
        return {}


def _dict(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
