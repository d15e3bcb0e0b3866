"""Model catalogues: profiles whose catalogues are the same share a file, which goes with the last that names it."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from support import cc

from ccsetup.clients import releases

KEY = "sk-catalogue-0123456789"
NEWEST = ("--codex-version", releases.CODEX[0])
OLD = ("--codex-version", "0.130.0")
MINE = 'model_catalog_json = "ccsetup-my.models.json"\n'


def save(name: str, provider: str, *more: str, version: tuple[str, ...] = NEWEST) -> None:
    result = cc.main("init", "-s", "-n", name, "-p", provider, "-k", f"{KEY}-{name}", "-T", "codex", *version, *more)
    assert result.ok, result


def catalogues(home: Path) -> set[str]:
    return {path.name for path in (home / ".codex").glob("*.models.json")}


def named(home: Path, profile: str) -> str:
    """Return the catalogue that *profile* names, and see that it is there and read as one."""
    name = tomllib.loads((home / f".codex/{profile}.config.toml").read_text())["model_catalog_json"]
    assert json.loads((home / ".codex" / name).read_bytes())["models"]
    return str(name)


def as_before(home: Path, profile: str) -> str:
    """Let *profile*, and config.toml, name a catalogue of its own, as earlier versions did; return its name."""
    shared, own = named(home, profile), f"ccsetup-{profile}.models.json"
    (home / ".codex" / own).write_bytes((home / ".codex" / shared).read_bytes())
    for file in (home / ".codex").glob("*.toml"):
        if file.name in ("config.toml", f"{profile}.config.toml"):
            file.write_text(file.read_text().replace(shared, own))
    if not any(shared in f.read_text() for f in (home / ".codex").glob("*.toml")):
        (home / ".codex" / shared).unlink()
    return own


def test_what_is_the_same_is_one_file(home: Path) -> None:
    """Same provider and model: one file; another model, or another provider: another one."""
    save("a", "glm")
    save("b", "glm")
    save("c", "deepseek")
    save("d", "glm", "-M", "glm-4.7")
    assert named(home, "a") == named(home, "b")
    assert catalogues(home) == {named(home, n) for n in "abcd"}
    assert len(catalogues(home)) == 3


def test_forty_profiles_have_one(home: Path) -> None:
    entries = [{"name": f"p{n}", "provider": "glm", "key": f"{KEY}-{n}", "codeType": ["codex"]} for n in range(40)]
    assert cc.main("init", "-s", "--api-configs", json.dumps(entries), *NEWEST).ok
    assert catalogues(home) == {named(home, "p39")}


@pytest.mark.parametrize("version", [NEWEST, OLD], ids=["profile files", "tables"])
def test_it_goes_with_the_last_that_names_it(home: Path, version: tuple[str, ...]) -> None:
    """Neither a switch, official nor removing one profile takes it from another; undo brings it back."""
    save("a", "glm", version=version)
    save("b", "glm", version=version)
    (shared,) = catalogues(home)
    save("c", "deepseek", version=version)
    assert cc.main("config-switch", "official", "-T", "codex", *version).ok
    assert cc.main("profile", "rm", "a", "--yes").ok
    assert shared in catalogues(home)
    assert len(catalogues(home)) == 2
    before = cc.files(home)
    assert cc.main("profile", "rm", "b", "--yes").ok
    assert shared not in catalogues(home)
    assert cc.main("undo").ok
    assert cc.files(home) == before
    assert cc.main("uninstall", "--yes").ok
    assert catalogues(home) == set()


def test_undo_takes_none_away_that_another_profile_names(home: Path) -> None:
    """The change that made the file is taken back after another profile came to use it."""
    save("a", "glm", "--no-activate")
    save("b", "glm", "--no-activate")
    assert cc.main("undo", "1").ok
    assert not (home / ".codex/a.config.toml").exists()
    assert catalogues(home) == {named(home, "b")}
    assert cc.main("undo", "2").ok
    assert catalogues(home) == set()


def test_undo_brings_back_what_it_makes_a_profile_name_again(home: Path) -> None:
    """Settings go back to a catalogue that a later change took away: it comes back, too, as the history has it."""
    save("a", "glm")
    first = named(home, "a")
    text = (home / ".codex" / first).read_bytes()
    save("b", "deepseek")
    save("a", "glm", "-M", "glm-4.7", "--no-activate")
    assert first not in catalogues(home)
    assert cc.main("undo", "2").ok
    assert f'"{first}"' in (home / ".codex/config.toml").read_text()
    assert (home / ".codex" / first).read_bytes() == text
    assert cc.main("undo", "4").ok
    assert first not in catalogues(home)


def test_another_model_leaves_the_file_to_the_others(home: Path) -> None:
    """A profile that is written anew leaves its former catalogue when others name it, else that goes."""
    save("a", "glm")
    save("b", "glm")
    shared = named(home, "a")
    save("a", "glm", "-M", "glm-4.7")
    assert catalogues(home) == {shared, named(home, "a")}
    save("b", "glm", "-M", "glm-4.7")
    assert catalogues(home) == {named(home, "a")} == {named(home, "b")}


def test_one_that_the_user_names_stays(home: Path) -> None:
    """A profile file of the user's counts; so does one that nobody can read."""
    save("a", "glm", "--no-activate")
    shared = named(home, "a")
    own = home / ".codex/mine.config.toml"
    own.write_text(f'model_catalog_json = "{shared}"\n')
    assert cc.main("profile", "rm", "a", "--yes").ok
    assert catalogues(home) == {shared}
    own.unlink()
    save("a", "glm", "--no-activate")
    own.mkdir()
    assert cc.main("profile", "rm", "a", "--yes").ok
    assert catalogues(home) == {shared}


def test_files_of_the_user_s_are_not_ours(home: Path) -> None:
    """Only what one of the changed files named is looked at."""
    cc.put(home, {".codex/ccsetup-mine.models.json": "{}", ".codex/my.models.json": "{}"})
    save("a", "glm")
    assert cc.main("uninstall", "--yes").ok
    assert catalogues(home) == {"ccsetup-mine.models.json", "my.models.json"}


def test_one_that_the_user_made_stays(home: Path) -> None:
    """By a name like ours, named in config.toml; or one of ours that was edited since."""
    cc.put(home, {".codex/ccsetup-my.models.json": "{}", ".codex/config.toml": MINE})
    save("a", "glm")
    assert "ccsetup-my.models.json" in catalogues(home)
    ours = home / ".codex" / named(home, "a")
    ours.write_text(ours.read_text() + " ")
    assert cc.main("profile", "rm", "a", "--yes").ok
    assert catalogues(home) == {"ccsetup-my.models.json", ours.name}


@pytest.mark.parametrize("spelling", ["{}/.codex/", "{}/./.codex", "{}/link"])
def test_however_the_folder_is_written(home: Path, spelling: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / ".codex").mkdir()
    (home / "link").symlink_to(home / ".codex")
    monkeypatch.setenv("CODEX_HOME", spelling.format(home))
    save("a", "glm", "--no-activate")
    save("b", "glm", "--no-activate")
    assert cc.main("undo", "1").ok
    assert catalogues(home) == {named(home, "b")}
    assert cc.main("profile", "rm", "b", "--yes").ok
    assert catalogues(home) == set()


def test_undo_from_another_folder(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was changed says which folder it is about, not the variable of today."""
    save("a", "glm", "--no-activate")
    save("b", "glm", "--no-activate")
    monkeypatch.setenv("CODEX_HOME", str(home / "elsewhere"))
    assert cc.main("undo", "1").ok
    assert catalogues(home) == {named(home, "b")}


def test_undo_of_an_undo_writes_none_that_nobody_names(home: Path) -> None:
    save("a", "glm")
    first = named(home, "a")
    assert cc.main("undo").ok
    save("a", "deepseek")
    cc.main("undo", "2")
    assert first not in catalogues(home)


def test_the_file_of_an_earlier_version_goes_on_until_its_profile_is_written_anew(home: Path) -> None:
    """A switch leaves it where it is; a new key brings the shared one, and takes the old one away; undo goes back."""
    save("a", "glm")
    save("b", "deepseek")
    own = as_before(home, "a")
    assert cc.main("config-switch", "a", *NEWEST).ok
    assert named(home, "a") == own
    assert f'"{own}"' in (home / ".codex/config.toml").read_text()
    before = cc.files(home)
    save("a", "glm", "-k", KEY + "-new")
    assert own not in catalogues(home)
    assert f'"{named(home, "a")}"' in (home / ".codex/config.toml").read_text()
    assert cc.main("undo").ok
    assert cc.files(home) == before
    assert cc.main("profile", "rm", "a", "--yes").ok
    assert catalogues(home) == {named(home, "b")}


def test_a_dry_run_shows_what_goes(home: Path) -> None:
    save("a", "glm")
    save("b", "deepseek")
    own = as_before(home, "a")
    before = cc.files(home)
    shown = cc.main("init", "-s", "-n", "a", "-p", "glm", "-k", KEY + "-new", "-T", "codex", *NEWEST, "--dry-run")
    assert own in shown.stdout
    assert cc.files(home) == before


def relayed(home: Path) -> dict[str, tuple[int, list[str], list[str], str]]:
    """Return the catalogue that config.toml names: by id window, kinds of input, efforts, and who serves it."""
    name = tomllib.loads((home / ".codex/config.toml").read_text())["model_catalog_json"]
    models = json.loads((home / ".codex" / name).read_bytes())["models"]
    return {
        m["slug"]: (
            m["context_window"],
            m["input_modalities"],
            [level["effort"] for level in m["supported_reasoning_levels"]],
            m["description"],
        )
        for m in models
    }


def test_the_catalogue_of_the_relay_has_every_model_of_every_upstream(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With window, efforts and images of each, and it follows relay.yaml, changed by a command or by hand."""
    monkeypatch.setattr("ccsetup.cli.relay._up.start_for_clients", lambda _context: None)
    for name in ("glm", "kimi", "deepseek"):
        assert cc.main("init", "-s", "-p", name, "-k", KEY + name, "-T", "all", "--no-activate", *NEWEST).ok
    assert cc.main("relay", "init", "--from-profiles", "glm,kimi").ok
    assert cc.main("config-switch", "relay", *NEWEST).ok
    found = relayed(home)
    text, both = ["text"], ["text", "image"]
    assert found["glm-5.3"] == (1_000_000, text, ["low", "medium", "high", "max"], "glm")
    assert found["glm-5.3-flash"] == (1_000_000, both, ["low", "medium", "high", "max"], "glm")
    assert found["kimi-k3.1-pro"] == (1_048_576, both, ["low", "high", "max"], "kimi")
    assert not any("deepseek" in model for model in found)
    assert cc.main("relay", "add", "deepseek").ok
    added = relayed(home)
    assert {model: one[3] for model, one in added.items() if model not in found}["deepseek-flash"] == "deepseek"
    assert len(catalogues(home)) == 4  # of each profile, and what the relay's named before is gone
    # By hand: the next switch sees it, and nothing else changes.
    path = home / ".config/ccsetup/relay.yaml"
    entry = "  - {name: router, url: http://127.0.0.1:9/v1, wire: chat, key: {env: A}, models: [Qwen/Q3:free, a@b/C]}\n"
    path.write_text(path.read_text() + entry)
    assert cc.main("config-switch", "relay", "--check", *NEWEST).rc == 4
    assert cc.main("config-switch", "relay", *NEWEST).ok
    assert relayed(home)["Qwen/Q3:free"] == relayed(home)["a@b/C"] == (200_000, text, [], "router")
    assert cc.main("config-switch", "relay", "--check", *NEWEST).rc == 0
    path.write_text("relay: 1\nupstreams: {\n")
    assert cc.main("config-switch", "relay", *NEWEST).ok
    assert "Qwen/Q3:free" in relayed(home)


def test_the_catalogue_of_a_relay_of_all_profiles_follows_them(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is saved, renamed or removed later is in the list of the relay's profile, or is not any more."""
    monkeypatch.setattr("ccsetup.cli.relay._up.start_for_clients", lambda _context: None)
    save("glm", "glm", "--no-activate")
    assert cc.main("relay", "init").ok
    assert cc.main("config-switch", "relay", "-T", "codex", *NEWEST).ok
    assert tomllib.loads((home / ".codex/config.toml").read_text())["model"] == "ccsetup-default"
    first = relayed(home)
    assert {one[3] for one in first.values()} == {"glm", "what ccsetup relay use says"}
    # Its own window, and not the smallest of those who do not answer for it.
    assert first["ccsetup-default"][:3] == (1_000_000, ["text", "image"], ["low", "medium", "high", "max"])
    save("kimi", "kimi", "--no-activate")
    assert relayed(home)["kimi-k3.1-pro"][3] == "kimi"
    assert relayed(home)["ccsetup-default"][:3] == (1_000_000, ["text", "image"], ["low", "high", "max"])
    assert cc.main("profile", "rename", "kimi", "moon").ok
    assert relayed(home)["kimi-k3.1-pro"][3] == "moon"
    assert cc.main("undo").ok
    assert relayed(home)["kimi-k3.1-pro"][3] == "kimi"
    local = ("-u", "http://127.0.0.1:9/v1", "-M", "Qwen/Q3:free", "--context-window", "64000")
    save("local", "custom", *local, "--no-activate")
    assert relayed(home)["Qwen/Q3:free"] == (64_000, ["text"], [], "local")
    for name in ("local", "kimi"):
        assert cc.main("profile", "rm", name, "--yes").ok
    assert relayed(home) == first
    assert cc.main("config-switch", "relay", "-T", "codex", "--check", *NEWEST).rc == 0


def test_an_effort_that_codex_wrote_for_a_picked_model_does_not_stay(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pick of a model without efforts leaves "none", which providers of others refuse."""
    monkeypatch.setattr("ccsetup.cli.relay._up.start_for_clients", lambda _context: None)
    save("glm", "glm", "--no-activate")
    assert cc.main("relay", "init").ok
    assert cc.main("config-switch", "relay", "-T", "codex", *NEWEST).ok
    path = home / ".codex/config.toml"
    for effort, stays in (("none", False), ("high", True)):
        path.write_text(
            path.read_text().replace(
                'model = "ccsetup-default"', f'model = "glm-5.3-flash"\nmodel_reasoning_effort = "{effort}"'
            )
        )
        assert cc.main("config-switch", "relay", "-T", "codex", *NEWEST).ok
        config = tomllib.loads(path.read_text())
        assert config["model"] == "ccsetup-default"
        assert config.get("model_reasoning_effort") == (effort if stays else None)


MODELS = ".local/state/ccsetup/relay/models.json"


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ({".config/ccsetup/keys/relay": None}, "The key of profile 'relay' is not where it was saved"),
        ({".config/ccsetup/relay.yaml": "relay: 1\nupstreams: {\n"}, ""),
        ({".config/ccsetup/relay.yaml": None}, ""),
        ({MODELS: "{"}, ""),
        ({MODELS: '{"models": [1]}'}, ""),
        ({MODELS: b"\xff\xfe"}, ""),
        ({MODELS: None}, ""),
        ({".config/ccsetup/profiles.toml": "[profiles.relay]\nprovider = 5\n"}, ""),
    ],
    ids=str,
)
def test_what_is_wrong_with_the_relay_keeps_nobody_from_saving_a_profile(
    home: Path, monkeypatch: pytest.MonkeyPatch, damage: dict[str, str | bytes | None], said: str
) -> None:
    """It is saved; what keeps the relay's list from following is told where it has to be known."""
    monkeypatch.setattr("ccsetup.cli.relay._up.start_for_clients", lambda _context: None)
    save("glm", "glm", "--no-activate")
    assert cc.main("relay", "init").ok
    for name, content in damage.items():
        if content is None:
            (home / name).unlink()
        else:
            cc.put(home, {name: content})
    done = cc.main("init", "-s", "-p", "kimi", "-k", KEY, "-T", "all", "--no-activate", *NEWEST)
    assert done.ok, done
    assert said in done.stderr
    assert "[profiles.kimi]" in (home / ".config/ccsetup/profiles.toml").read_text()
    assert cc.main("config-switch", "kimi", *NEWEST).ok
