"""What commands do, from values to a draft in memory: no disk, no process, no environment."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional

import pytest

from ccsetup import paths, presets, profiles
from ccsetup.change import actions, saved
from ccsetup.change.actions import Switched
from ccsetup.change.draft import Draft
from ccsetup.change.merge import Request
from ccsetup.change.world import Keys, World
from ccsetup.errors import CcsetupError, DocumentError, UsageError
from ccsetup.model import ClientName, Secret
from ccsetup.profiles import Part, Profile

HOME = "/home/u"
SETTINGS, CLAUDE_JSON, CONFIG = f"{HOME}/.claude/settings.json", f"{HOME}/.claude.json", f"{HOME}/.codex/config.toml"
KEYS = f"{HOME}/.config/ccsetup/keys"
BOTH: dict[ClientName, Part] = {"claude-code": Part(), "codex": Part()}


class Home:
    """Files in memory; a world on them, and what its draft makes of them."""

    def __init__(self, files: Optional[Mapping[str, str]] = None, environ: Optional[Mapping[str, str]] = None) -> None:
        self.files = {path: text.encode() for path, text in (files or {}).items()}
        self.keyring: dict[str, Secret] = {}
        self.environ = {"HOME": HOME, **(environ or {})}

    def world(self) -> World:
        home = paths.from_environ(self.environ)
        versions: dict[ClientName, tuple[int, int, int]] = {"claude-code": (2, 1, 329), "codex": (0, 169, 0)}
        keys = Keys(("/bin/ccsetup",), self.keyring.get, lambda command: Secret("from-" + command))
        draft = Draft(self.files.get, home.short)
        return World(draft, home, lambda name: presets.load(name, "/nonexistent"), versions.__getitem__, keys)

    def keep(self, world: World) -> set[str]:
        """Make the world's changes; return the paths that changed, relative to the home."""
        changed = set()
        for change in world.draft.changes():
            assert change.private
            assert self.files.get(change.path) == change.before
            changed.add(change.path.removeprefix(HOME + "/"))
            if change.after is None:
                del self.files[change.path]
            else:
                self.files[change.path] = change.after
        return changed

    def init(self, *requests: Request) -> set[str]:
        world = self.world()
        actions.init(world, requests)
        return self.keep(world)

    def json(self, path: str) -> Any:
        return json.loads(self.files[path])

    def toml(self, path: str) -> Any:
        return tomllib.loads(self.files[path].decode())


def request(name: str = "glm", key: Optional[str] = "key-1", **more: Any) -> Request:
    parts = more.pop("parts", BOTH)
    fields = {"provider": "glm", "region": "", "key_storage": "", "key_env": "", "activate": frozenset(parts)} | more
    return Request(name=name, parts=parts, key=Secret(key) if key else None, **fields)


def test_init_names_every_file_it_makes() -> None:
    """A fresh home gets these files and no others; the same request once more changes nothing."""
    home = Home()
    made = home.init(request())
    (catalogue,) = (name for name in made if name.endswith(".models.json"))
    assert made == {
        ".claude/settings.json",
        ".claude.json",
        ".codex/config.toml",
        ".codex/glm.config.toml",
        catalogue,
        ".config/ccsetup/profiles.toml",
        ".config/ccsetup/keys/glm",
        ".local/state/ccsetup/state.json",
        ".local/state/ccsetup/saved/glm.json",
    }
    assert home.init(request()) == set()
    assert home.init(request(key=None)) == set()


def test_what_init_returns() -> None:
    """Each client that uses the profile now is named; one that is only saved is not."""
    world = Home().world()
    assert actions.init(world, [request()]) == [Switched("claude-code", "glm"), Switched("codex", "glm")]
    world = Home().world()
    assert actions.init(world, [request(activate=frozenset())]) == []


def test_a_profile_in_use_is_written_again() -> None:
    """A new key reaches a client that uses the profile, also when init does not activate it."""
    home = Home()
    home.init(request())
    changed = home.init(request(key="key-2", activate=frozenset()))
    assert changed >= {
        ".claude/settings.json",
        ".codex/config.toml",
        ".codex/glm.config.toml",
        ".config/ccsetup/keys/glm",
    }
    assert not any(b"key-1" in data for data in home.files.values())


def test_several_requests_are_one_draft() -> None:
    """An error in the second request leaves a draft that nobody keeps; the first one alone wrote nothing."""
    home = Home()
    world = home.world()
    with pytest.raises(UsageError):
        actions.init(world, [request(), request(name="../x")])
    assert home.files == {}


def test_official_on_a_home_that_is_official() -> None:
    """Nothing is ours and nothing foreign: no file changes, none is made."""
    home = Home({SETTINGS: '{"model": "opus"}', CONFIG: 'model = "gpt-6-astra"\n'})
    world = home.world()
    actions.official(world, ())
    assert home.keep(world) == set()


def test_official_keeps_a_login_that_came_meanwhile() -> None:
    """Whoever logged in since has been through the onboarding: it stays done."""
    home = Home()
    home.init(request(parts={"claude-code": Part()}))
    data = home.json(CLAUDE_JSON) | {"oauthAccount": {"emailAddress": "a@b.c"}}
    home.files[CLAUDE_JSON] = json.dumps(data).encode()
    world = home.world()
    actions.official(world, ["claude-code"])
    home.keep(world)
    assert home.json(CLAUDE_JSON) == data


def test_switching_to_an_unknown_profile() -> None:
    """The error names those that there are."""
    home = Home()
    with pytest.raises(CcsetupError, match="none is saved yet"):
        actions.switch(home.world(), "glm", ())
    home.init(request())
    with pytest.raises(CcsetupError, match="Saved profiles: glm"):
        actions.switch(home.world(), "kimi", ())


def test_storages_move_the_key() -> None:
    """Each change of storage leaves the key in exactly one kind of place."""
    home = Home(environ={"ZHIPU_API_KEY": "key-1"})
    codex: dict[ClientName, Part] = {"codex": Part()}

    def places() -> set[str]:
        return {path.removeprefix(HOME + "/") for path, data in home.files.items() if b"key-1" in data}

    inline = {".config/ccsetup/keys/glm", ".codex/config.toml", ".codex/glm.config.toml"}
    home.init(request(parts=codex))
    assert places() == inline
    home.init(request(parts=codex, key=None, key_storage="dotenv"))
    assert places() == {".config/ccsetup/keys/glm", ".codex/.env"}
    home.init(request(parts=codex, key=None, key_storage="command"))
    assert places() == {".config/ccsetup/keys/glm"}
    home.init(request(parts=codex, key=None, key_storage="inline"))
    assert places() == inline
    home.init(request(parts=codex, key=None, key_storage="env"))
    assert places() == set()
    home.init(request(parts=codex, key="key-1", key_storage="inline"))
    assert places() == inline


def of_parts(parts: Mapping[ClientName, Part], provider: str = "glm", region: str = "cn") -> Profile:
    return Profile("p", provider, region, "inline", "", parts)


RELAY = Part(url="https://relay.example/v1", primary_model="m")
ALLOWED: list[tuple[str, Mapping[ClientName, Part], dict[str, Any]]] = [
    # what, the saved profile's parts, the second request
    ("the same again", BOTH, {"key": None}),
    ("the other client at the same site", {"claude-code": Part()}, {"key": None, "parts": {"codex": Part()}}),
    ("another model", BOTH, {"key": None, "parts": {"codex": Part(primary_model="x")}}),
    ("another host with its key", {"codex": Part()}, {"key": "key-2", "parts": {"codex": RELAY}}),
    ("another provider with its key", BOTH, {"key": "key-2", "provider": "kimi"}),
    ("another region with its key", BOTH, {"key": "key-2", "region": "intl"}),
    ("a path at the same host", BOTH, {"key": None, "parts": {"codex": Part(url="https://open.bigmodel.cn/other")}}),
    ("both hosts with a new key", BOTH, {"key": "key-2", "parts": {"claude-code": RELAY, "codex": RELAY}}),
]
REFUSED: list[tuple[str, Mapping[ClientName, Part], dict[str, Any]]] = [
    ("another host", {"codex": Part()}, {"key": None, "parts": {"codex": RELAY}}),
    ("another host for the other client", {"claude-code": Part()}, {"key": None, "parts": {"codex": RELAY}}),
    ("the preset's host with a relay's key", {"codex": RELAY}, {"key": None, "parts": {"claude-code": Part()}}),
    ("back to the preset's host with a relay's key", {"codex": RELAY}, {"key": None, "parts": {"codex": Part()}}),
    ("another provider", {"codex": Part()}, {"key": None, "provider": "kimi", "parts": {"codex": Part()}}),
    ("another region", {"codex": Part()}, {"key": None, "region": "intl", "parts": {"codex": Part()}}),
    ("another region for one client", BOTH, {"key": "key-2", "region": "intl", "parts": {"codex": Part()}}),
    ("another provider for one client", BOTH, {"key": "key-2", "provider": "kimi", "parts": {"codex": Part()}}),
    (
        "a new key for one of two hosts",
        {"claude-code": Part(), "codex": RELAY},
        {"key": "key-2", "parts": {"codex": RELAY}},
    ),
    ("a new host and key for one client", BOTH, {"key": "key-2", "parts": {"codex": RELAY}}),
]


@pytest.mark.parametrize("case", ALLOWED, ids=[c[0] for c in ALLOWED])
def test_keys_and_hosts_that_go_together(case: Any) -> None:
    """The key that was given for an address goes there."""
    _what, parts, second = case
    home = Home()
    home.init(request("p", parts=parts))
    home.init(request("p", **({"parts": BOTH} | second)))
    wanted = (second["key"] or "key-1").encode()
    assert home.files[f"{KEYS}/p"] == wanted
    if wanted != b"key-1":
        assert not any(b"key-1" in data for data in home.files.values())


@pytest.mark.parametrize("case", REFUSED, ids=[c[0] for c in REFUSED])
def test_keys_never_go_to_another_host(case: Any) -> None:
    """A key is never paired with a host that it was not given for: the request is refused as a whole."""
    _what, parts, second = case
    home = Home()
    home.init(request("p", parts=parts))
    before = dict(home.files)
    with pytest.raises(UsageError):
        home.init(request("p", **({"parts": BOTH} | second)))
    assert home.files == before


def test_the_variable_for_a_key() -> None:
    """The provider's usual variable, or one of ours where shells or Codex's .env reader would not take it."""
    preset = presets.load("glm", "/nonexistent")
    assert profiles.variable("x", preset.key_env) == "ZHIPU_API_KEY"
    for usual in ("", "CODEX_KEY", "302AI_KEY", "A-B"):
        assert profiles.variable("my-p", usual) == "CCSETUP_MY_P_API_KEY"


def test_a_variable_that_is_not_set_is_a_warning() -> None:
    """With storage env the variable is named; as a warning where it is not set yet."""
    for environ, level in (({}, "warning"), ({"ZHIPU_API_KEY": "k"}, "info")):
        world = Home(environ=environ).world()
        actions.init(world, [request(key=None, key_storage="env", parts={"claude-code": Part()})])
        (note,) = [n for n in world.notes if "ZHIPU_API_KEY" in n.text]
        assert note.level == level


# What one profile has, no other gets.


def _ids(home: Home) -> list[str]:
    return [str(b["codex"].get("provider_id", "ccsetup-" + n)) for n, b in home.toml(PROFILES)["profiles"].items()]


PROFILES = f"{HOME}/.config/ccsetup/profiles.toml"
CODEX: dict[ClientName, Part] = {"codex": Part()}


def test_a_provider_id_of_another_profile_is_refused() -> None:
    """Codex would mix what two profiles of one id say; the one that has it may be written again, and leave it free."""
    shared: dict[ClientName, Part] = {"codex": Part(provider_id="mine")}
    home = Home()
    home.init(request("a", parts=shared))
    before = dict(home.files)
    with pytest.raises(UsageError, match="'mine' is that of profile 'a'"):
        actions.init(home.world(), [request("b", parts=shared)])
    assert home.files == before
    home.init(request("a", "key-2", parts=shared))
    home.init(request("a", parts={"codex": Part(provider_id="other")}))
    home.init(request("b", parts=shared))
    assert _ids(home) == ["other", "mine"]


def test_a_name_that_was_left_is_free_with_its_provider_id() -> None:
    """A renamed profile is called by its new name in its file; while it is in use it has the id of them all."""
    home = Home()
    home.init(request("a", parts=CODEX))
    world = home.world()
    saved.rename(world, "a", "b")
    home.keep(world)
    home.init(request("a", "key-2", parts=CODEX))
    assert home.toml(CONFIG)["model_provider"] == "ccsetup"
    assert _ids(home) == ["ccsetup-b", "ccsetup-a"]
    world = home.world()
    saved.copy(world, "b", "c")
    home.keep(world)
    assert _ids(home) == ["ccsetup-b", "ccsetup-a", "ccsetup-c"]


def test_profiles_of_one_provider_id_are_parted_when_they_are_used() -> None:
    """Earlier versions saved such a pair: the first one keeps the id, the other gets its own, in Codex's files too."""
    home = Home()
    for name, key in (("a", "key-a"), ("b", "key-b")):
        home.init(request(name, key, parts=CODEX, key_storage="command" if name == "a" else "inline"))
    old = home.files[PROFILES].decode()
    home.files[PROFILES] = (
        old.replace("[profiles.a.codex]", '[profiles.a.codex]\nprovider_id = "x"')
        .replace("[profiles.b.codex]", '[profiles.b.codex]\nprovider_id = "x"')
        .encode()
    )
    for name, wanted in (("a", "x"), ("b", "ccsetup-b")):
        world = home.world()
        actions.switch(world, name, ["codex"])
        home.keep(world)
        assert home.toml(CONFIG)["model_provider"] == wanted
        assert list(home.toml(CONFIG)["model_providers"]) == [wanted]
    home.init(request("b", "key-b2", provider="", parts={}))
    assert _ids(home) == ["x", "ccsetup-b"]


def test_every_profile_in_codex_env_file_has_its_own_variable() -> None:
    """One variable holds one key: the next profile gets another by default, and is refused one that is taken."""
    home = Home()
    for name, key in (("a", "key-a"), ("b", "key-b"), ("B-", "key-c"), ("b_", "key-d")):
        home.init(request(name, key, parts=CODEX, key_storage="dotenv"))
    lines = home.files[f"{HOME}/.codex/.env"].decode().splitlines()
    assert lines == ["ZHIPU_API_KEY='key-a'", "CCSETUP_B_API_KEY='key-b'", "CCSETUP_B__API_KEY='key-c'",
                     "CCSETUP_B__2_API_KEY='key-d'"]  # fmt: skip
    for storage in ("dotenv", "env"):
        with pytest.raises(UsageError, match="ZHIPU_API_KEY"):
            actions.init(home.world(), [request("e", "k", parts=CODEX, key_storage=storage, key_env="ZHIPU_API_KEY")])
    world = home.world()
    saved.copy(world, "a", "copied")
    home.keep(world)
    world = home.world()
    saved.rename(world, "a", "renamed")
    home.keep(world)
    text = home.files[f"{HOME}/.codex/.env"].decode()
    assert "ZHIPU_API_KEY='key-a'" in text
    assert "CCSETUP_COPIED_API_KEY='key-a'" in text


def test_profiles_of_one_variable_are_parted_when_they_are_used() -> None:
    """Earlier versions let two share a line of .env; each finds its own key there after a switch."""
    home = Home()
    for name, key in (("a", "key-a"), ("b", "key-b")):
        home.init(request(name, key, parts=CODEX, key_storage="dotenv"))
    old = home.files[PROFILES].decode()
    home.files[PROFILES] = old.replace("CCSETUP_B_API_KEY", "ZHIPU_API_KEY").encode()
    home.files[f"{HOME}/.codex/.env"] = b"ZHIPU_API_KEY='key-b'\n"
    for name in ("a", "b"):
        world = home.world()
        actions.switch(world, name, ["codex"])
        home.keep(world)
        (table,) = home.toml(CONFIG)["model_providers"].values()
        assert f"{table['env_key']}='key-{name}'" in home.files[f"{HOME}/.codex/.env"].decode().splitlines()


NO_NAMES = [
    "GLM",
    "gLm",
    "con",
    "NUL",
    "Com1",
    "lpt9",
    "Official",
    "OFFICIAL",
    "All",
    "Relay",
    "a\u202eb",
    "a\x00b",
    "ﬁ",
]
NO_VARIABLES = ["X;id", "1X", "A-B", "A B", "X\nY=1", "X}$(id)", "sk-abc", "Ä", "X=", "X\n", "${X}", "`id`", "X'"]


@pytest.mark.parametrize("name", NO_NAMES)
def test_names_that_are_not_names_everywhere(name: str) -> None:
    """Beside 'glm': names that differ in case, words of ours in any case, devices of Windows, invisible characters."""
    home = Home()
    home.init(request("glm"))
    before = dict(home.files)
    for act in (
        lambda w: actions.init(w, [request(name)]),
        lambda w: saved.copy(w, "glm", name),
        lambda w: actions.put(w, Profile(name, "glm", "cn", "inline", "", BOTH), Secret("k"), ()),
    ):
        with pytest.raises(UsageError):
            act(home.world())
    assert home.files == before


def test_names_of_earlier_versions_go_on_working() -> None:
    """What is refused to a new profile stays the name of one that has it, and that can be left for another."""
    home = Home()
    home.init(request("plain", parts=CODEX))
    home.files[PROFILES] = home.files[PROFILES].replace(b"profiles.plain", b"profiles.CON")
    home.init(request("CON", "key-2", parts=CODEX))
    world = home.world()
    actions.switch(world, "CON", ["codex"])
    saved.rename(world, "CON", "console")
    home.keep(world)
    assert list(home.toml(PROFILES)["profiles"]) == ["console"]


@pytest.mark.parametrize("variable", NO_VARIABLES)
def test_a_variable_has_the_name_of_one(variable: str) -> None:
    """Nothing else gets into shell code, a helper or .env; one written into profiles.toml stops that profile alone."""
    home = Home()
    for storage in ("env", "dotenv"):
        with pytest.raises(UsageError) as refused:
            actions.init(home.world(), [request("a", parts=CODEX, key_storage=storage, key_env=variable)])
        assert variable not in refused.value.message
    home.init(request("good", parts=CODEX), request("bad", parts=CODEX, key_storage="dotenv", key_env="FINE"))
    home.files[PROFILES] = home.files[PROFILES].replace(b'"FINE"', json.dumps(variable).encode())
    line = home.files[PROFILES].decode().split("key_env")[0].count("\n") + 1
    world = home.world()
    with pytest.raises(DocumentError, match=rf"profiles\.toml:{line}:\d+: profiles\.bad\.key_env: this is not"):
        actions.switch(world, "bad", ["codex"])
    actions.switch(world, "good", ["codex"])
    world = home.world()
    saved.remove(world, "bad")
    home.keep(world)
    assert list(home.toml(PROFILES)["profiles"]) == ["good"]


def test_a_profile_with_a_bad_variable_is_set_up_again() -> None:
    """init over a profile that cannot be used makes it whole."""
    home = Home()
    home.init(request("bad", parts=CODEX, key_storage="dotenv"))
    home.files[PROFILES] = home.files[PROFILES].replace(b'"ZHIPU_API_KEY"', b'"X;id"')
    home.init(request("bad", "key-2", parts=CODEX))
    assert home.toml(PROFILES)["profiles"]["bad"]["key_env"] == "ZHIPU_API_KEY"


@pytest.mark.parametrize("field", ["primary_model", "haiku_model", "url", "provider_id"])
@pytest.mark.parametrize("character", ["\u202e", "\u2066", "\x1b", "\x7f", "\u200b", "\n", "\u2028"])
def test_nothing_invisible_is_saved(field: str, character: str) -> None:
    """Control, bidirectional and invisible characters are in no model, address or id."""
    part = Part(**{field: f"https://h.example/{character}x"})  # type: ignore[arg-type]
    client: ClientName = "codex" if field == "provider_id" else "claude-code"
    with pytest.raises(UsageError, match=r"control or invisible"):
        actions.put(Home().world(), Profile("a", "glm", "cn", "inline", "", {client: part}), Secret("k"), ())


def test_names_that_differ_in_case_from_earlier_versions(tmp_path: Path) -> None:
    """Such a pair goes on working where the file system tells the names apart; where it does not, no key is guessed."""
    environ = {"HOME": str(tmp_path)}
    keys = tmp_path / ".config/ccsetup/keys"
    keys.mkdir(parents=True)
    pair = "".join(f'[profiles.{n}]\nprovider = "glm"\n[profiles.{n}.codex]\n' for n in ("GLM", "glm"))
    (tmp_path / ".config/ccsetup/profiles.toml").write_text(pair)

    def world() -> World:
        home = paths.from_environ(environ)

        def read(path: str) -> Optional[bytes]:
            return Path(path).read_bytes() if os.path.isfile(path) else None

        versions: dict[ClientName, tuple[int, int, int]] = {"claude-code": (2, 1, 329), "codex": (0, 169, 0)}
        found = Keys(("/bin/ccsetup",), {}.get, lambda command: Secret(command))
        return World(Draft(read, home.short), home, lambda n: presets.load(n, "/x"), versions.__getitem__, found)

    (keys / "GLM").write_text("key-GLM")
    (keys / "glm").write_text("key-glm")
    now = world()
    assert [now.key(p) for p in now.profiles.values()] == [Secret("key-GLM"), Secret("key-glm")]
    (keys / "glm").unlink()
    os.link(keys / "GLM", keys / "glm")  # as macOS and Windows show one file under both names
    now = world()
    for profile in now.profiles.values():
        with pytest.raises(CcsetupError, match="not where it was saved"):
            now.key(profile)
    for name in ("GLM", "glm"):
        actions.put(now, now.profiles[name], Secret("new-" + name), ())
    assert [now.key(p) for p in now.profiles.values()] == [Secret("new-GLM"), Secret("new-glm")]
    changed = {os.path.basename(c.path): c.after for c in now.draft.changes() if os.path.dirname(c.path) == str(keys)}
    assert changed == {"glm.7": b"new-GLM", "glm.0": b"new-glm"}
    saved.remove(now, "GLM")
    assert now.key(now.profiles["glm"]) == Secret("new-glm")
    assert not any(now.draft.exists(str(keys / n)) for n in ("GLM", "glm.7"))


def work(count: int, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Save *count* profiles at once; return how often a text of ours was made, and a profile compared with others."""
    from ccsetup.change import world
    from ccsetup.documents import jsondoc, tomldoc

    done = {"texts": 0, "compared": 0}
    real = {tomldoc: tomldoc.apply, jsondoc: jsondoc.apply, world: world._apart}

    def applied(module: Any, text: str, edits: Any) -> Any:
        done["texts"] += any(e.path[0] in ("profiles", "homes", "saved", "home") for e in edits)
        return real[module](text, edits)  # type: ignore[operator]

    def apart(*given: Any) -> Any:
        done["compared"] += 1
        return real[world](*given)  # type: ignore[operator]

    home = Home()
    with monkeypatch.context() as patch:
        patch.setattr(tomldoc, "apply", lambda *a: applied(tomldoc, *a))
        patch.setattr(jsondoc, "apply", lambda *a: applied(jsondoc, *a))
        patch.setattr(world, "_apart", apart)
        home.init(*(request(f"p{i}", f"key-{i}", activate=frozenset()) for i in range(count)))
    assert len(home.toml(PROFILES)["profiles"]) == count
    return done


def test_many_profiles_cost_what_each_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our two files are made once, however many profiles come, and one for each; each is compared a few times."""
    few, many = work(10, monkeypatch), work(40, monkeypatch)
    assert few["texts"] - 10 == many["texts"] - 40 <= 4, (few, many)
    assert 0 < many["compared"] <= 4 * few["compared"], (few, many)
