"""A profile that was changed by hand into one that cannot be used: it is named, and the others go on working."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import cc

FILE = ".config/ccsetup/profiles.toml"
PART = 'url = "http://127.0.0.1:1/x"\nprimary_model = "m"\n'
GOOD = f'[profiles.good]\nprovider = "custom"\n[profiles.good.claude-code]\n{PART}[profiles.good.codex]\n{PART}'
KEY = "sk-broken-profiles-0123456789"
BODY = 'provider = "glm"\nregion = "cn"\n'
PARTS = "[profiles.bad.claude-code]\n[profiles.bad.codex]\n"

# What stands there, the name of the profile, line and key of what is wrong, and what is said of it.
BROKEN = {
    "a path": ('[profiles."../bad"]\n' + BODY, "../bad", "10:1: profiles.../bad: ", "not a usable profile name"),
    "an absolute path": ('[profiles."/etc/x"]\n' + BODY, "/etc/x", "10:1: profiles./etc/x: ", "not a usable"),
    "a control character": ('[profiles."a\\u001b[31mb"]\n' + BODY, "a\x1b[31mb", "10:1: ", "not a usable profile name"),
    "a line end": ('[profiles."a\\nb"]\n' + BODY, "a\nb", "10:1: ", "not a usable profile name"),
    "an empty name": ('[profiles.""]\n' + BODY, "", "10:1: ", "not a usable profile name"),
    "a name with a dot": ('[profiles."a.b"]\n' + BODY, "a.b", "10:1: ", "not a usable profile name"),
    "a word of ours": ("[profiles.official]\n" + BODY, "official", "10:1: ", "not a usable profile name"),
    "no table": ("[profiles]\nbad = 7\n", "bad", "11:7: profiles.bad: ", "mapping"),
    "no provider": ('[profiles.bad]\nregion = "cn"\n' + PARTS, "bad", "10:1: profiles.bad: ", "'provider' is missing"),
    "provider 7": ("[profiles.bad]\nprovider = 7\n" + PARTS, "bad", "11:12: profiles.bad.provider: ", "text"),
    "storage": (
        "[profiles.bad]\n" + BODY + 'key_storage = "inlin"\n' + PARTS,
        "bad",
        "13:15: profiles.bad.key_storage: ",
        "one of: inline, command, keyring, env, dotenv. Did you mean 'inline'?",
    ),
    "paper": (
        "[profiles.bad]\n" + BODY + 'key_storage = "paper"\n' + PARTS,
        "bad",
        "13:15: profiles.bad.key_storage: ",
        "one of: inline",
    ),
    "no variable": (
        "[profiles.bad]\n" + BODY + 'key_storage = "env"\n' + PARTS,
        "bad",
        "10:1: profiles.bad.key_env: ",
        "not the name of a variable",
    ),
    "a variable": (
        "[profiles.bad]\n" + BODY + 'key_storage = "env"\nkey_env = "MY KEY"\n' + PARTS,
        "bad",
        "14:11: profiles.bad.key_env: ",
        "not the name of a variable",
    ),
    "tools": (
        "[profiles.bad]\n" + BODY + '[profiles.bad.codex]\ntools = "some"\n',
        "bad",
        "14:9: profiles.bad.codex.tools: ",
        "has to be one of: all.",
    ),
    "web search": (
        "[profiles.bad]\n" + BODY + '[profiles.bad.codex]\nweb_search = "lives"\n',
        "bad",
        "14:14: profiles.bad.codex.web_search: ",
        "Did you mean 'live'?",
    ),
    "window": (
        "[profiles.bad]\n" + BODY + '[profiles.bad.codex]\ncontext_window = "7"\n',
        "bad",
        "14:18: profiles.bad.codex.context_window: ",
        "a whole number",
    ),
    "a client's table": ("[profiles.bad]\n" + BODY + "codex = 7\n", "bad", "13:9: profiles.bad.codex: ", "mapping"),
    "two things": (
        "[profiles.bad]\n" + BODY + 'key_storage = "paper"\n[profiles.bad.codex]\nurl = 7\ntools = 1\n',
        "bad",
        "13:15: profiles.bad.key_storage: ",
        "one of",
    ),
    "an escape in a model": (
        "[profiles.bad]\n" + BODY + '[profiles.bad.codex]\nprimary_model = "a\\u001bb"\n',
        "bad",
        "14:17: profiles.bad.codex.primary_model: ",
        "control",
    ),
}


@pytest.fixture(params=BROKEN.values(), ids=BROKEN)
def broken(request: pytest.FixtureRequest, home: Path) -> tuple[str, str, str]:
    text, name, place, said = request.param
    top = "version = 1\n" + GOOD
    assert top.count("\n") == 9
    cc.put(
        home,
        {
            FILE: top + text,
            ".config/ccsetup/keys/good": KEY,
            ".config/ccsetup/keys/bad": KEY,
            ".config/ccsetup/bad": "a file that no profile may reach",
        },
    )
    return name, f"~/{FILE}:{place}", said


def test_the_others_go_on(home: Path, broken: tuple[str, str, str]) -> None:
    """list, test and doctor name file, line and key; a command about another profile does its work."""
    _name, place, said = broken
    listed = cc.main("list")
    assert listed.ok, listed
    assert place in listed.stderr
    assert said in listed.stderr
    assert "\x1b[31m" not in listed.stdout + listed.stderr
    doctor = cc.main("doctor", "--json")
    texts = [f["text"] for c in doctor.json["result"]["checks"] for f in c["findings"]]
    assert [t for t in texts if place in t and said in t], texts
    tested = cc.main("test", "--all", "--json", "--quick")
    assert place in repr(tested.json), tested
    for argv in (
        ("config-switch", "good"),
        ("key", "list"),
        ("export",),
        ("init", "-s", "-p", "kimi", "-k", KEY + "9"),
    ):
        done = cc.main(*argv)
        assert done.ok, (argv, done)
    assert (home / ".config/ccsetup/bad").read_text() == "a file that no profile may reach"


def test_it_is_refused_until_it_is_right(home: Path, broken: tuple[str, str, str]) -> None:
    """config-switch and init name the line; nothing is written.  It can be removed, or set up again where it can be."""
    name, place, _said = broken
    before = cc.files(home)
    switched = [("config-switch", name)] if name != "official" else []
    for argv in (*switched, ("init", "-s", "-n", name, "-M", "m"), ("key", "get", name)):
        done = cc.main(*argv)
        assert done.rc in (1, 2), (argv, done)
        assert "\x1b[31m" not in done.stderr
    assert cc.files(home) == before
    given = ("-n", name, "-p", "glm", "-k", KEY + "1", "-T", "all", "--key-storage", "inline")
    again = cc.main("init", "-s", *given)
    if name == "bad":
        assert again.ok, again
        assert place not in cc.main("list").stderr
        assert cc.main("undo").ok
    elif name:
        assert again.rc == 2, again
    assert cc.files(home) == before
    if name not in ("", "official"):
        assert cc.main("profile", "rm", "--yes", name).ok
        assert place not in cc.main("list").stderr
    assert (home / ".config/ccsetup/bad").exists()
