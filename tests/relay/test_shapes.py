"""Recorded requests of the real clients on every path: what the upstream gets is of its format, and nothing is lost
without being named.

The files in ``tests/data/relay`` are requests of Claude Code 2.1.329, of 2.1.197 (``older``) and of Codex 0.169.0; the
clients' own texts in them were replaced by ``support/recording.py``.  The second requests follow on calls of tools of
every kind.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from relay.conform import faults
from support.recording import clean
from support.relay import Relay, upstream
from support.scripted import WIRES, Said, Scripted

from ccsetup.model import WireFormat
from ccsetup.relay.config import dialects as dialects_module
from ccsetup.relay.config.model import Upstream
from ccsetup.relay.reporting import explain
from ccsetup.relay.wire.messages import Dialect

DATA = Path(__file__).parents[1] / "data/relay"


class Recorded(NamedTuple):
    name: str
    wire: WireFormat
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def _recorded() -> list[Recorded]:
    found = []
    for path in sorted(DATA.glob("*-request.json")):
        wire: WireFormat = "anthropic" if "-messages-" in path.name else "responses"
        found.append(Recorded(path.stem, wire, path.read_bytes()))
    return found


RECORDED = _recorded()
DIALECTS = {
    "plain": Dialect(),
    "official": Dialect(official=True, developer=True, max_tokens_field="max_completion_tokens"),
    "thinking": Dialect(thinking_switch="thinking"),
    "effort": Dialect(thinking_switch="reasoning_effort"),
    "poor": Dialect(
        images=False, system_between=False, stream_usage=False, reasoning_field="", structured=False, max_output=4096
    ),
}
recorded = pytest.mark.parametrize("request_", RECORDED, ids=[each.name for each in RECORDED])
dialects = pytest.mark.parametrize("dialect", DIALECTS.values(), ids=list(DIALECTS))
wires = pytest.mark.parametrize("wire", WIRES)


def _explained(recorded: Recorded, wire: WireFormat, dialect: Dialect) -> explain.Explanation:
    if wire == "anthropic" and dialect.max_output is None:
        dialect = dialect._replace(max_output=32000)  # as every Messages upstream has one
    up = Upstream("up", {wire: "http://up"}, (), dialect={wire: dialect})
    return explain.explain(recorded.wire, recorded.body, up, wire)


def test_there_are_recorded_requests() -> None:
    """Both clients, and of both a request that follows on calls of tools."""
    assert {each.name.rpartition("-request")[0] for each in RECORDED} == {
        "claude-code-older-messages",
        "claude-code-messages",
        "claude-code-messages-second",
        "codex-responses",
        "codex-responses-second",
    }


@recorded
def test_no_text_of_the_client_is_kept(request_: Recorded) -> None:
    """What the client tells a model is its maker's: a new recording is cleaned before it is added."""
    assert clean(request_.json) == request_.json


@recorded
@wires
@dialects
def test_the_upstream_gets_a_request_of_its_format(request_: Recorded, wire: WireFormat, dialect: Dialect) -> None:
    """By the SDKs' types and the providers' rules, whatever the upstream is like."""
    if wire == request_.wire:
        return
    body = json.loads(_explained(request_, wire, dialect).body)
    assert faults(wire, body) == []
    assert body["stream"] is True


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every text in *value* with its path, and the names of members of schemas."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from _leaves(each, f"{path}[{number}]")
    elif isinstance(value, dict):
        for name, each in value.items():
            at = f"{path}.{name}" if path else name
            if ".properties" in path and path.endswith("properties"):
                yield at, name
            yield from _leaves(each, at)


_OF_THE_FORMAT = re.compile(
    r"(^|\.)(type|role|status|object)$"  # words of the format
    r"|^input\[\d+\]\.id$"  # of items: the calls' own ids are call_id
    r"|^include\[0\]$"  # reasoning.encrypted_content, which the relay takes care of itself
    r"|\.\$schema$"
    r"|^thinking\.display$"  # becomes reasoning.summary, or nothing where thinking is not shown
    r"|^tools\[\d+\]\.name$"  # a namespace: its tools' names begin with it
)
_OTHER_NAMES = {
    "metadata.user_id": "user",
    # Messages are numbered as in the neutral form: what an assistant did in one go is one message.
    "input[4]": "messages[2]",
    "tools[6]": "tools[apply_patch]",
}
"""What the list of losses calls a place."""


def _carried(text: str, there: str) -> bool:
    """Tell whether *text* is a part of *there*, perhaps inside JSON; of JSON, whether its texts are."""
    if text in there or json.dumps(text, ensure_ascii=False)[1:-1] in there:
        return True
    return text.startswith("{") and all(_carried(each, there) for _path, each in _leaves(json.loads(text)))


def _named(path: str, losses: list[str]) -> bool:
    other = next((path.replace(own, name, 1) for own, name in _OTHER_NAMES.items() if path.startswith(own)), path)
    return any(
        place == loss or place.startswith((loss + ".", loss + "[")) or loss.startswith(place + ".")
        for place in (path, other, other.partition(".")[0])
        for loss in losses
    )


@recorded
@wires
@dialects
def test_nothing_is_lost_without_being_named(request_: Recorded, wire: WireFormat, dialect: Dialect) -> None:
    """Every text of the request is in what the upstream gets, or stands in the list of losses."""
    if wire == request_.wire:
        return
    done = _explained(request_, wire, dialect)
    there = "\n".join(text for _path, text in _leaves(json.loads(done.body)))
    lost = [path for path, _sentence in done.losses]
    if not dialect.system_between:  # folding moves the messages
        lost += [re.sub(r"^messages\[\d+\].*", f"messages[{n}]", path) for path in lost for n in range(4)]
    missing = [
        (path, text)
        for path, text in _leaves(request_.json)
        if not _OF_THE_FORMAT.search(path) and not _carried(text, there) and not _named(path, lost)
    ]
    assert missing == []


@recorded
@wires
def test_the_relay_sends_what_explain_shows(
    running: tuple[Relay, Scripted], request_: Recorded, wire: WireFormat
) -> None:
    """The very bytes; in the same format, the client's."""
    relay, up = running
    path = "/v1/messages?beta=true" if request_.wire == "anthropic" else "/v1/responses"
    body = json.dumps({**request_.json, "model": f"m-{wire}"}).encode()
    up.say(Said("good"))
    got = relay.post(path, body, headers={"anthropic-version": "2023-06-01", "anthropic-beta": "a-2025-01-01"})
    assert got.status == 200, got
    [seen] = up.requests
    up.clear()
    dialect = dialects_of(wire)
    explained = explain.explain(request_.wire, body, Upstream("one", {wire: "http://up"}, (), dialect=dialect), wire)
    assert seen.body == explained.body
    # The header and the members that belong to it go together: both, or in another format none.
    assert ("anthropic-beta" in seen.headers) == (wire == request_.wire == "anthropic")
    if wire == request_.wire:
        assert seen.body == body


def dialects_of(wire: WireFormat) -> dict[WireFormat, Dialect]:
    return {wire: dialects_module.dialect(None, "", wire, "http://127.0.0.1:1")}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Relay, Scripted]]:
    with Scripted() as up:
        entries = [upstream(wire, up.url(wire), wire, "sk-up-0123456789", models=[f"m-{wire}"]) for wire in WIRES]
        with Relay(tmp_path_factory.mktemp("relay"), entries) as relay:
            yield relay, up


_GOOD: dict[WireFormat, Any] = {
    "anthropic": {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "a"}]},
    "responses": {"model": "m", "input": [{"role": "user", "content": "a"}]},
    "chat": {"model": "m", "messages": [{"role": "user", "content": "a"}]},
}
_USE = {"type": "tool_use", "id": "c", "name": "f", "input": {}}
_CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
_CHAT_CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}


@pytest.mark.parametrize(
    ("wire", "change"),
    [
        ("anthropic", {"cache_key": "x"}),
        ("anthropic", {"max_tokens": None}),
        ("anthropic", {"messages": [{"role": "user", "content": [{"type": "text", "text": "a", "x": 1}]}]}),
        ("anthropic", {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": [_USE]}]}),
        ("anthropic", {"tools": [{"name": "a.b", "input_schema": {"type": "object"}}]}),
        ("anthropic", {"system": [{"type": "input_text", "text": "a"}]}),
        ("responses", {"messages": []}),
        ("responses", {"input": [{"role": "user", "content": [{"type": "text", "text": "a"}]}]}),
        ("responses", {"input": [_CALL]}),
        ("responses", {"tools": [{"type": "function", "parameters": {}}]}),
        ("chat", {"messages": [{"role": "user", "content": [{"type": "input_text", "text": "a"}]}]}),
        ("chat", {"messages": [{"role": "assistant", "tool_calls": [_CHAT_CALL]}]}),
        ("chat", {"messages": [{"role": "tool", "tool_call_id": "c", "content": "a"}]}),
        ("chat", {"tool_choice": "auto"}),
        ("chat", {"metadata": 5}),
    ],
)
def test_the_check_finds_faults(wire: WireFormat, change: dict[str, Any]) -> None:
    """A good request has none; one with a fault has one."""
    assert faults(wire, _GOOD[wire]) == []
    assert faults(wire, _GOOD[wire] | change)
