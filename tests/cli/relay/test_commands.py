"""``ccsetup relay`` key, check, stats and explain: what they print, and what they refuse."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from support import cc, usage
from support.emulator import Emulator
from support.terminal import Terminal

from ccsetup.profiles import reserved
from ccsetup.relay.store.sqlite import SqliteStore

KEY = "sk-test-0123456789abcdef"
CONFIG = ".config/ccsetup/relay.yaml"
KEYS = ".config/ccsetup/relay-keys.json"

TWO = """\
relay: 1
upstreams:
  - name: first
    url: http://127.0.0.1:9
    wire: anthropic
    key: {env: FIRST_KEY}
    default_model: one
  - name: second
    url: http://127.0.0.1:9/v1
    wire: chat
    key: {env: SECOND_KEY}
    group: backup
    models: [two, "claude-*"]
    map: {claude-x: two}
    default_model: two
"""


@pytest.fixture
def configured(home: Path) -> Path:
    cc.put(home, {CONFIG: TWO})
    return home


# Keys.


def test_key_is_shown_once(configured: Path) -> None:
    """add prints the key alone on standard output; the file and the list have its hash and its last characters."""
    empty = cc.main("relay", "key", "list")
    assert "ccsetup relay key add NAME" in empty.stdout
    made = cc.main("relay", "key", "add", "tom", "--upstreams", "second", "--budget-tokens", "1000", "--expires", "30d")
    assert made.ok, made
    key = made.stdout.strip()
    assert re.fullmatch(r"ccr-\w{43}", key)
    assert key not in made.stderr
    assert key not in (configured / KEYS).read_text()
    assert all(key.encode() not in data for data in cc.files(configured, records=True).values())
    row = cc.main("relay", "key", "list", "--json").json["result"]["keys"][0]
    assert (row["name"], row["state"], row["last4"], row["upstreams"]) == ("tom", "valid", key[-4:], ["second"])
    assert row["budget"]["tokens"] == 1000
    assert 29 * 86400 < row["expires"] - time.time() < 31 * 86400
    shown = cc.main("relay", "key", "list").stdout
    assert "1,000 tokens" in shown
    assert key not in shown


def test_key_as_json(configured: Path) -> None:
    """A script gets the key in the one JSON object."""
    made = cc.main("relay", "key", "add", "ci", "--json").json["result"]
    assert made["key"].startswith("ccr-")
    assert made["reloaded"] is False


def test_revoked_key_stays_listed(configured: Path) -> None:
    """revoke refuses the key from now on and keeps its name; twice is no error."""
    assert cc.main("relay", "key", "add", "tom").ok
    assert cc.main("relay", "key", "revoke", "tom").stdout.startswith("done")
    assert cc.main("relay", "key", "revoke", "tom").stdout.startswith("unchanged")
    assert cc.main("relay", "key", "list", "--json").json["result"]["keys"][0]["state"] == "revoked"


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (("add", "two words"), "cannot be the name of a key"),
        (("add", "tom", "--upstreams", "third"), "There are: first, second"),
        (("add", "tom", "--upstreams", ","), "There are: first, second"),
        (("add", "tom", "--expires", "soon"), "neither a time such as 30d"),
        (("add", "tom", "--expires", "2001-01-01"), "is over"),
        (("add", "tom", "--budget-tokens", "-1"), "--budget-tokens"),
        (("add", "tom", "--budget-cost", "1", "--budget-currency", "dollars"), "no code such as USD"),
        (("revoke", "nobody"), "no key called 'nobody'"),
    ],
)
def test_wrong_keys(configured: Path, argv: tuple[str, ...], text: str) -> None:
    """Every wrong input is one sentence, and no key is made."""
    done = cc.main("relay", "key", *argv)
    assert done.rc == 2, done
    assert text in done.stderr
    assert not (configured / KEYS).exists()


def test_name_that_is_taken(configured: Path) -> None:
    """A second key of one name is refused, and the first one stays."""
    assert cc.main("relay", "key", "add", "tom").ok
    before = (configured / KEYS).read_bytes()
    assert cc.main("relay", "key", "add", "tom").rc == 2
    assert (configured / KEYS).read_bytes() == before


# check.


def test_check_shows_every_way(configured: Path) -> None:
    """For each client format and model, the upstreams in their order, with format and model toward them."""
    done = cc.main("relay", "check", "--offline", "--json")
    assert done.ok, done
    ways = {(w["wire"], w["model"]): w["upstreams"] for w in done.json["result"]["ways"]}
    assert {m for _w, m in ways} == {*reserved.MODELS, "one", "two", "claude-x", "claude-*", "gpt-*", "*"}
    to_x = [(u["upstream"], u["wire"], u["model"]) for u in ways["anthropic", "claude-x"]]
    assert to_x == [("first", "anthropic", "one"), ("second", "chat", "two")]
    assert [u["upstream"] for u in ways["chat", "gpt-*"]] == ["first"]
    assert not ways["chat", "*"]
    shown = cc.main("relay", "check", "--offline").stdout
    assert "second: two (translated to chat, backup)" in shown
    assert "any other" in shown
    with Terminal(configured, "relay", "check", "--offline", size=(24, 60)) as terminal:
        assert terminal.ends() == 0
    assert max(len(row) for row in terminal.text.splitlines()) <= 60


def test_check_tests_every_endpoint(home: Path) -> None:
    """Each address of each upstream is tested with the upstream's key; keys are not shown."""
    with Emulator("siliconflow") as site:
        cc.put(home, {".config/ccsetup/presets/siliconflow.yaml": site.preset_yaml})
        argv = ("init", "-s", "-p", "siliconflow", "-k", site.key, "-T", "codex", "--via-relay", "--no-start")
        assert cc.main(*argv).ok
        site.play("good")
        good = cc.main("relay", "check", "--json")
        site.play("bad-key")
        bad = cc.main("relay", "check")
    assert good.rc == 0, good
    assert {t["label"] for t in good.json["result"]["targets"]} == {"siliconflow (anthropic)", "siliconflow (chat)"}
    assert bad.rc == 13, bad
    for output in (good.stdout, bad.stdout, bad.stderr):
        assert site.key not in output


def test_check_refuses_what_the_relay_would_refuse(configured: Path) -> None:
    """An address that others can reach, without keys or TLS, is exit 1 with the reasons; the fault has its place."""
    cc.put(configured, {CONFIG: TWO.replace("relay: 1", "relay: 1\nlisten: {host: 0.0.0.0}")})
    done = cc.main("relay", "check", "--offline")
    assert done.rc == 1
    assert "no client key" in done.stdout
    assert "TLS" in done.stdout
    cc.put(configured, {CONFIG: TWO.replace("wire: chat", "wire: chart")})
    wrong = cc.main("relay", "check", "--offline")
    assert wrong.rc == 1
    assert "relay.yaml:10:" in wrong.stderr
    assert "chat" in wrong.stderr


def test_check_tells_which_key_is_missing(configured: Path) -> None:
    """A key that cannot be read is named, and its upstream is a failure of the settings."""
    done = cc.run(configured, "relay", "check", "--quick", env={"FIRST_KEY": KEY})
    assert done.rc != 0
    assert "SECOND_KEY" in done.stderr
    assert "Its key cannot be read" in done.stdout


# stats.


@pytest.fixture
def used(home: Path) -> Path:
    """A home whose relay served four requests."""
    path = home / ".local/state/ccsetup/relay/usage.db"
    path.parent.mkdir(parents=True)
    now = time.time()
    rows = [
        usage.row(1, time=now - 60),
        usage.row(2, time=now - 60, client="bob", served="=cmd()", cost=None, status=502, error="server", output=0),
        usage.row(3, time=now - 60, currency="CNY", cost=7.0),
        usage.row(4, time=now - 40 * 86400, served="old"),
    ]

    async def fill() -> None:
        store = SqliteStore(str(path))
        await store.open()
        for row in rows:
            store.record(row)
        await store.close()

    asyncio.run(fill())
    return home


def test_stats(used: Path) -> None:
    """Figures by model, client, upstream and day; --since leaves out what is older."""
    shown = cc.main("relay", "stats")
    assert shown.ok, shown
    assert "glm-5" in shown.stdout
    assert "0.5000 USD" in shown.stdout
    assert "7.0000 CNY" in shown.stdout
    assert shown.stdout.splitlines()[0].endswith("First p50  Total p95")
    by_client = cc.main("relay", "stats", "--by", "client", "--json").json["result"]["rows"]
    assert {r["name"]: (r["requests"], r["errors"]) for r in by_client} == {"alice": (3, 0), "bob": (1, 1)}
    recent = cc.main("relay", "stats", "--since", "7d", "--json").json["result"]["rows"]
    assert "old" not in {r["name"] for r in recent}
    assert len(cc.main("relay", "stats", "--by", "day", "--json").json["result"]["rows"]) >= 2


def test_stats_for_spreadsheets(used: Path) -> None:
    """CSV has a column for each currency, and no cell that a spreadsheet would run."""
    table = list(csv.DictReader(io.StringIO(cc.main("relay", "stats", "--csv").stdout)))
    assert {r["model"] for r in table} == {"glm-5", "'=cmd()", "old"}
    glm = next(r for r in table if r["model"] == "glm-5")
    assert (glm["cost_USD"], glm["cost_CNY"], glm["requests"]) == ("0.5", "7.0", "2")
    assert "zone" not in glm
    for zone in ("Asia/Tokyo", "UTC"):
        days = list(
            csv.DictReader(io.StringIO(cc.main("relay", "stats", "--csv", "--by", "day", "--zone", zone).stdout))
        )
        assert {r["zone"] for r in days} == {zone}


def test_stats_without_anything(home: Path) -> None:
    """Nothing yet is said as such; wrong words are refused."""
    assert "Nothing went through the relay yet" in cc.main("relay", "stats").stdout
    assert cc.main("relay", "stats", "--json").json["result"]["rows"] == []
    assert cc.main("relay", "stats", "--csv").stdout.startswith("model,requests,")
    assert "model, day, upstream, client" in cc.main("relay", "stats", "--by", "hour").stderr
    assert cc.main("relay", "stats", "--json", "--csv").rc == 2
    assert cc.main("relay", "stats", "--since", "x").rc == 2
    assert "See: ccsetup relay stats --help" in cc.main("relay", "stats", "--by").stderr


def removed(home: Path) -> list[Path]:
    return sorted((home / ".local/state/ccsetup/relay").glob("usage-removed-*.csv"))


def requests(*argv: str) -> int:
    return sum(r["requests"] for r in cc.main("relay", "stats", "--json", *argv).json["result"]["rows"])


def test_reset_needs_somebody_to_ask_or_yes(used: Path) -> None:
    """Without a terminal, and with --json, nothing goes unless --yes is there."""
    for argv in ((), ("--json",), ("--lang", "zh")):
        refused = cc.main("relay", "stats", "--reset", *argv)
        assert refused.rc == 2, refused
        assert "--yes" in refused.stderr + refused.stdout
    assert cc.main("relay", "stats", "--reset", "--csv", "--yes").rc == 2
    assert (requests(), removed(used)) == (4, [])


def test_reset_removes_what_was_chosen(used: Path) -> None:
    """The same filters as without it; a CSV file has what is gone, and a second time nothing is left to remove."""
    done = cc.main("relay", "stats", "--reset", "--client", "bob", "--yes")
    assert done.ok, done
    [file] = removed(used)
    assert file.name in done.stdout
    assert file.stat().st_mode & 0o077 == 0
    [row] = csv.DictReader(io.StringIO(file.read_text("utf-8")))
    assert (row["client"], row["served"], row["status"]) == ("bob", "'=cmd()", "502")
    assert (requests(), requests("--client", "bob")) == (3, 0)
    again = cc.main("relay", "stats", "--reset", "--client", "bob", "--yes", "--json").json["result"]
    assert (again["removed"], again["file"]) == (0, "")
    assert "Nothing of that kind" in cc.main("relay", "stats", "--reset", "--upstream", "nobody", "--yes").stdout


@pytest.mark.parametrize(("answer", "left"), [("n", 4), ("", 4), ("y", 1)])
def test_reset_asks(used: Path, answer: str, left: int) -> None:
    """At a terminal; anything but yes leaves all as it is."""
    with Terminal(used, "relay", "stats", "--reset", "--since", "7d") as terminal:
        terminal.answer("Remove the figures of 3 requests", answer + "\r")
        assert terminal.ends() == (0 if answer == "y" else 1)
    assert (requests(), len(removed(used))) == (left, int(answer == "y"))


def test_reset_of_nothing(home: Path) -> None:
    """Where no relay ever ran, nothing is asked and nothing made."""
    assert "Nothing went through the relay yet" in cc.main("relay", "stats", "--reset").stdout
    assert not (home / ".local/state/ccsetup/relay").exists()


def test_days_of_a_zone(used: Path) -> None:
    """--zone, else TZ; the output names it, and one that is none is refused with a similar one."""
    for argv, env, name in (
        (("--zone", "Asia/Tokyo"), {"TZ": "Europe/Berlin"}, "Asia/Tokyo"),
        ((), {"TZ": "Europe/Berlin"}, "Europe/Berlin"),
        ((), {"TZ": "EST5EDT"}, "EST5EDT"),
        ((), {"TZ": "<+0545>-5:45"}, "UTC+0545"),
    ):
        shown = cc.run(used, "relay", "stats", "--by", "day", *argv, env=env)
        assert f"Days are those of {name}." in shown.stdout, shown
        assert cc.run(used, "relay", "stats", "--json", *argv, env=env).json["result"]["zone"] == name
    tokyo = cc.main("relay", "stats", "--since", "2027-01-31", "--zone", "Asia/Tokyo", "--json").json["result"]
    assert tokyo["since"] == 1_801_321_200  # 2027-01-30 15:00 UTC
    wrong = cc.main("relay", "stats", "--zone", "Asia/Shangai")
    assert wrong.rc == 2
    assert "Asia/Shanghai" in wrong.stderr


# explain.

MESSAGES: dict[str, Any] = {
    "model": "claude-x",
    "max_tokens": 10,
    "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
    "messages": [{"role": "user", "content": "hi"}],
    "top_k": 3,
}


def test_explain_shows_what_is_lost(configured: Path) -> None:
    """A record becomes the upstream's body, with its model, and each loss has its place and a reason."""
    (configured / "r.json").write_text(json.dumps({"path": "/v1/messages?beta=true", "body": MESSAGES}))
    done = cc.main("relay", "explain", str(configured / "r.json"), "--upstream", "second", "--json")
    assert done.ok, done
    result = done.json["result"]
    assert (result["wire_in"], result["wire_out"], result["asked"], result["model"]) == (
        "anthropic",
        "chat",
        "claude-x",
        "two",
    )
    assert result["body"]["messages"][0] == {"role": "system", "content": "Be brief."}
    assert "top_k" in {loss["path"] for loss in result["losses"]}
    shown = cc.main("relay", "explain", str(configured / "r.json"), "--upstream", "second").stdout
    assert "Not carried over:" in shown
    assert "top_k" in shown
    body = cc.main("relay", "explain", str(configured / "r.json"), "--wire", "chat", "--body")
    assert json.loads(body.stdout)["model"] == "claude-x"


def test_a_name_that_asks_for_thinking(configured: Path) -> None:
    """explain shows what the upstream gets for it, in its own format and another, and check where it does nothing."""
    for model, extra, served, switched in (
        ("one-thinking", {}, "one", True),
        ("first/one-thinking", {}, "one", True),
        ("one", {}, "one", False),
        ("two-thinking", {}, "two", False),
    ):
        (configured / "r.json").write_text(json.dumps({**MESSAGES, **extra, "model": model, "max_tokens": 9000}))
        result = cc.main("relay", "explain", str(configured / "r.json"), "--json").json["result"]
        assert (result["model"], "thinking" in result["body"]) == (served, switched)
        lost = "Thinking cannot be switched for this provider." in {loss["what"] for loss in result["losses"]}
        assert lost == (model == "two-thinking")
    shown = cc.main("relay", "check", "--offline").stdout
    assert "NAME-thinking: the model NAME with thinking switched on\n  not with Chat at second" in shown


def test_explain_without_change(configured: Path) -> None:
    """The format of the upstream, and its own model: the client's own bytes."""
    (configured / "r.json").write_text(json.dumps({**MESSAGES, "model": "one"}))
    shown = cc.main("relay", "explain", str(configured / "r.json"))
    assert "client's own bytes" in shown.stdout, shown
    assert "Nothing is lost." in shown.stdout


@pytest.mark.parametrize(
    ("body", "wire"),
    [
        (MESSAGES, "anthropic"),
        ({"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "x"}]}, "anthropic"),
        ({"model": "m", "messages": [{"role": "user", "content": "x"}]}, "chat"),
        ({"model": "m", "messages": [{"role": "tool", "tool_call_id": "1", "content": "x"}]}, "chat"),
        ({"model": "m", "tools": [{"type": "function", "function": {"name": "f"}}], "messages": []}, "chat"),
        ({"model": "m", "tools": [{"name": "f", "input_schema": {}}], "messages": []}, "anthropic"),
        ({"model": "m", "input": "x"}, "responses"),
        ({"model": "m", "messages": None, "tools": "x"}, "chat"),
    ],
)
def test_format_is_recognised(body: dict[str, Any], wire: str) -> None:
    """By what only one of the formats has."""
    from ccsetup.cli.relay import explain

    assert explain.recognise(body) == wire


@pytest.mark.parametrize(
    ("text", "argv", "words"),
    [
        ("no json", (), "is not JSON"),
        ("[]", (), "no JSON object"),
        ('{"body": "{"}', (), "body is not JSON"),
        ("{}", (), ""),
        ('{"model": 5, "messages": 1}', ("--from", "messages", "--wire", "chat"), ""),
        (json.dumps(MESSAGES), ("--wire", "smoke"), "no format"),
        (json.dumps(MESSAGES), ("--upstream", "third"), "There are: first, second"),
        (json.dumps(MESSAGES), ("--upstream", "first", "--wire", "chat"), "no endpoint for chat"),
    ],
)
def test_explain_refuses(configured: Path, text: str, argv: tuple[str, ...], words: str) -> None:
    """What is no request is refused in one sentence."""
    (configured / "r.json").write_text(text)
    done = cc.main("relay", "explain", str(configured / "r.json"), *argv)
    assert done.rc == 2, done
    assert words in done.stderr
