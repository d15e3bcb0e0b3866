"""Where the reserved ids lead: to the target of their use, else to the default's, else to whoever is first."""

from __future__ import annotations

from typing import Any

import pytest

from ccsetup.keys.reference import KeyRef
from ccsetup.relay.config.model import Config, Upstream
from ccsetup.relay.config.rules import DEFAULT_RULES
from ccsetup.relay.config.switchboard import Switchboard
from ccsetup.relay.routing import routes
from ccsetup.relay.routing.choice import Ask, Failure
from ccsetup.relay.routing.failover import Pool

NOW = 1_800_000_000.0


def upstream(name: str, **fields: Any) -> Upstream:
    return Upstream(name, {"chat": f"https://{name}.example/v1"}, (KeyRef("env", name),), **fields)


GLM = upstream(
    "glm",
    default_model="glm-5.3",
    map=(("glm-air", "glm-air"), ("claude-*haiku*", "glm-air")),
    context={"glm-5.3": 1_000_000, "glm-air": 1_000_000},
)
KIMI = upstream("kimi", group="backup", default_model="kimi-k3", context={"kimi-k3": 128_000})
NATIVE = upstream(
    "native",
    default_model="claude-sonnet-5",
    map=(("claude-*", "*"), ("gpt-*", "claude-sonnet-5")),
    context={"claude-opus-5": 1_000_000, "claude-haiku-5": 200_000, "claude-sonnet-5": 200_000},
)
APART = upstream("apart", models=("qwen-max", "qwen-small"))
OPEN = upstream("open")
OFF = upstream("off", enabled=False, default_model="off-1")
TWO = [GLM, KIMI]


def led(among: list[Upstream], asked: str, **board: Any) -> list[str]:
    found = routes.routes(among, asked, Switchboard(**board))
    return [f"{r.upstream.name}:{r.model}{'+' if r.thinking else ''}" for r in found]


@pytest.mark.parametrize(
    ("among", "asked", "board", "expected"),
    [
        # Nothing set: as a name of a client's own.
        (TWO, "ccsetup-default", {}, ["glm:glm-5.3", "kimi:kimi-k3"]),
        (TWO, "ccsetup-opus", {}, ["glm:glm-5.3", "kimi:kimi-k3"]),
        (TWO, "ccsetup-haiku", {}, ["glm:glm-air", "kimi:kimi-k3"]),
        (TWO, "ccsetup-subagent", {}, ["glm:glm-5.3", "kimi:kimi-k3"]),
        ([NATIVE, GLM], "ccsetup-default", {}, ["native:claude-sonnet-5", "glm:glm-5.3"]),
        ([NATIVE, GLM], "ccsetup-opus", {}, ["native:claude-opus-5", "glm:glm-5.3"]),
        ([NATIVE, GLM], "ccsetup-fable", {}, ["native:claude-sonnet-5", "glm:glm-5.3"]),
        # Who is only for models of its own is first for nobody else, unless there is nobody else.
        ([APART, GLM], "ccsetup-default", {}, ["glm:glm-5.3"]),
        ([APART], "ccsetup-default", {}, ["apart:qwen-max"]),
        ([OPEN, GLM], "ccsetup-default", {}, ["glm:glm-5.3"]),
        ([OPEN], "ccsetup-default", {}, []),
        # A default, by the three ways to write it.
        (TWO, "ccsetup-default", {"default": "kimi"}, ["kimi:kimi-k3", "glm:glm-5.3"]),
        (TWO, "ccsetup-opus", {"default": "kimi"}, ["kimi:kimi-k3", "glm:glm-5.3"]),
        (TWO, "ccsetup-haiku", {"default": "kimi"}, ["kimi:kimi-k3", "glm:glm-air"]),
        (TWO, "ccsetup-haiku", {"default": "glm"}, ["glm:glm-air", "kimi:kimi-k3"]),
        (TWO, "ccsetup-default", {"default": "glm/glm-air"}, ["glm:glm-air", "kimi:kimi-k3"]),
        (TWO, "ccsetup-default", {"default": "glm-air"}, ["glm:glm-air", "kimi:kimi-k3"]),
        ([GLM, APART], "ccsetup-default", {"default": "apart"}, ["apart:qwen-max", "glm:glm-5.3"]),
        ([GLM, APART], "ccsetup-default", {"default": "qwen-small"}, ["apart:qwen-small", "glm:glm-5.3"]),
        ([GLM, OPEN], "ccsetup-default", {"default": "open/any/thing"}, ["open:any/thing", "glm:glm-5.3"]),
        # Thinking, of the target or of what is asked for.
        (TWO, "ccsetup-default", {"default": "kimi/kimi-k3-thinking"}, ["kimi:kimi-k3+", "glm:glm-5.3"]),
        (TWO, "ccsetup-opus-thinking", {"default": "kimi"}, ["kimi:kimi-k3+", "glm:glm-5.3"]),
        (TWO, "ccsetup-opus-thinking", {}, ["glm:glm-5.3+", "kimi:kimi-k3+"]),
        (TWO, "ccsetup-claude/ccsetup-opus[1m]", {"tiers": {"opus": "kimi"}}, ["kimi:kimi-k3", "glm:glm-5.3"]),
        # A tier of its own; the others stay with the default.
        (TWO, "ccsetup-opus", {"default": "glm", "tiers": {"opus": "kimi"}}, ["kimi:kimi-k3", "glm:glm-5.3"]),
        (TWO, "ccsetup-sonnet", {"default": "glm", "tiers": {"opus": "kimi"}}, ["glm:glm-5.3", "kimi:kimi-k3"]),
        # What is gone is as if it were not set.
        (TWO, "ccsetup-opus", {"default": "kimi", "tiers": {"opus": "old"}}, ["kimi:kimi-k3", "glm:glm-5.3"]),
        (TWO, "ccsetup-default", {"default": "old/old-1"}, ["glm:glm-5.3", "kimi:kimi-k3"]),
        (TWO, "ccsetup-default", {"default": "glm/claude-opus-9"}, ["glm:glm-5.3", "kimi:kimi-k3"]),
        ([*TWO, OFF], "ccsetup-default", {"default": "off"}, ["glm:glm-5.3", "kimi:kimi-k3", "off:off-1"]),
        ([GLM, OPEN], "ccsetup-default", {"default": "open"}, ["glm:glm-5.3"]),
        (TWO, "kimi-k3", {"all": "old"}, ["kimi:kimi-k3", "glm:glm-5.3"]),
        # What is picked in a client stays with its owner, but for a target for all.
        (TWO, "glm-air", {"default": "kimi", "tiers": {"haiku": "kimi"}}, ["glm:glm-air", "kimi:kimi-k3"]),
        (TWO, "claude-opus-9", {"default": "kimi"}, ["glm:glm-5.3", "kimi:kimi-k3"]),
        (TWO, "glm-air", {"all": "kimi"}, ["kimi:kimi-k3", "glm:glm-air"]),
        (TWO, "glm/glm-air", {"all": "kimi"}, ["kimi:kimi-k3", "glm:glm-5.3"]),
        (TWO, "glm-5.3-thinking", {"all": "kimi"}, ["kimi:kimi-k3", "glm:glm-5.3"]),
        (TWO, "ccsetup-opus-thinking", {"all": "kimi"}, ["kimi:kimi-k3", "glm:glm-5.3"]),
        (TWO, "ccsetup-opus", {"all": "kimi", "tiers": {"opus": "glm"}}, ["kimi:kimi-k3", "glm:glm-5.3"]),
        (TWO, "claude-haiku-9", {"all": "glm"}, ["glm:glm-air", "kimi:kimi-k3"]),
        (TWO, "nobody-knows", {"all": "kimi"}, ["kimi:kimi-k3", "glm:glm-5.3"]),
        # A name that only looks like one of these.
        (TWO, "ccsetup-large", {"default": "kimi"}, []),
        (TWO, "CCSETUP-OPUS", {"default": "kimi"}, []),
    ],
)
def test_a_reserved_id_leads_where_the_switchboard_says(
    among: list[Upstream], asked: str, board: dict[str, Any], expected: list[str]
) -> None:
    """First the target, then the others as for a name of a client's own."""
    assert led(among, asked, **board) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("glm", "glm:"),
        ("kimi/kimi-k3", "kimi:kimi-k3"),
        ("kimi-k3", "kimi:kimi-k3"),
        ("glm/glm-air-thinking", "glm:glm-air"),
        ("open/x", "open:x"),
        ("x", ""),
        ("Glm", ""),
        ("glm/", ""),
        ("/glm-air", ""),
        ("kimi/glm-air", ""),
        ("kimi/claude-opus-9", ""),
        ("claude-opus-9", ""),
        ("off", ""),
        ("off/off-1", ""),
        ("ccsetup-opus", ""),
        ("", ""),
    ],
)
def test_a_target_is_an_upstream_or_a_model_that_one_has(text: str, expected: str) -> None:
    found = routes.target([GLM, KIMI, OPEN, OFF], text)
    assert ("" if found is None else f"{found.upstream.name}:{found.model}") == expected


def pool(*upstreams: Upstream, **board: Any) -> Pool:
    return Pool(Config(upstreams, rules=DEFAULT_RULES), board=Switchboard(**board))


def test_what_was_under_way_when_the_target_changed_keeps_no_conversation() -> None:
    """Its answer begins or ends after the switch; the next request goes where that leads."""
    ask = Ask("chat", "ccsetup-default", "c")
    for begun in (True, False):
        own = pool(GLM, upstream("mine", default_model="m"), default="mine")
        turn = own.turn(ask, NOW)
        choice = turn.next(NOW)
        assert choice is not None
        assert choice.upstream.name == "mine"
        for step in (turn.succeeded, own.steer) if begun else (own.steer, turn.succeeded):
            step(NOW if step == turn.succeeded else Switchboard())
        turn.finished(NOW + 1)
        choice = own.turn(ask, NOW + 2).next(NOW + 2)
        assert choice is not None
        assert choice.upstream.name == "glm"


def test_a_target_that_fails_is_followed_by_the_others() -> None:
    """As for every other name; the answer is one in the place of the target's."""
    turn = pool(*TWO, default="kimi").turn(Ask("chat", "ccsetup-opus"), NOW)
    first = turn.next(NOW)
    assert first is not None
    assert (first.upstream.name, first.model, first.instead) == ("kimi", "kimi-k3", False)
    assert turn.failed(Failure("status", 529), NOW).again
    second = turn.next(NOW)
    while second is not None and second.upstream.name == "kimi":
        turn.failed(Failure("status", 529), NOW)
        second = turn.next(NOW)
    assert second is not None
    assert (second.upstream.name, second.model, second.instead) == ("glm", "glm-5.3", True)


def test_a_conversation_goes_to_the_new_target_at_once() -> None:
    """The old one does not keep it, and what the old one signed is foreign there."""
    own = pool(*TWO, default="glm")
    ask = Ask("chat", "ccsetup-default", "c")
    turn = own.turn(ask, NOW)
    choice = turn.next(NOW)
    assert choice is not None
    assert choice.upstream.name == "glm"
    turn.succeeded(NOW)
    turn.finished(NOW)
    own.steer(Switchboard("kimi"))
    choice = own.turn(ask, NOW + 1).next(NOW + 1)
    assert choice is not None
    assert (choice.upstream.name, choice.moved) == ("kimi", True)


@pytest.mark.parametrize("failover", [(), ("glm",)])
def test_of_reserved_ids_it_is_known_who_answered_before(failover: tuple[str, ...]) -> None:
    """Also where one upstream alone may be asked now: another will be, after the next switch."""
    saved = tuple(one._replace(saved=True, group="primary") for one in TWO)
    own = Pool(Config(saved, rules=DEFAULT_RULES, profiles=True, failover=failover))
    for asked in ("ccsetup-default", "ccsetup-opus-thinking", "ccsetup-claude/ccsetup-haiku"):
        ask = Ask("chat", asked, asked)
        assert own.ways(ask).several
        own.steer(Switchboard("glm"))
        turn = own.turn(ask, NOW)
        assert (first := turn.next(NOW)) is not None
        assert (first.upstream.name, first.moved) == ("glm", False)
        turn.succeeded(NOW)
        turn.finished(NOW)
        own.steer(Switchboard("kimi"))
        assert (second := own.turn(ask, NOW).next(NOW)) is not None
        assert (second.upstream.name, second.moved) == ("kimi", True)
    assert own.ways(Ask("chat", "kimi-k3")).several is bool(failover)


@pytest.mark.parametrize(
    ("asked", "board", "tokens", "expected"),
    [
        ("ccsetup-default", {"default": "glm"}, 300_000, "glm"),
        ("ccsetup-default", {"default": "kimi"}, 100_000, "kimi"),
        ("ccsetup-default", {"default": "kimi"}, 300_000, ""),
        ("ccsetup-opus", {"tiers": {"opus": "kimi/kimi-k3"}}, 300_000, ""),
        ("glm-5.3", {"all": "kimi"}, 300_000, ""),
        # Nobody chose it: the larger window of another is as good.
        ("kimi-k3", {}, 300_000, "glm"),
        ("kimi-k3", {"default": "kimi"}, 300_000, "glm"),
        ("ccsetup-default", {}, 300_000, "glm"),
    ],
)
def test_what_the_chosen_model_cannot_take_goes_nowhere_else(
    asked: str, board: dict[str, Any], tokens: int, expected: str
) -> None:
    """So that the client compacts, and stays with what was chosen."""
    choice = pool(*TWO, **board).turn(Ask("chat", asked, tokens=tokens), NOW).next(NOW)
    assert ("" if choice is None else choice.upstream.name) == expected
