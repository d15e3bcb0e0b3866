"""Setting the relay up: ``relay init``, ``relay import``, ``init --via-relay``, and the profile that they save."""

from __future__ import annotations

import json
import re
import socket
import stat
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from support import cc, world
from support.emulator import Emulator
from support.terminal import Terminal

from ccsetup.cli.relay import _setup
from ccsetup.relay.config.model import Listen

KEY = "sk-test-0123456789abcdef"
CONFIG = ".config/ccsetup/relay.yaml"
KEYS = ".config/ccsetup/relay-keys.json"
PROFILES = ".config/ccsetup/profiles.toml"


@pytest.fixture
def two(home: Path) -> Path:
    """A home with two saved profiles that no client uses."""
    for name in ("glm", "kimi"):
        assert cc.main("init", "-s", "-p", name, "-k", KEY + name, "-T", "all", "--no-activate").ok
    return home


def profile(home: Path) -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((home / ".config/ccsetup/profiles.toml").read_text())["profiles"]["relay"]
    return found


def upstreams(home: Path) -> list[str]:
    return re.findall(r"^ *- name: (\S+)", (home / CONFIG).read_text(), re.M)


# relay init.


def test_init(two: Path) -> None:
    """The profiles become upstreams in their order, by reference; the clients' profile has a key the relay knows."""
    done = cc.main("relay", "init", "--from-profiles", "kimi,glm", "--port", "6001")
    assert done.ok, done
    assert upstreams(two) == ["kimi", "glm"]
    text = (two / CONFIG).read_text()
    assert KEY not in text
    assert "6001" in text
    key = (two / ".config/ccsetup/keys/relay").read_text()
    assert profile(two)["claude-code"]["url"] == "http://127.0.0.1:6001"
    assert profile(two)["codex"]["url"] == "http://127.0.0.1:6001/v1"
    saved = json.loads((two / KEYS).read_text())["keys"]
    assert [k["name"] for k in saved] == ["local"]
    assert key not in (two / KEYS).read_text()
    assert key.endswith(saved[0]["last4"])
    for name in (CONFIG, KEYS, ".config/ccsetup/keys/relay"):
        assert stat.S_IMODE((two / name).stat().st_mode) == 0o600
    assert key not in done.stdout + done.stderr
    assert "ccsetup config-switch relay" in done.stdout


def test_second_init_keeps_what_the_user_changed(two: Path) -> None:
    """The file stays, the key stays, and what is not in the file is named; --force changes the upstreams alone."""
    assert cc.main("relay", "init", "--from-profiles", "glm").ok
    changed = (two / CONFIG).read_text() + "\nping: 7  # mine\n"
    (two / CONFIG).write_text(changed)
    key = (two / ".config/ccsetup/keys/relay").read_text()
    again = cc.main("relay", "init", "--from-profiles", "glm,kimi")
    assert again.ok
    assert (two / CONFIG).read_text() == changed
    assert "Not in it: kimi" in again.stderr
    assert "ccsetup relay add kimi" in again.stderr
    unknown = cc.main("relay", "init", "--from-profiles", "glm,kimy")
    assert unknown.rc == 2
    assert "no profile 'kimy'" in unknown.stderr
    assert "Did you mean 'kimi'?" in unknown.stderr
    assert (two / CONFIG).read_text() == changed
    assert cc.main("relay", "init", "--json").json["result"]["changed"] is False
    assert cc.main("relay", "init", "--from-profiles", "glm,kimi", "--force").ok
    assert upstreams(two) == ["glm", "kimi"]
    assert (two / CONFIG).read_text().endswith("\nping: 7  # mine\n")
    assert (two / ".config/ccsetup/keys/relay").read_text() == key


FORCED = [
    # What of the file is not about upstreams stays, and the address changes only where that is asked for.
    ("relay: 1\n# mine\nlisten: {port: 6001}  # here\nupstreams:\n%slimits: {requests: 9}  # few\n", ()),
    ("relay: 1\nlisten: {port: 6001}\nupstreams:\n%s\n# the end\n", ("--port", "6001")),
]


@pytest.mark.parametrize(("text", "argv"), FORCED)
def test_force_keeps_what_is_not_about_upstreams(two: Path, text: str, argv: tuple[str, ...]) -> None:
    """Comments and settings stay byte for byte; the clients' profile follows."""
    entry = "  - {name: old, url: http://127.0.0.1:9, wire: chat, key: {env: A}, default_model: m}\n"
    cc.put(two, {CONFIG: text % entry})
    done = cc.main("relay", "init", "--from-profiles", "kimi", "--force", *argv)
    assert done.ok, done
    head, tail = text.split("%s")
    now = (two / CONFIG).read_text()
    assert now.startswith(head + "  - name: kimi\n")
    assert now.endswith(tail)
    assert profile(two)["claude-code"]["url"] == "http://127.0.0.1:6001"
    moved = cc.main("relay", "init", "--from-profiles", "kimi", "--force", "--port", "6002")
    assert moved.ok, moved
    assert (two / CONFIG).read_text().endswith(tail)
    assert "listen: {port: 6002}\n" in (two / CONFIG).read_text()
    assert profile(two)["claude-code"]["url"] == "http://127.0.0.1:6002"


def test_force_on_a_file_that_cannot_be_kept(two: Path) -> None:
    """One that cannot be read is written anew, and said so; of one in a single line the settings stay."""
    cc.put(two, {CONFIG: "relay: 1\nping: nonsense\n"})
    done = cc.main("relay", "init", "--from-profiles", "kimi", "--force")
    assert done.ok, done
    assert "relay.yaml:2:7" in done.stderr
    old = {"name": "o", "url": "http://127.0.0.1:9", "wire": "chat", "key": {"env": "A"}}
    cc.put(two, {CONFIG: json.dumps({"relay": 1, "ping": 7, "upstreams": [old]})})
    done = cc.main("relay", "init", "--from-profiles", "kimi", "--force")
    assert "without its comments" in done.stderr
    assert "ping: 7" in (two / CONFIG).read_text()
    assert upstreams(two) == ["kimi"]


def test_dry_run_writes_nothing_and_shows_no_key(two: Path) -> None:
    """--dry-run shows the file and leaves everything as it is."""
    before = cc.files(two)
    done = cc.main("relay", "init", "--from-profiles", "glm", "--dry-run")
    assert done.ok
    assert "- name: glm" in done.stdout
    assert not re.search(r"ccr-\w{20}", done.stdout + done.stderr)
    assert cc.files(two) == before


@pytest.mark.parametrize(
    ("argv", "code", "text"),
    [
        (("--from-profiles", "nobody"), 2, "no profile 'nobody'"),
        (("--from-profiles", ","), 2, "names no profile"),
        (("--from-profiles", "relay"), 2, "relay"),
        (("--from-profiles", "glm", "--port", "0"), 2, "--port"),
        (("--from-profiles", "glm", "--port", "70000"), 2, "--port"),
    ],
)
def test_wrong_init(two: Path, argv: tuple[str, ...], code: int, text: str) -> None:
    """Every wrong input is one sentence, and nothing is written."""
    done = cc.main("relay", "init", *argv)
    assert done.rc == code, done
    assert text in done.stderr
    assert not (two / CONFIG).exists()


def test_init_without_profiles(home: Path) -> None:
    """Where nothing is saved, the next command is named."""
    for argv, code in (((), 1), (("--from-profiles", "glm"), 2)):
        done = cc.main("relay", "init", *argv)
        assert done.rc == code
        assert f"ccsetup init -p {'glm' if argv else 'PROVIDER'} -k KEY --no-activate" in done.stderr
    for command in ("reload", "reset", "status"):
        done = cc.main("relay", command)
        assert done.rc == 1
        assert "ccsetup relay init" in done.stdout + done.stderr


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("argv", [(), ("--port", "6001"), ("--json",)])
def test_without_names_every_saved_profile_is_an_upstream(two: Path, argv: tuple[str, ...], terminal: bool) -> None:
    """Also those saved later; the file names none, and no question is asked."""
    if terminal:
        with Terminal(two, "relay", "init", *argv, env={"TERM": "dumb"}) as shown:
            assert shown.ends() == 0
    else:
        assert cc.main("relay", "init", *argv).ok
    text = (two / CONFIG).read_text()
    assert ("from: profiles\n" in text, "upstreams:" in text, "failover" in text.split("\nfrom:")[1]) == (
        True, False, False,
    )  # fmt: skip
    assert list(tomllib.loads((two / PROFILES).read_text())["profiles"]) == ["glm", "kimi", "relay"]
    checked = cc.main("relay", "check", "--offline", "--json").json["result"]
    assert {way["upstream"] for one in checked["ways"] for way in one["upstreams"]} == {"glm", "kimi"}
    assert all(len(one["upstreams"]) <= 1 for one in checked["ways"])
    assert cc.main("init", "-s", "-p", "deepseek", "-k", KEY, "-T", "all", "--no-activate").ok
    assert "deepseek/deepseek-flash" in cc.main("relay", "use", "--json").json["result"]["targets"]
    again = cc.main("relay", "init")
    assert ("kept as it is" in again.stderr, (two / CONFIG).read_text()) == (True, text)


def test_a_file_goes_from_names_to_all_and_back(two: Path) -> None:
    """With --force; other settings stay."""
    assert cc.main("relay", "init", "--from-profiles", "kimi").ok
    (two / CONFIG).write_text((two / CONFIG).read_text() + "ping: 7\n")
    assert cc.main("relay", "init", "--force").ok
    text = (two / CONFIG).read_text()
    assert ("from: profiles" in text, "ping: 7" in text, upstreams(two)) == (True, True, [])
    assert cc.main("relay", "init", "--force", "--from-profiles", "kimi,glm").ok
    text = (two / CONFIG).read_text()
    assert ("from: profiles" in text, "ping: 7" in text, upstreams(two)) == (False, True, ["kimi", "glm"])


def test_entries_beside_saved_profiles_are_added_and_removed(two: Path) -> None:
    """add names one in the file, so that it answers for others; rm takes it out again; a saved one is none of these."""
    assert cc.main("relay", "init", "--port", "6001").ok
    before = (two / CONFIG).read_text()
    for command in ("rm", "move"):
        refused = cc.main("relay", command, "kimi", *(["1"] if command == "move" else []))
        assert (refused.rc, "relay.yaml does not name 'kimi'" in refused.stderr) == (2, True), refused
    assert cc.main("relay", "rm", "nobody").rc == 2
    assert (two / CONFIG).read_text() == before
    added = cc.main("relay", "add", "kimi")
    assert [line.split()[0] for line in added.stdout.splitlines()[1:]] == ["kimi", "glm"], added
    assert upstreams(two) == ["kimi"]
    assert cc.main("relay", "add", "glm", "--before", "kimi").ok
    assert upstreams(two) == ["glm", "kimi"]
    assert cc.main("relay", "move", "kimi", "--first").ok
    for name in ("kimi", "glm"):
        assert cc.main("relay", "rm", name).ok
    assert (upstreams(two), (two / CONFIG).read_text().startswith(before.rstrip())) == ([], True)
    assert cc.main("relay", "add", "glm").ok
    assert upstreams(two) == ["glm"]
    done = cc.main("init", "-s", "-p", "siliconflow", "-k", "sk-flow-0123456789abcdef", "-T", "codex", "--via-relay",
                   "--no-start")  # fmt: skip
    assert done.ok, done
    assert upstreams(two) == ["siliconflow", "glm"]
    assert cc.main("relay", "check", "--offline").ok


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("relay: 1\nfrom: files\n", "from"),
        ("relay: 1\nfrom: [profiles]\n", "from"),
        (
            "relay: 1\nfailover: [glm]\nupstreams:\n- {name: a, preset: glm, key: {env: A}}\n",
            "goes with 'from: profiles'",
        ),
        ("relay: 1\nfrom: profiles\nfailover: [no one]\n", "failover"),
        ("relay: 1\n", "upstreams"),
        ("relay: 1\nfrom:\n", "upstreams"),
    ],
)
def test_wrong_files_of_saved_profiles(two: Path, text: str, said: str) -> None:
    (two / CONFIG).write_text(text)
    done = cc.main("relay", "check", "--offline")
    assert (done.rc, said in done.stderr, "relay.yaml:" in done.stderr) == (1, True, True), done


def test_failover_names_a_profile_that_is_not_saved(two: Path) -> None:
    """It is told, and the others go on."""
    (two / CONFIG).write_text("relay: 1\nfrom: profiles\nfailover: [kimi, gone]\nupstreams:\n")
    done = cc.main("relay", "check", "--offline")
    assert "failover: there is no profile 'gone'" in done.stdout + done.stderr
    assert cc.main("relay", "use", "--json").json["result"]["leads"]["ccsetup-default"]["upstream"] == "kimi"


def test_init_for_other_machines_says_what_is_missing(two: Path) -> None:
    """What cannot start yet is no next step."""
    done = cc.main("relay", "init", "--from-profiles", "glm", "--host", "0.0.0.0", "--port", "6001")
    assert done.rc == 5
    assert "tls_cert" in done.stderr
    assert "config-switch" not in done.stdout
    assert "ccsetup relay check" in done.stdout


def test_port_that_is_taken_is_left_alone(two: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where another program has the usual port, the next free one is written and named."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        taken = s.getsockname()[1]
        monkeypatch.setattr(_setup, "Listen", lambda: Listen(port=taken))
        done = cc.main("relay", "init", "--from-profiles", "glm")
    assert done.ok, done
    assert f"Port {taken} is used by another program" in done.stderr
    assert not profile(two)["codex"]["url"].endswith(f":{taken}/v1")


def test_reserved_profile_is_the_program_s(two: Path) -> None:
    """Nobody makes, renames or exports the profile relay; an apply that prunes leaves it; copies are free."""
    assert cc.main("relay", "init", "--from-profiles", "glm").ok
    for argv in (
        ("init", "-s", "-n", "relay", "-p", "glm", "-k", KEY),
        ("profile", "rename", "relay", "mine"),
        ("profile", "rename", "glm", "relay"),
        ("profile", "copy", "glm", "relay"),
        ("key", "set", "relay", "-k", KEY),
    ):
        refused = cc.main(*argv)
        assert refused.rc == 2, refused
    exported = cc.main("export")
    assert "name: relay" not in exported.stdout
    (two / "d.yaml").write_text(exported.stdout)
    pruned = cc.run(two, "apply", "d.yaml", "--prune", env={"ZHIPU_API_KEY": KEY, "MOONSHOT_API_KEY": KEY})
    assert "relay" in cc.main("list").stdout, pruned
    assert cc.main("profile", "copy", "relay", "mine").ok
    assert cc.main("profile", "rm", "relay", "-y").ok
    missing = cc.main("config-switch", "relay")
    assert missing.rc == 1
    assert "ccsetup relay init" in missing.stderr


def test_doctor_is_content_with_the_relay(two: Path) -> None:
    """The relay's own profile is no problem."""
    assert cc.main("relay", "init", "--from-profiles", "glm", "--port", str(world.port())).ok
    assert cc.main("init", "-s", "-p", "glm", "-k", KEY + "glm", "-T", "all").ok
    before = cc.run(two, "doctor", "--json").json["result"]
    cc.run(two, "config-switch", "relay")
    try:
        after = cc.run(two, "doctor", "--json").json["result"]
    finally:
        cc.run(two, "relay", "stop", "--now")
    bad = {"problem", "warning"}
    found, known = ([c for c in said["checks"] if c["result"] in bad] for said in (after, before))
    assert found == known
    checks = {c["id"]: c["result"] for c in after["checks"]}
    assert {checks[i] for i in ("relay-config", "relay-runs", "relay-modes")} == {"ok"}


# relay import.

ALL_CONFIGS = {
    "api_configs": [
        {"name": "one", "base_url": "https://one.example/x", "key": KEY + "one", "type": "primary", "enabled": True,
         "time_enabled": [1] * 7},
        {"name": "two", "base_url": "https://two.example", "key": KEY + "two", "type": "backup", "enabled": True,
         "time_enabled": [1] * 7},
    ],
    "codex_configs": [],
}  # fmt: skip
ROUTER = {
    "Providers": [
        {
            "name": "deepseek",
            "api_base_url": "https://api.deepseek.com/chat/completions",
            "api_key": KEY + "deep",
            "models": ["deepseek-chat"],
        }
    ],
    "Router": {"default": "deepseek,deepseek-chat"},
}


@pytest.mark.parametrize(
    ("file", "content", "names"),
    [("all_configs.json", ALL_CONFIGS, ["one", "two"]), ("config.json", ROUTER, ["deepseek"])],
    ids=["codex_cc_switch", "claude-code-router"],
)
def test_import(home: Path, file: str, content: Any, names: list[str]) -> None:
    """Keys go into files of their own, nobody sees them, and what is written is a configuration that can be used."""
    (home / file).write_text(json.dumps(content))
    before = cc.files(home)
    shown = cc.main("relay", "import", str(home / file), "--dry-run")
    assert shown.ok, shown
    assert cc.files(home) == before
    asked = cc.main("relay", "import", str(home / file))
    assert asked.rc == 2
    assert "--yes" in asked.stderr
    done = cc.main("relay", "import", str(home / file), "-y")
    assert done.ok, done
    assert upstreams(home) == names
    for output in (shown.stdout, shown.stderr, done.stdout, done.stderr, (home / CONFIG).read_text()):
        assert KEY not in output
    for name in names:
        path = home / ".config/ccsetup/upstream-keys" / name
        assert path.read_text().startswith(KEY)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert profile(home)["claude-code"]["primary_model"]
    again = cc.main("relay", "import", str(home / file), "-y")
    assert again.rc == 2
    assert "--force" in again.stderr
    assert cc.main("relay", "check", "--offline", "--json").json["result"]["ways"]


@pytest.mark.parametrize("text", ["", "[]", "{}", "no json", '{"profiles": {}}', "\x00\xff"])
def test_import_of_something_else(home: Path, text: str) -> None:
    """A file of another kind is refused in one sentence."""
    (home / "x.json").write_bytes(text.encode("latin-1"))
    done = cc.main("relay", "import", str(home / "x.json"), "-y")
    assert done.rc == 2, done
    assert "no configuration of a relay that is known" in done.stderr


# init --via-relay.


@pytest.mark.parametrize("client", ["cc", "codex"])
@pytest.mark.parametrize(
    ("provider", "url", "chat"),
    [
        ("glm", "https://open.bigmodel.cn/api/paas/v4", True),
        ("glm", "https://open.bigmodel.cn/api/paas/v4/chat/completions", True),
        ("glm", "https://open.bigmodel.cn/api/coding/paas/v4", True),
        ("glm", "https://open.bigmodel.cn/api/other", False),
    ],
)
def test_a_chat_address_of_the_provider_is_asked_as_that(
    home: Path, client: str, provider: str, url: str, chat: bool
) -> None:
    """What ends as the provider's Chat address does is no address of a client's own format."""
    argv = ("init", "-s", "-p", provider, "-k", KEY, "-T", client, "--via-relay", "--no-start", "-u", url)
    assert cc.main(*argv).ok
    (upstream,) = yaml.safe_load((home / CONFIG).read_text())["upstreams"]
    assert ((upstream.get("url"), upstream.get("wire")) == (url.removesuffix("/chat/completions"), "chat")) == chat
    saved = tomllib.loads((home / ".config/ccsetup/profiles.toml").read_text())["profiles"][provider]
    assert saved.keys().isdisjoint(("claude-code", "codex")) == chat


@pytest.fixture
def siliconflow(home: Path) -> Iterator[Emulator]:
    """The provider as its preset says, on loopback; the preset that leads there is the user's own."""
    with Emulator("siliconflow") as running:
        cc.put(home, {".config/ccsetup/presets/siliconflow.yaml": running.preset_yaml})
        yield running


VIA = ("init", "-s", "-p", "siliconflow", "-T", "codex", "--via-relay", "--no-start")


def test_chat_only_provider_names_the_way(home: Path) -> None:
    """Without the option the refusal says which option helps."""
    refused = cc.main("init", "-s", "-p", "siliconflow", "-k", KEY, "-T", "codex")
    assert refused.rc == 1
    assert "--via-relay" in refused.stderr
    assert not (home / ".config/ccsetup/profiles.toml").exists()


def test_via_relay_from_nothing(home: Path, siliconflow: Emulator) -> None:
    """One command: the key is saved, the provider is an upstream, and Codex asks the relay for its model."""
    done = cc.main(*VIA, "-k", siliconflow.key)
    assert done.ok, done
    assert upstreams(home) == ["siliconflow"]
    assert siliconflow.key not in (home / CONFIG).read_text()
    config = tomllib.loads((home / ".codex/config.toml").read_text())
    assert config["model_provider"] == "ccsetup"
    assert config["model"] == "zai-org/GLM-5.2"
    assert config["model_providers"]["ccsetup"]["base_url"] == profile(home)["codex"]["url"]
    assert not (home / ".claude").exists()
    again = cc.main(*VIA, "-k", siliconflow.key, "--json")
    assert again.json["result"]["changed"] is False
    listed = cc.main("list").stdout
    assert "siliconflow" in listed
    refused = cc.main("config-switch", "siliconflow")
    assert refused.rc == 2
    assert "config-switch relay" in refused.stderr
    undone = cc.main("undo")
    assert undone.ok, undone
    assert not (home / CONFIG).exists()


def test_via_relay_survives_export_and_apply(home: Path, siliconflow: Emulator) -> None:
    """A profile without a client of its own stays one."""
    assert cc.main(*VIA, "-k", siliconflow.key).ok
    exported = cc.main("export").stdout
    assert "via_relay: true" in exported
    (home / "d.yaml").write_text(exported)
    again = cc.run(home, "apply", "d.yaml", "--json", env={"SILICONFLOW_API_KEY": siliconflow.key})
    assert again.ok, again
    assert again.json["result"]["changed"] is False


def test_via_relay_beside_others(two: Path, siliconflow: Emulator) -> None:
    """A file that the user edited gains the upstream in front, for its own models alone; every other line stays."""
    assert cc.main("relay", "init", "--from-profiles", "glm,kimi").ok
    edited = (two / CONFIG).read_text().replace(
        "  - name: kimi", "  # the spare one\n  - name: kimi"
    ) + "ping: 5 # mine\n"
    (two / CONFIG).write_text(edited)
    done = cc.main(*VIA, "-k", siliconflow.key)
    assert done.ok, done
    now = (two / CONFIG).read_text()
    assert upstreams(two) == ["siliconflow", "glm", "kimi"]
    lines = iter(now.splitlines())
    assert all(line in lines for line in edited.splitlines())  # the old lines, in their order
    ways = cc.main("relay", "check", "--offline", "--json").json["result"]["ways"]
    order = {w["model"]: [u["upstream"] for u in w["upstreams"]] for w in ways if w["wire"] == "responses"}
    assert order["zai-org/GLM-5.2"][0] == "siliconflow"
    assert order["gpt-*"] == order["claude-*"] == ["glm", "kimi"]
    assert order["*"] == []
    assert profile(two)["codex"]["primary_model"] == "zai-org/GLM-5.2"
    assert profile(two)["claude-code"]["primary_model"] == "ccsetup-default"


def test_via_relay_names_the_clients_it_was_asked_for(two: Path, siliconflow: Emulator) -> None:
    """Another client that uses the relay keeps its model, and is not told of; the same as JSON."""
    assert cc.main("init", "-s", "-p", "glm", "-k", KEY, "-T", "cc", "--via-relay", "--no-start").ok
    before = json.loads((two / ".claude/settings.json").read_text())["env"]["ANTHROPIC_MODEL"]
    done = cc.main(*VIA, "-k", siliconflow.key)
    assert done.ok, done
    assert "Codex uses provider 'siliconflow' through the relay." in done.stdout
    assert "Claude Code" not in done.stdout
    assert "Start codex;" in done.stdout
    assert cc.main(*VIA, "-k", siliconflow.key, "--json").json["result"]["active"] == {"codex": "relay"}
    assert json.loads((two / ".claude/settings.json").read_text())["env"]["ANTHROPIC_MODEL"] == before


def test_via_relay_for_a_server_whose_models_the_user_knows(home: Path) -> None:
    """The model that is given is the upstream's and the client's, whatever the other client would need."""
    argv = ("init", "-s", "-p", "llamacpp", "-T", "codex", "--via-relay", "--no-start")
    missing = cc.main(*argv)
    assert missing.rc == 2
    assert "needs a model for Codex" in missing.stderr
    assert not (home / CONFIG).exists()
    done = cc.main(*argv, "-M", "my-model")
    assert done.ok, done
    assert "default_model: my-model" in (home / CONFIG).read_text()
    assert tomllib.loads((home / ".codex/config.toml").read_text())["model"] == "my-model"


def test_via_relay_where_the_upstream_has_another_model(home: Path) -> None:
    """relay.yaml is the user's: what it makes of the model that is asked for now is told, with the line to change."""
    argv = ("init", "-s", "-p", "llamacpp", "-T", "codex", "--via-relay", "--no-start", "-M")
    assert cc.main(*argv, "one").ok
    assert "Warning" not in cc.main(*argv, "one").stderr
    done = cc.main(*argv, "two")
    assert done.ok, done
    assert "relay.yaml: upstream 'llamacpp' was kept as it is: it is asked for 'one' instead of 'two'" in done.stderr


def test_via_relay_refuses_what_it_cannot_add_to(two: Path, siliconflow: Emulator) -> None:
    """A list in one line is left alone: the lines to add are told, and nothing else is written."""
    cc.put(
        two, {CONFIG: "relay: 1\nupstreams: [{name: glm, preset: glm, key: {profile: glm}, default_model: glm-5.2}]\n"}
    )
    before = cc.files(two)
    refused = cc.main(*VIA, "-k", siliconflow.key)
    assert refused.rc == 1
    assert "- name: siliconflow" in refused.stderr
    assert "preset: siliconflow" in refused.stderr
    assert cc.files(two) == before


def test_via_relay_for_an_address(home: Path) -> None:
    """An address without a preset is taken for one of Chat Completions, for either client."""
    argv = ("init", "-s", "-p", "custom", "-n", "mine", "-k", KEY, "-M", "m1", "--via-relay", "--no-start", "-T", "all")
    done = cc.main(*argv, "-u", "http://127.0.0.1:9/api/v1/chat/completions")
    assert done.ok, done
    text = (home / CONFIG).read_text()
    assert "http://127.0.0.1:9/api/v1\n" in text
    assert "wire: chat" in text
    assert profile(home)["codex"]["primary_model"] == "m1"
    env = json.loads((home / ".claude/settings.json").read_text())["env"]
    assert env["ANTHROPIC_MODEL"] == "m1"


@pytest.mark.parametrize("clients", ["codex", "all"])
def test_a_second_address_via_relay(home: Path, clients: str) -> None:
    """It stands in front, for its own model alone; the clients ask for that."""
    argv = ("init", "-s", "-p", "custom", "-k", KEY, "--via-relay", "--no-start", "-T", clients)
    for name, port in (("one", 9), ("two", 8)):
        done = cc.main(*argv, "-n", name, "-M", f"m-{name}", "-u", f"http://127.0.0.1:{port}/v1")
        assert done.ok, done
        assert profile(home)["codex"]["primary_model"] == f"m-{name}"
    upstreams = yaml.safe_load((home / CONFIG).read_text())["upstreams"]
    assert [(u["name"], u.get("models"), u.get("default_model")) for u in upstreams] == [
        ("two", ["m-two"], None),
        ("one", None, "m-one"),
    ]


def test_via_relay_where_the_upstream_has_another_address(home: Path) -> None:
    """relay.yaml is the user's: its address stays, and they are told so and what to do."""
    argv = (
        "init",
        "-s",
        "-p",
        "custom",
        "-n",
        "mine",
        "-k",
        KEY,
        "-M",
        "m1",
        "--via-relay",
        "--no-start",
        "-T",
        "codex",
    )
    assert cc.main(*argv, "-u", "http://127.0.0.1:8001/v1").ok
    before = (home / ".config/ccsetup/relay.yaml").read_text()
    done = cc.main(*argv, "-u", "http://127.0.0.1:8002/v1")
    assert done.ok, done
    assert "upstream 'mine' was kept as it is; its addresses are others than today's" in done.stderr
    assert "Change its 'url' or 'endpoints' there." in done.stderr
    assert (home / ".config/ccsetup/relay.yaml").read_text() == before


def test_via_relay_for_a_client_without_endpoint(home: Path) -> None:
    """A provider without any endpoint for Claude Code serves it through the relay."""
    done = cc.main("init", "-s", "-p", "openai", "-k", KEY, "-T", "cc", "--via-relay", "--no-start")
    assert done.ok, done
    env = json.loads((home / ".claude/settings.json").read_text())["env"]
    assert env["ANTHROPIC_BASE_URL"] == f"http://127.0.0.1:{Listen().port}"
    assert env["ANTHROPIC_MODEL"].startswith("gpt-")


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (("init", "-s", "-p", "glm", "-k", KEY, "--no-start"), "--no-start"),
        ((*VIA, "-k", KEY, "--project"), "--via-relay / --project"),
        ((*VIA[:2], "--via-relay", "--api-configs", "[]"), "--via-relay / --api-configs"),
        (VIA, "key is missing"),
        ((*VIA, "-k", KEY, "--region", "mars"), "no region 'mars'"),
    ],
)
def test_wrong_via_relay(home: Path, argv: tuple[str, ...], text: str) -> None:
    """Every wrong input is one sentence, and nothing is written."""
    done = cc.main(*argv)
    assert done.rc == 2, done
    assert text in done.stderr
    assert not (home / CONFIG).exists()


def test_dry_run_of_via_relay(home: Path) -> None:
    """--dry-run shows all of it, starts nothing and writes nothing; --check tells that something would change."""
    before = cc.files(home)
    shown = cc.main(*VIA[:-1], "-k", KEY, "--dry-run")
    assert shown.ok, shown
    assert "siliconflow" in shown.stdout
    assert KEY not in shown.stdout
    assert cc.main(*VIA[:-1], "-k", KEY, "--check").rc == 4
    assert cc.files(home) == before


# Profiles whose keys the relay uses.


def test_rename_of_a_profile_that_the_relay_uses(two: Path) -> None:
    """relay.yaml refers to the profile by its new name, all else in it stays; undo brings both back."""
    assert cc.main("relay", "init", "--from-profiles", "glm,kimi", "--port", "6001").ok
    before = cc.files(two)
    done = cc.main("profile", "rename", "glm", "work")
    assert done.ok, done
    assert "~/.config/ccsetup/relay.yaml" in done.stdout + done.stderr
    text = (two / CONFIG).read_text()
    assert text == before[CONFIG].decode().replace("profile: glm", "profile: work")
    checks = {c["id"]: c["result"] for c in cc.main("doctor", "--json").json["result"]["checks"]}
    assert checks["relay-config"] == "ok"
    assert cc.main("undo").ok
    assert cc.files(two) == before


def test_rename_where_the_file_cannot_be_changed(two: Path) -> None:
    """What to write, and where, is said."""
    text = 'relay: 1\nupstreams:\n  - name: a\n    preset: glm\n    key: {profile: "\\x67lm"}\n'
    cc.put(two, {CONFIG: text})
    done = cc.main("profile", "rename", "glm", "work")
    assert done.ok, done
    assert "relay.yaml:5" in done.stdout + done.stderr
    assert "work there" in done.stdout + done.stderr
    assert (two / CONFIG).read_text() == text


@pytest.mark.parametrize("argv", [("profile", "rm", "kimi", "-y"), ("key", "rm", "kimi", "-y")])
def test_removal_of_a_key_that_the_relay_uses(two: Path, argv: tuple[str, ...]) -> None:
    """The file and the line that lose their key are named; another profile is removed without a word."""
    assert cc.main("relay", "init", "--from-profiles", "glm,kimi", "--port", "6001").ok
    line = next(n for n, row in enumerate((two / CONFIG).read_text().split("\n"), 1) if "profile: kimi" in row)
    done = cc.main(*argv, "--json")
    assert done.ok, done
    warnings = [n["text"] for n in done.json["notes"] if n["level"] == "warning"]
    assert [w for w in warnings if f"relay.yaml:{line}: upstream 'kimi'" in w] == warnings
    assert len(warnings) == 1
    assert cc.main("init", "-s", "-p", "qwen", "-k", KEY, "--no-activate").ok
    assert "relay.yaml" not in cc.main("profile", "rm", "qwen", "-y").stderr
    cc.put(two, {CONFIG: "upstreams: [\n"})
    assert "cannot be told" in cc.main("profile", "rm", "glm", "-y").stderr
