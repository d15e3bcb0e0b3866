"""Which upstreams may answer for a model: its owner first, then whoever the file lets answer for it."""

from __future__ import annotations

from typing import Any

import pytest

from ccsetup.clients.claude import picker
from ccsetup.keys.reference import KeyRef
from ccsetup.relay.config.model import Config, Upstream
from ccsetup.relay.config.rules import DEFAULT_RULES
from ccsetup.relay.routing import routes
from ccsetup.relay.routing.choice import Ask, Failure
from ccsetup.relay.routing.failover import Pool

NOW = 1_800_000_000.0


def upstream(name: str, **fields: Any) -> Upstream:
    return Upstream(name, {"chat": f"https://{name}.example/v1"}, (KeyRef("env", name),), **fields)


GLM = upstream("glm", default_model="glm-5.3", map=(("glm-air", "glm-air"), ("claude-*haiku*", "glm-air")))
DEEPSEEK = upstream("deepseek", group="backup", default_model="flash", map=(("pro", "pro"), ("glm-5.3", "pro")))
OPEN = upstream("router", group="backup", models=("z/*", "glm/glm-5.3"))
LOCAL = upstream("local", models=("qwen-*",))
ANY = upstream("any")
ALL = [GLM, DEEPSEEK, OPEN, LOCAL]


@pytest.mark.parametrize(
    ("among", "asked", "expected"),
    [
        # The owner, then the others with what the file says that they answer.
        ([GLM, DEEPSEEK], "glm-5.3", ["glm:glm-5.3", "deepseek:pro"]),
        ([GLM, DEEPSEEK], "flash", ["deepseek:flash", "glm:glm-5.3"]),
        ([GLM, DEEPSEEK], "pro", ["deepseek:pro", "glm:glm-5.3"]),
        ([GLM, DEEPSEEK], "glm-air", ["glm:glm-air", "deepseek:flash"]),
        # Names that the clients ask for by themselves, in the order of the file.
        ([GLM, DEEPSEEK], "claude-opus-5", ["glm:glm-5.3", "deepseek:flash"]),
        ([GLM, DEEPSEEK], "claude-haiku-5", ["glm:glm-air", "deepseek:flash"]),
        ([GLM, DEEPSEEK], "gpt-5.6-codex", ["glm:glm-5.3", "deepseek:flash"]),
        ([GLM, DEEPSEEK], "o4-mini", ["glm:glm-5.3", "deepseek:flash"]),
        # What nobody knows goes nowhere, unless one takes every name as it is.
        ([GLM, DEEPSEEK], "gl-5.3", []),
        ([GLM, DEEPSEEK], "omega", []),
        ([GLM, ANY], "omega", ["any:omega"]),
        ([GLM, ANY], "flash", ["any:flash"]),
        # Names and patterns in models; an id with a slash that somebody owns is no upstream's name.
        (ALL, "qwen-max", ["local:qwen-max", "glm:glm-5.3", "deepseek:flash"]),
        (ALL, "z/one", ["router:z/one", "glm:glm-5.3", "deepseek:flash"]),
        (ALL, "glm/glm-5.3", ["router:glm/glm-5.3", "glm:glm-5.3", "deepseek:flash"]),
        # One by its name, then as for the model alone.
        ([GLM, DEEPSEEK], "deepseek/glm-5.3", ["deepseek:pro", "glm:glm-5.3"]),
        ([GLM, DEEPSEEK], "deepseek/claude-opus-5", ["deepseek:flash", "glm:glm-5.3"]),
        ([GLM, DEEPSEEK], "deepseek/omega", []),
        ([GLM, ANY], "any/omega", ["any:omega"]),
        ([GLM, DEEPSEEK], "nobody/flash", []),
        # A name that a map alone knows belongs to who has the map.
        ([GLM, upstream("b", map=(("fast", "x"),), default_model="y")], "fast", ["b:x", "glm:glm-5.3"]),
        ([GLM, upstream("b", group="backup", map=(("fast", "x"),))], "fast", ["glm:glm-5.3", "b:x"]),
        # A model that somebody has, with thinking; a name of its own comes first.
        (ALL, "glm-5.3-thinking", ["glm:glm-5.3+", "deepseek:pro+"]),
        (ALL, "flash-thinking", ["deepseek:flash+", "glm:glm-5.3+"]),
        ([GLM, ANY], "glm-air-thinking", ["glm:glm-air+", "any:glm-air+"]),
        ([GLM, ANY], "omega-thinking", ["any:omega-thinking"]),
        ([GLM, DEEPSEEK], "omega-thinking", []),
        ([GLM, DEEPSEEK], "glm-5.3-thinking-thinking", []),
        ([GLM, DEEPSEEK], "glm-5.3-Thinking", []),
        (ALL, "qwen-max-thinking", ["local:qwen-max-thinking", "glm:glm-5.3", "deepseek:flash"]),
        ([GLM, upstream("b", models=("glm-5.3-thinking",))], "glm-5.3-thinking",
         ["b:glm-5.3-thinking", "glm:glm-5.3"]),
        ([GLM, upstream("b", models=("claude-opus-5",))], "claude-opus-5-thinking",
         ["b:claude-opus-5+", "glm:glm-5.3+"]),
        ([GLM, DEEPSEEK], "claude-opus-5-thinking", ["glm:glm-5.3", "deepseek:flash"]),
        ([GLM, DEEPSEEK], "deepseek/flash-thinking", ["deepseek:flash+", "glm:glm-5.3+"]),
        ([GLM, DEEPSEEK], "deepseek/glm-5.3-thinking", ["deepseek:pro+", "glm:glm-5.3+"]),
        ([GLM, ANY], "any/omega-thinking", ["any:omega-thinking"]),
        (ALL, "glm/glm-5.3-thinking", ["router:glm/glm-5.3+", "glm:glm-5.3+", "deepseek:flash+"]),
        ([GLM._replace(enabled=False), DEEPSEEK], "glm-air-thinking", []),
        ([upstream("k", default_model="k2", map=(("k*", "*"),))], "k2-thinking", ["k:k2-thinking"]),
        # Who is switched off owns nothing.
        ([GLM, DEEPSEEK._replace(enabled=False)], "flash", []),
    ],
)  # fmt: skip
def test_where_a_model_goes(among: list[Upstream], asked: str, expected: list[str]) -> None:
    found = [
        f"{r.upstream.name}:{r.model}{'+' * r.thinking}" for r in routes.routes(among, asked) if r.upstream.enabled
    ]
    assert found == expected


@pytest.mark.parametrize("among", [[GLM, DEEPSEEK], [DEEPSEEK, GLM], ALL, [*ALL, ANY], [OPEN, LOCAL, DEEPSEEK]])
def test_what_is_advertised_is_served_by_its_owner(among: list[Upstream]) -> None:
    """Each id of the list goes first to the upstream that the list names, under its own name or the map's."""
    pool = Pool(Config(tuple(among), rules=DEFAULT_RULES))
    for name, owner in routes.advertised(among).items():
        choice = pool.turn(Ask("chat", name), NOW).next(NOW)
        assert choice is not None, name
        assert (choice.upstream.name, choice.instead) == (owner, False)
        if name in routes.own_ids(choice.upstream):
            assert choice.model == name


@pytest.mark.parametrize(
    "among", [[GLM, DEEPSEEK], ALL, [*ALL, ANY], [GLM, upstream("b", models=("glm-5.3-thinking",))]]
)
def test_each_model_of_the_list_is_served_with_thinking_and_listed_once(among: list[Upstream]) -> None:
    """Pickers have it once: a client switches thinking itself.  An id of that name that somebody owns is a model."""
    found = routes.listing(among)
    owned = {name for one in among for name in routes.own_ids(one)}
    for name, route in found.items():
        thinking = name + routes.THINKING
        if thinking in owned:
            assert found[thinking].thinking is False
            continue
        assert thinking not in found
        for asked in (thinking, picker.listed(name, 0) + routes.THINKING):
            first = routes.routes(among, asked)[0]
            assert (first.upstream.name, first.model, first.thinking) == (route.upstream.name, route.model, True)


def test_another_one_answers_when_the_owner_fails_and_it_is_told() -> None:
    pool = Pool(Config((GLM, DEEPSEEK), rules=DEFAULT_RULES))
    turn = pool.turn(Ask("chat", "flash"), NOW)
    first = turn.next(NOW)
    assert first is not None
    assert (first.upstream.name, first.instead) == ("deepseek", False)
    assert turn.failed(Failure("connect"), NOW).again
    second = turn.next(NOW)
    assert second is not None
    assert (second.upstream.name, second.model, second.instead) == ("glm", "glm-5.3", True)


def test_the_only_one_for_a_model_is_asked_though_it_rests() -> None:
    """Another upstream that cannot answer for the model does not count; with two that can, the rest holds."""
    other = upstream("other", models=("x-*",))
    for among, expected in (((LOCAL, other), "local"), ((LOCAL, upstream("two", models=("qwen-max",))), "two")):
        pool = Pool(Config(among, rules=DEFAULT_RULES))
        turn = pool.turn(Ask("chat", "qwen-max"), NOW)
        while turn.next(NOW) is not None and turn.failed(Failure("status", 429), NOW).again:
            if expected == "two":
                break
        turn.finished(NOW)
        choice = pool.turn(Ask("chat", "qwen-max"), NOW + 1).next(NOW + 1)
        assert choice is not None
        assert choice.upstream.name == expected


def test_a_rest_is_over_when_the_clock_was_set_back() -> None:
    """No rest lasts longer than the longest one that there is."""
    pool = Pool(Config((LOCAL, upstream("two", models=("qwen-*",))), rules=DEFAULT_RULES))
    turn = pool.turn(Ask("chat", "qwen-max"), NOW)
    assert turn.next(NOW) is not None
    turn.failed(Failure("status", 429), NOW)
    turn.finished(NOW)
    assert [rest.upstream for rest in pool.rests(NOW)] == ["local"]
    assert not pool.rests(NOW - 86_400)
    choice = pool.turn(Ask("chat", "qwen-max"), NOW - 86_400).next(NOW - 86_400)
    assert choice is not None
    assert choice.upstream.name == "local"


def test_an_id_that_means_two_things_is_found() -> None:
    assert routes.ambiguous(ALL) == [("glm/glm-5.3", "router", "glm")]
    assert routes.ambiguous([GLM, DEEPSEEK]) == []


@pytest.mark.parametrize(
    ("model", "shown"),
    [
        ("glm-5.3", "ccsetup-claude/glm-5.3"),
        ("kimi/kimi-k3", "ccsetup-claude/kimi/kimi-k3"),
        ("openrouter/Qwen/Qwen3-Coder:free", "ccsetup-claude/openrouter/Qwen/Qwen3-Coder:free"),
        ("deepseek-v4-pro@20261101", "ccsetup-claude/deepseek-v4-pro@20261101"),
        ("模型-5.3 Preview", "ccsetup-claude/模型-5.3 Preview"),
        ("accounts/fireworks/models/k3p1", "ccsetup-claude/accounts/fireworks/models/k3p1"),
        # It shows these as they are.
        ("claude-opus-5-5", "claude-opus-5-5"),
        ("Anthropic/Claude-4.5:beta", "Anthropic/Claude-4.5:beta"),
        ("ccsetup-claude/glm-5.3", "ccsetup-claude/glm-5.3"),
    ],
)
def test_the_id_of_claude_codes_picker_asks_for_the_model(model: str, shown: str) -> None:
    """Whatever characters an id has, it comes back, with its window told or not, and whoever else serves all."""
    among = [ANY, upstream("own", models=(model,)), GLM]
    expected = [(route.upstream.name, route.model) for route in routes.routes(among, model)]
    assert expected[0] == ("own", model)
    for window in (0, 128_000, 999_999, 1_000_000, 2_000_000):
        id = picker.listed(model, window)
        assert id == shown + ("[1m]" if window >= 1_000_000 and shown != model else "")
        for asked in (id, id.removesuffix("[1m]")):  # Claude Code takes the suffix away, others send the id as it is
            assert [(route.upstream.name, route.model) for route in routes.routes(among, asked)] == expected


def test_a_listing_has_every_model_of_every_upstream() -> None:
    """By its own id where its upstream owns that, else by the upstream's name; nothing of one that is switched off."""
    second = upstream("second", default_model="flash", map=(("glm-5.3", "glm-5.3"), ("other", "flash")))
    among = [GLM, DEEPSEEK, LOCAL, second, upstream("off", default_model="gone", enabled=False)]
    found = {id: (route.upstream.name, route.model) for id, route in routes.listing(among).items()}
    assert found == {
        "glm-air": ("glm", "glm-air"),
        "glm-5.3": ("glm", "glm-5.3"),
        "pro": ("deepseek", "pro"),
        "flash": ("second", "flash"),
        "other": ("second", "flash"),
        "deepseek/flash": ("deepseek", "flash"),
        "second/glm-5.3": ("second", "glm-5.3"),
    }
