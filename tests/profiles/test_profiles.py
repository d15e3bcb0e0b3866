"""Saved profiles: text to values and back, and what a preset and a profile make together."""

from __future__ import annotations

import pytest

from ccsetup import profiles, urls
from ccsetup.clients import CLIENTS
from ccsetup.documents import tomldoc
from ccsetup.errors import CcsetupError, DocumentError, UsageError, printable
from ccsetup.model import ClaudeEndpoint, CodexEndpoint, Model, Preset, Region, Tiers, Unsupported
from ccsetup.profiles import Part, Profile

TIERS = Tiers("big", "small", "big", "huge", "big", "small")
CLAUDE = ClaudeEndpoint("https://p.example/anthropic", "auth_token", TIERS, 300_000, {})
CODEX = CodexEndpoint("https://p.example/v1", "responses", "big", 300_000, "disabled", False, True, ("low",), "low")


def preset(claude: ClaudeEndpoint | Unsupported = CLAUDE, codex: CodexEndpoint | Unsupported = CODEX) -> Preset:
    region = Region("r", "R", claude, codex, "", "", ())
    models = (Model("big", context=300_000), Model("known", context=64_000))
    return Preset("p", "P", {}, "", "P_KEY", True, "", (), (region,), models, (), (), {}, {})


def profile(**part: object) -> Profile:
    made = Part(**part)  # type: ignore[arg-type]
    return Profile("n", "p", "r", "inline", "", {"claude-code": made, "codex": made})


PROFILES = [
    Profile("a", "glm", "cn", "inline", "", {"claude-code": Part()}),
    Profile("b-2_C", "kimi", "", "env", "MY_KEY", {"codex": Part("https://h/v1", "", "m", provider_id="x")}),
    Profile(
        "c",
        "custom",
        "r",
        "command",
        "",
        {"claude-code": Part("https://h", "api_key", "a", "b", "c", "d", "e", "f", 7), "codex": Part()},
    ),
    Profile("d", "glm", "cn", "command", "", {"codex": Part()}, "op read 'op://x/y' | tr -d '\\n'"),
]


def test_round_trip() -> None:
    """What is saved is read again as it was, in its order, with a user's comments around it."""
    text = profiles.HEADER + "# mine\n"
    for one in PROFILES:
        text = tomldoc.apply(text, profiles.save(one))
    assert list(profiles.parse(text, "f", CLIENTS).values()) == PROFILES
    assert text.startswith(profiles.HEADER + "# mine\n")
    for one in PROFILES:
        text = tomldoc.apply(text, (profiles.remove(one.name),))
    assert profiles.parse(text, "f", CLIENTS) == {}


def test_what_is_not_known_is_named_and_kept() -> None:
    """A member of a later version, or a misspelt one, keeps its place and its comment when the profile changes."""
    text = (
        '[profiles.x]\nkey_storage = "inline"\nprovider = "glm"  # mine\nsince = 2027-01-31  # new\n\n'
        '[profiles.x.codex]\nmodle = "m"\nurl = "https://h/v1"\n\n[[profiles.x.steps]]\nrun = ["a"]\n'
    )
    named: list[str] = []
    (old,) = profiles.parse(text, "f", CLIENTS, named).values()
    assert [said.partition(": ")[2].split(":")[0] for said in named] == [
        "profiles.x.since",
        "profiles.x.steps",
        "profiles.x.codex.modle",
    ]
    assert named[0].startswith("f:4:1: ")
    new = old._replace(region="cn", parts={"codex": Part(primary_model="p"), "claude-code": Part()})
    changed = tomldoc.apply(text, profiles.save(new, old))
    data = tomldoc.parse(changed)["profiles"]["x"]
    assert data.pop("steps") == [{"run": ["a"]}]
    assert str(data.pop("since")) == "2027-01-31"
    assert data["codex"].pop("modle") == "m"
    assert data == {**new.setting(), "provider": "glm"}
    assert '"glm"  # mine\nsince = 2027-01-31  # new\n' in changed
    assert profiles.parse(changed, "f", CLIENTS)["x"] == new
    named.clear()
    assert profiles.parse("colour = 1\n" + changed + "[defaults]\n", "f", CLIENTS, named)["x"] == new
    assert named[0].startswith("f:1:1: colour: this is not known")
    assert "defaults" in named[1]
    copied = tomldoc.apply(changed, profiles.save(new._replace(name="y")))
    assert profiles.parse(copied, "f", CLIENTS)["y"] == new._replace(name="y")


@pytest.mark.parametrize(("text", "where"), [("[profiles", "f:1:"), ("profiles = 7\n", "f:1:12: profiles: ")])
def test_bad_files(text: str, where: str) -> None:
    """What is no table of profiles at all is named with file, line and column."""
    with pytest.raises(DocumentError, match=where):
        profiles.parse(text, "f", CLIENTS)


@pytest.mark.parametrize("name", ["a", "Z9", "a-b_c", "0", "a" * 64])
def test_good_names(name: str) -> None:
    """Letters, digits, - and _ make a name: Codex takes no others for --profile."""
    profiles.check_name(name)


@pytest.mark.parametrize(
    "name", ["", "-a", "_a", "a.b", "a/b", "../a", "a b", "a\n", "é", "智", "a" * 65, "official", "all", "relay"]
)
def test_bad_names(name: str) -> None:
    """Anything that could be a path, an option or a word of ours is no name."""
    with pytest.raises(UsageError):
        profiles.check_name(name)


CLAUDE_URLS = [
    ("https://h", "https://h"),
    ("https://h/", "https://h"),
    (" https://h/anthropic// ", "https://h/anthropic"),
    ("https://h/v1", "https://h"),
    ("https://h/api/v1/", "https://h/api"),
    ("https://h/v1/messages", "https://h"),
    ("https://h/anthropic/v1/messages/", "https://h/anthropic"),
    ("https://h/v1beta", "https://h/v1beta"),
]
CODEX_URLS = [
    ("https://h/v1", "https://h/v1"),
    ("https://h/v1/", "https://h/v1"),
    ("https://h/v1/responses", "https://h/v1"),
    ("https://h/v1/chat/completions", "https://h/v1"),
    ("https://h", "https://h"),
]


@pytest.mark.parametrize(("url", "wanted"), CLAUDE_URLS)
def test_claude_url(url: str, wanted: str) -> None:
    """Claude Code adds /v1/messages itself, so what a user copied of it goes; a second time changes nothing."""
    assert urls.base(url, "anthropic") == wanted
    assert urls.base(wanted, "anthropic") == wanted


@pytest.mark.parametrize(("url", "wanted"), CODEX_URLS)
def test_codex_url(url: str, wanted: str) -> None:
    """Codex adds /responses itself, so what a user copied of it goes; a second time changes nothing."""
    assert urls.base(url, "responses") == wanted
    assert urls.base(wanted, "responses") == wanted


def test_claude_takes_the_preset() -> None:
    """A profile without choices of its own is the preset's endpoint."""
    assert CLIENTS["claude-code"].endpoint(profile(), preset()) == CLAUDE


def test_tiers_follow_the_primary_model() -> None:
    """A tier that the preset gives the primary model follows the profile's primary; others stay; own choices win."""
    assert CLIENTS["claude-code"].endpoint(profile(primary_model="x"), preset()).models == Tiers(
        "x", "small", "x", "huge", "x", "small"
    )
    own = profile(primary_model="x", haiku_model="h", opus_model="o", subagent_model="s")
    assert CLIENTS["claude-code"].endpoint(own, preset()).models == Tiers("x", "h", "x", "o", "x", "s")
    bare = preset(CLAUDE._replace(models=None))
    assert CLIENTS["claude-code"].endpoint(profile(primary_model="x"), bare).models == Tiers(
        "x", "x", "x", "x", "x", "x"
    )


@pytest.mark.parametrize(
    ("part", "window"),
    [
        ({}, 300_000),
        ({"primary_model": "known"}, 64_000),
        ({"primary_model": "unheard-of"}, profiles.UNKNOWN_CONTEXT),
        ({"primary_model": "claude-sonnet-4-5"}, None),
        ({"primary_model": "anthropic/claude-sonnet-4.5"}, None),
        ({"primary_model": "known", "context_window": 5000}, 5000),
    ],
)
def test_claude_context_window(part: dict[str, object], window: int | None) -> None:
    """The window is the user's, the preset's for its models, a careful guess for others, Claude's own for its ids."""
    assert CLIENTS["claude-code"].endpoint(profile(**part), preset()).context_window == window


def test_codex_takes_the_preset_and_the_profile() -> None:
    """A profile without choices is the preset's endpoint; an own model gets its own window."""
    assert CLIENTS["codex"].endpoint(profile(), preset()) == CODEX
    assert CLIENTS["codex"].endpoint(profile(primary_model="known"), preset()).context_window == 64_000
    assert CLIENTS["codex"].endpoint(profile(primary_model="x"), preset()).context_window == profiles.UNKNOWN_CONTEXT
    assert CLIENTS["codex"].endpoint(profile(url="https://o.example/v1/"), preset()).base_url == "https://o.example/v1"


def test_what_is_missing_is_said() -> None:
    """Without a URL, a model or an endpoint the error says which, and which option gives it."""
    bare = preset(CLAUDE._replace(base_url="", models=None), CODEX._replace(base_url="", model=""))
    none = preset(Unsupported("why"), Unsupported("why"))
    for resolve in (CLIENTS["claude-code"].endpoint, CLIENTS["codex"].endpoint):
        for one, text in ((profile(), "-u URL"), (profile(url="https://h.example/x"), "-M MODEL")):
            with pytest.raises(UsageError) as caught:
                resolve(one, bare)
            assert text in caught.value.hint
        with pytest.raises(CcsetupError, match="why") as refused:
            resolve(profile(), none)
        assert "--via-relay" in refused.value.hint
        assert (
            resolve(profile(url="https://relay.example/x", primary_model="m"), none).base_url
            == "https://relay.example/x"
        )


def test_an_unknown_region_is_said() -> None:
    """The error names the regions that there are."""
    with pytest.raises(UsageError, match="Valid regions: r"):
        CLIENTS["claude-code"].endpoint(profile()._replace(region="mars"), preset())


def test_a_relay_in_front_of_a_chat_provider() -> None:
    """Chat stays chat at the provider's own host; another host is a relay, which speaks Responses."""
    chat = preset(codex=CODEX._replace(wire="chat", reason="only chat"))
    assert CLIENTS["codex"].endpoint(profile(), chat).wire == "chat"
    assert CLIENTS["codex"].endpoint(profile(url="https://p.example/other"), chat).wire == "chat"
    assert CLIENTS["codex"].endpoint(profile(url="http://127.0.0.1:1/v1"), chat).wire == "responses"


def test_printable() -> None:
    """Text from a command line or a file is made harmless and short before it is shown."""
    assert printable("a\x1b[31m\n") == "a\ufffd[31m\ufffd"
    assert printable("x" * 100, 10) == "x" * 9 + "…"
