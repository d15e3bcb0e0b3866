"""What every client module promises, with every preset, region, way to keep the key, and version of the client."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ccsetup import paths, presets
from ccsetup.clients import CLIENTS
from ccsetup.clients.claude import edits as claude
from ccsetup.clients.claude import facts as claude_facts
from ccsetup.clients.codex import catalog, facts
from ccsetup.clients.codex import edits as codex
from ccsetup.clients.values import Files, Use
from ccsetup.documents.edit import MISSING, KeyPath
from ccsetup.errors import CcsetupError, UsageError
from ccsetup.model import ClientName, Preset, Secret, Unsupported, Version
from ccsetup.plan import Wish
from ccsetup.profiles import Part, Profile

SHIPPED = sorted(path.stem for path in (Path(__file__).parents[2] / "presets").glob("*.yaml"))
VERSIONS: dict[ClientName, tuple[Version, ...]] = {
    "claude-code": ((2, 0, 76), (2, 1, 329)),
    "codex": ((0, 96, 0), (0, 110, 0), (0, 133, 0), (0, 134, 0), (0, 150, 0), (0, 169, 0), (1, 0, 0)),
}
STORAGES = {"claude-code": ("inline", "env", "command"), "codex": ("inline", "env", "dotenv", "command")}
KEY = Secret("the-key")


class Case(NamedTuple):
    preset: Preset
    region: str
    storage: str
    version: Version


def cases(client: ClientName) -> Iterator[Case]:
    for name in SHIPPED:
        preset = presets.load(name, "/nonexistent")
        for region in preset.regions:
            endpoint = CLIENTS[client].offered(region)
            if isinstance(endpoint, Unsupported) or getattr(endpoint, "wire", "") == "chat":
                continue
            for storage in STORAGES[client]:
                for version in VERSIONS[client]:
                    if not (client == "codex" and storage == "command" and version < facts.AUTH_COMMAND):
                        yield Case(preset, region.id, storage, version)


def use(client: ClientName, case: Case, **part: Any) -> tuple[Files, Use]:
    """Return an empty home, and *case* as *client* is to use it; what a preset leaves to the user is given."""
    region = case.preset.region(case.region)
    assert region is not None
    endpoint: Any = CLIENTS[client].offered(region)
    given: dict[str, Any] = {}
    if not endpoint.base_url:
        given["url"] = "https://given.example"
    if not (endpoint.models or endpoint.native_models if client == "claude-code" else endpoint.model):
        given["primary_model"] = "given-model"
    profile = Profile("n", case.preset.id, case.region, case.storage, "THE_KEY", {client: Part(**(given | part))})  # type: ignore[arg-type]
    resolved: Any = CLIENTS[client].endpoint(profile, case.preset)
    home = paths.from_environ({"HOME": "/home/u"})
    key = KEY if case.storage in ("inline", "dotenv") else None
    return Files(home, {}, {}, case.version), Use(profile, case.preset, resolved, key, ("cat", "/k"))


def only(wishes: tuple[Wish, ...], path: str) -> dict[KeyPath, Any]:
    """Return what *wishes* want in the file at *path*, without what has to be absent."""
    (wish,) = [w for w in wishes if w.path == path]
    return {k: v for k, v in wish.settings.items() if v is not MISSING}


def test_claude() -> None:
    """An address without /v1, exactly one credential, a model for every tier, and no model of Anthropic for others."""
    count = 0
    for case in cases("claude-code"):
        files, one = use("claude-code", case)
        want = only(claude.use(files, one).documents, files.paths.claude_settings)
        env = {p[1]: v for p, v in want.items() if p[0] == "env"}
        url = env["ANTHROPIC_BASE_URL"]
        assert url.startswith(("https://", "http://localhost", "http://127.0.0.1")), case
        assert not re.search(r"/v1/?$|/$|/messages", url), case
        credentials = [
            v for v in (env.get("ANTHROPIC_AUTH_TOKEN"), env.get("ANTHROPIC_API_KEY"), want.get(("apiKeyHelper",))) if v
        ]
        assert len(credentials) == 1, case
        assert (credentials[0] == KEY) == (case.storage == "inline"), case
        assert "ANTHROPIC_API_KEY" in env, case
        if case.version >= claude_facts.BLANK_TOKEN or env["ANTHROPIC_API_KEY"] in ("", None):
            assert "ANTHROPIC_AUTH_TOKEN" in env, case
        models = {env.get(name) for name in claude_facts.MODELS}
        if case.preset.id in ("anthropic", "custom"):
            assert models == {None}  # its own
        else:
            assert None not in models, case
            assert "" not in models, case
            known = re.match(r"(anthropic/)?claude-", env["ANTHROPIC_MODEL"])
            assert known or env["CLAUDE_CODE_MAX_CONTEXT_TOKENS"].isdigit(), case
        assert all(isinstance(v, (str, Secret)) for v in env.values()), case
        assert not set(env) & {"CLAUDE_CONFIG_DIR", *claude_facts.OTHER_BACKENDS}, case
        count += 1
    assert count > 100


def test_codex() -> None:
    """A whole provider table with exactly one credential, a free id and name, and nothing that the version refuses."""
    count = 0
    for case in cases("codex"):
        files, one = use("codex", case)
        saved, active = codex.saved(files, one), codex.use(files, one)
        for wishes, path in (
            (active, files.paths.codex_config),
            (
                saved,
                files.paths.codex_profile("n") if case.version >= facts.PROFILE_FILES else files.paths.codex_config,
            ),
        ):
            want = only(wishes.documents, path)
            shared = wishes is active and case.version >= facts.PROFILE_FILES
            own = ("model_providers", "ccsetup" if shared else "ccsetup-n")
            table = {p[2]: v for p, v in want.items() if p[:2] == own}
            if wishes is active and case.version < facts.PROFILE_FILES:
                assert table == {}, case  # it stays in config.toml with the profile
            else:
                assert table["wire_api"] == "responses", case
                assert table["base_url"].startswith(("https://", "http://localhost", "http://127.0.0.1")), case
                assert table["name"].lower() not in ("", "openai", "azure"), case
                found = [k for k in ("experimental_bearer_token", "env_key", "auth") if k in table]
                assert len(found) == 1, case
                assert (table.get("experimental_bearer_token") == KEY) == (case.storage == "inline"), case
                assert "requires_openai_auth" not in table, case
            top = {p[0] for p in want}
            assert "profile" not in top, case
            prefix = ("profiles", "n") if wishes is saved and case.version < facts.PROFILE_FILES else ()
            assert want[(*prefix, "model")], case
            assert want[(*prefix, "model_provider")] == own[1], case
            if case.version < facts.AGENTS_TABLE:
                assert not any(p[-2:] == ("agents", "enabled") for p in want), case  # fatal before 0.145
        for path, text in saved.files.items():
            if text is not None:
                assert os.path.basename(path) == catalog.name(text), case
                assert "the-key" not in text, case
                if case.version < facts.MAX_EFFORT:
                    assert '"max"' not in text, case
        count += 1
    assert count > 300


@pytest.mark.parametrize("client", CLIENTS)
def test_only_promised_files(client: ClientName) -> None:
    """A module wishes for no file that ``documents`` and ``saved_paths`` do not name, but a catalogue of ours."""
    module = CLIENTS[client]
    for case in cases(client):
        files, one = use(client, case)
        promised = {
            p for p, _f in (*module.documents(files.paths), *module.saved_paths(files.paths, "n", case.version))
        }
        for wishes in (module.use(files, one), module.saved(files, one), module.official(files, {})):
            whole = {path for path, text in wishes.files.items() if os.path.basename(path) != catalog.name(text or "")}
            assert {w.path for w in wishes.documents} | whole <= promised


@pytest.mark.parametrize("client", CLIENTS)
def test_what_is_written_is_recognised(client: ClientName) -> None:
    """After a switch, ``current`` and ``matches`` see the profile; a changed address or key is no match."""
    from ccsetup.documents import jsondoc, tomldoc
    from ccsetup.plan import edits

    module: Any = CLIENTS[client]
    for case in cases(client):
        if case.version != VERSIONS[client][-1]:
            continue
        files, one = use(client, case)
        data = {}
        for wishes in (module.saved(files, one), module.use(files, one)):
            for wish in wishes.documents:
                document: Any = jsondoc if wish.format == "json" else tomldoc
                out, _owned, _changed = edits({}, wish, ())
                data[wish.path] = document.parse(document.apply("", out))
        written = files._replace(data=data)
        assert module.matches(written, one), case
        now = module.current(written)
        assert now.base_url == one.endpoint.base_url, case
        assert now.credential, case
        assert not module.matches(files, one)
        if case.storage == "inline":
            assert not module.matches(written, one._replace(key=Secret("another")))
        moved: Any = one.endpoint
        assert not module.matches(written, one._replace(endpoint=moved._replace(base_url="https://moved.example")))


@pytest.mark.parametrize(
    "name", ["openai", "ollama", "lmstudio", "amazon-bedrock", "gcp", "", "a b", "a/b", "-a", "a\n", "é", "x" * 65]
)
def test_ids_that_codex_refuses(name: str) -> None:
    """A provider id that Codex keeps for itself or cannot read is refused."""
    with pytest.raises(UsageError):
        codex.check_provider_id(name)


def test_chat_only_is_refused_for_every_version_that_has_no_chat() -> None:
    """From 0.95 on nothing is written for a provider that speaks only Chat Completions; before, chat is written."""
    name = next(n for n in SHIPPED if getattr(presets.load(n, "/x").regions[0].codex, "wire", "") == "chat")
    case = Case(presets.load(name, "/x"), presets.load(name, "/x").regions[0].id, "inline", (0, 95, 0))
    files, one = use("codex", case)
    with pytest.raises(CcsetupError, match="Chat Completions"):
        codex.saved(files, one)
    old = files._replace(version=(0, 94, 0))
    (wish,) = codex.saved(old, one).documents
    assert wish.settings[("model_providers", "ccsetup-n", "wire_api")] == "chat"
