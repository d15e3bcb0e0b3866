"""relay.yaml: what is taken, what is refused and where, and that it is written as it was read."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ccsetup import presets
from ccsetup.errors import DocumentError
from ccsetup.relay.config import dangers, dialects
from ccsetup.relay.config import parse as parsing
from ccsetup.relay.config.dump import dump
from ccsetup.relay.config.model import (
    Activation,
    Config,
    Cooldown,
    KeyRef,
    Limits,
    Listen,
    Price,
    Retry,
    Rule,
    StoreSettings,
    Timeouts,
    Upstream,
    Window,
)
from ccsetup.relay.config.parse import preset_context, preset_endpoints, preset_prices
from ccsetup.relay.config.rules import DEFAULT_RULES, ERRORS, NETWORK

FULL = """\
relay: 1
listen: {host: 0.0.0.0, port: 8443, tls_cert: /etc/a.pem, tls_key: /etc/k.pem, names: [relay.lan], keyless: true}
selection: {strategy: weighted, sticky: 60}
retry: {attempts: 4, same: 0, seconds: 30, backoff: 0.5, backoff_max: 4, jitter: 0}
cooldown: {failures: 5, window: 120, seconds: 30, maximum: 300}
failures:
  - {status: [429, 500-503], body: Balance, action: next_key, cool: key, seconds: 60, counts: false}
  - {error: quota, action: next_upstream, cool: upstream}
  - {network: [connect, cut], action: stop}
limits: {body: 1048576, requests: 10}
store: {url: 'redis://me@h:6379/0', password: {env: P}, prefix: team, days: 7}
ping: 5.5
cache_control_limit: 3
stop_seconds: 5
upstreams:
  - name: glm
    preset: glm
    region: cn
    keys: [{profile: glm}, {env: B}]
    group: backup
    priority: -1
    weight: 3
    enabled: false
    windows:
      - {days: mon-fri, from: "09:00", to: "18:00"}
      - {days: [fri-mon, wed], from: "22:00", to: "06:00"}
    zone: Asia/Shanghai
    accepts: [anthropic, chat]
    models: [claude-*, gpt-6]
    map: {"claude-*haiku*": glm-5.3-flash, gpt-6: x}
    default_model: glm-5.3
    headers: {X-Title: a b}
    auth: x-api-key
    timeouts: {connect: 5, first_byte: 0, idle: 60.5, total: 100}
    concurrency: 4
    proxy: http://proxy.lan:8080
    prices: {glm-5.3: {input: 1, output: 2.5, cache_read: 0.1, cache_write: 3, currency: CNY}}
    context: {glm-5.3: 200000}
    activation: {times: ["08:00", "13:30"], days: [mon, wed], model: glm-5.3, prompt: hello}
    dialect: {chat: {images: false, max_output: null, reasoning_field: "", thinking_switch: enable_thinking}}
  - {name: near, url: 'http://127.0.0.1:9/v1/chat/completions', wire: chat}
  - {name: both, endpoints: {anthropic: https://x.example/v1, responses: https://x.example/v1/}, key: {file: ~/k}}
  - {name: bare, url: http://1.2.3.4:3000, wire: anthropic, insecure: true, key: {inline: sk-abc}}
"""


def parse(text: str) -> Config:
    return parsing.parse(text.encode(), "relay.yaml", presets.load)


def test_everything_is_read() -> None:
    c = parse(FULL)
    assert c.listen == Listen("0.0.0.0", 8443, "/etc/a.pem", "/etc/k.pem", ("relay.lan",), True)
    assert (c.strategy, c.sticky, c.ping, c.cache_control_limit, c.stop_seconds) == ("weighted", 60, 5.5, 3, 5)
    assert c.retry == Retry(4, 0, 30, 0.5, 4, 0)
    assert c.cooldown == Cooldown(5, 120, 30, 300)
    assert c.rules[:3] == (
        Rule("next_key", status=((429, 429), (500, 503)), body="balance", cool="key", seconds=60, counts=False),
        Rule("next_upstream", error=("quota",), cool="upstream"),
        Rule("stop", network=("connect", "cut")),
    )
    assert c.rules[3:] == DEFAULT_RULES
    assert c.limits == Limits(1 << 20, 10)
    assert c.store == StoreSettings("redis://me@h:6379/0", KeyRef("env", "P"), "team", 7)
    glm, near, both, bare = c.upstreams
    region = presets.load("glm").region("cn")
    assert region is not None
    assert glm == Upstream(
        "glm",
        preset_endpoints(region),
        (KeyRef("profile", "glm"), KeyRef("env", "B")),
        "backup",
        -1,
        3,
        False,
        (Window(frozenset(range(5)), 540, 1080), Window(frozenset({4, 5, 6, 0, 2}), 1320, 360)),
        "Asia/Shanghai",
        ("claude-*", "gpt-6"),
        (("claude-*haiku*", "glm-5.3-flash"), ("gpt-6", "x")),
        "glm-5.3",
        {"X-Title": "a b"},
        "x-api-key",
        Timeouts(5, 0, 60.5, 100),
        4,
        "http://proxy.lan:8080",
        "glm",
        "cn",
        {
            **{w: dialects.dialect(presets.load("glm"), "cn", w, u) for w, u in preset_endpoints(region).items()},
            "chat": dialects.dialect(presets.load("glm"), "cn", "chat", "")._replace(
                images=False,
                max_output=None,
                reasoning_field="",
                thinking_switch="enable_thinking",
                said=frozenset(("images", "max_output", "reasoning_field", "thinking_switch")),
            ),
        },
        {**preset_prices(presets.load("glm")), "glm-5.3": Price(1, 2.5, 0.1, 3, "CNY")},
        Activation(("08:00", "13:30"), frozenset({0, 2}), "glm-5.3", "hello"),
        ("anthropic", "chat"),
        context={"glm-5.3": 200_000, "glm-5.3-flash": 1_000_000},
    )
    assert (near.endpoints, near.keys) == ({"chat": "http://127.0.0.1:9/v1"}, ())
    assert both.endpoints == {"anthropic": "https://x.example", "responses": "https://x.example/v1"}
    assert bare.insecure
    assert "sk-abc" not in repr(c)


def test_models() -> None:
    """Exact names, then globs in order, then the default, else as it was asked."""
    u = Upstream("a", {}, (), map=(("claude-*", "1"), ("*haiku*", "2"), ("claude-haiku", "3")), default_model="4")
    asked = ["claude-haiku", "claude-haiku-5", "x-haiku", "gpt"]
    assert [u.model(a) for a in asked] == ["3", "1", "2", "4"]
    assert u._replace(default_model="").model("gpt") == "gpt"
    assert u.serves("x")
    assert not u._replace(models=("gpt-*",)).serves("x")


def one(fields: str) -> str:
    return f"relay: 1\nupstreams:\n  - {{name: a, url: https://x.example, wire: chat, key: {{env: A}}, {fields}}}\n"


WRONG = [
    ("relay: 2\n", "1:8", "version 1"),
    ("upstreams: []\n", "1:1", "'relay' is missing"),
    ("relay: 1\n", "1:1", "'upstreams' is missing"),
    ("relay: 1\nupstreams: []\n", "2:12", "empty"),
    ("relay: 1\nupstream: []\n", "2:1", "'upstreams'"),
    ("relay: 1\nlisten: {prot: 1}\n", "2:10", "'port'"),
    ("relay: 1\nlisten: {port: 70000}\n", "2:16", "65535"),
    ("relay: 1\nlisten: {port: true}\n", "2:16", "number"),
    ("relay: 1\nlisten: {tls_cert: x}\n", "2:9", "tls_key"),
    ("relay: 1\nlisten: {host: 'a b'}\n", "2:16", "host"),
    ("relay: 1\nselection: {strategy: least-busy}\n", "2:23", "'least_busy'"),
    ("relay: 1\nretry: {attempts: 1.5}\n", "2:19", "whole"),
    ("relay: 1\nretry: {jitter: 2}\n", "2:17", "from 0 to 1"),
    ("relay: 1\ncooldown: {seconds: 99, maximum: 10}\n", "2:34", "less"),
    ("relay: 1\nfailures: [{status: 500}]\n", "2:12", "'action' is missing"),
    ("relay: 1\nfailures: [{action: stop}]\n", "2:12", "nothing in particular"),
    ("relay: 1\nfailures: [{status: 600-500, action: stop}]\n", "2:21", "500-599"),
    ("relay: 1\nfailures: [{status: 500, network: cut, action: stop}]\n", "2:12", "neither"),
    ("relay: 1\nfailures: [{error: qouta, action: stop}]\n", "2:20", "'quota'"),
    ("relay: 1\nfailures: [{status: 500, action: next, cool: key}]\n", "2:34", "'next_key'"),
    ("relay: 1\nfailures: [{status: 500, action: stop, seconds: 5}]\n", "2:49", "cool"),
    ("relay: 1\nstore: {url: 'redis://:sk-abc@h/0'}\n", "2:14", "password"),
    ("relay: 1\nstore: {url: 'http://h'}\n", "2:14", "redis://"),
    ("relay: 1\nping: -1\n", "2:7", "from 0"),
    ("relay: 1\nupstreams:\n  - {preset: glm}\n", "3:5", "'name' is missing"),
    ("relay: 1\nupstreams:\n  - {name: 'a b', preset: glm}\n", "3:12", "letters"),
    ("relay: 1\nupstreams:\n  - {name: a, preset: gml, key: {env: A}}\n", "3:23", "'glm'"),
    ("relay: 1\nupstreams:\n  - {name: a, preset: glm, region: china, key: {env: A}}\n", "3:36", "'china'"),
    ("relay: 1\nupstreams:\n  - {name: a, key: {env: A}}\n", "3:5", "no address"),
    ("relay: 1\nupstreams:\n  - {name: a, preset: custom, key: {env: A}}\n", "3:5", "no address"),
    ("relay: 1\nupstreams:\n  - {name: a, region: cn, url: x, wire: chat}\n", "3:23", "'preset'"),
    ("relay: 1\nupstreams:\n  - {name: a, url: https://x.example}\n", "3:20", "'wire'"),
    ("relay: 1\nupstreams:\n  - {name: a, url: https://x.example, wire: openai}\n", "3:45", "anthropic"),
    ("relay: 1\nupstreams:\n  - {name: a, url: https://x.example, wire: chat}\n", "3:5", "no key"),
    ("relay: 1\nupstreams:\n  - {name: a, preset: glm}\n", "3:5", "no key"),
    ("relay: 1\nupstreams:\n  - {name: a, url: http://1.2.3.4, wire: chat, key: {env: A}}\n", "3:20", "insecure: true"),
    ("relay: 1\nupstreams:\n  - {name: a, url: 'https://u:sk-abc@x.example', wire: chat}\n", "3:20", "password"),
    ("relay: 1\nupstreams:\n  - {name: a, endpoints: {}, key: {env: A}}\n", "3:26", "empty"),
    ("relay: 1\nupstreams:\n  - {name: a, preset: glm, key: sk-abc}\n", "3:33", "env"),
    ("relay: 1\nupstreams:\n  - {name: a, preset: glm, key: {env: sk-abc}}\n", "3:39", "variable"),
    ("relay: 1\nupstreams:\n  - {name: a, preset: glm, key: {environ: A}}\n", "3:34", "'env'"),
    ("relay: 1\nupstreams:\n  - {name: a, preset: glm, key: {env: A, file: b}}\n", "3:33", "one of"),
    ("relay: 1\nupstreams:\n  - {name: a, preset: glm, key: {profile: relay}}\n", "3:43", "profile"),
    ("relay: 1\nupstreams:\n  - {name: a, preset: glm, keys: [{env: A}, {env: A}]}\n", "3:34", "twice"),
    (
        "relay: 1\nupstreams:\n  - {name: a, preset: glm, key: {env: A}}\n  - {name: A, preset: glm, key: {env: A}}\n",
        "4:12",
        "twice",
    ),
    (one("group: secondary"), "3:73", "primary, backup"),
    (one("weight: 0"), "3:74", "from 1"),
    (one("zone: Asia/Shangai"), "3:72", "'Asia/Shanghai'"),
    (one("zone: ../../etc/passwd"), "3:72", "time zone"),
    (one("windows: [{days: mo}]"), "3:83", "'mon'"),
    (one("windows: [{from: 9}]"), "3:83", "text"),
    (one('windows: [{from: "24:00"}]'), "3:83", "09:30"),
    (one("windows: [{}]"), "3:76", "empty"),
    (one("activation: {times: []}"), "3:86", "empty"),
    (one('activation: {times: ["8:00"]}'), "3:87", "09:30"),
    (one("headers: {Authorization: sk-abc}"), "3:76", "'keys'"),
    (one("headers: {x-goog-api-key: sk-abc}"), "3:76", "'keys'"),
    (one("headers: {Host: x}"), "3:76", "sets this header"),
    (one("headers: {X-A: 1}"), "3:81", "text"),
    (one('headers: {X-A: "a", x-a: "b"}'), "3:86", "twice"),
    (one('headers: {"a b": "c"}'), "3:76", "name of a header"),
    (one("proxy: 'http://u:sk-abc@p:1'"), "3:73", "HTTPS_PROXY"),
    (one("proxy: socks5://p:1"), "3:73", "http://host:port"),
    (one("dialect: {anthropic: {}}"), "3:76", "'anthropic'"),
    (one("dialect: {chat: {image: true}}"), "3:83", "'images'"),
    (one("dialect: {chat: {thinking_switch: on}}"), "3:100", "thinking"),
    (one("prices: {m: {input: 1}}"), "3:78", "'output' is missing"),
    (one("defaults: {temperature: 3}"), "3:90", "from 0 to 2"),
    (one("defaults: {temprature: 1}"), "3:77", "'temperature'"),
    (one("extra_body: {model: x}"), "3:79", "sets this member"),
    (one("timeouts: {first: 1}"), "3:77", "'first_byte'"),
]


@pytest.mark.parametrize(("text", "place", "word"), WRONG, ids=[t[-40:].strip() for t, _p, _w in WRONG])
def test_errors_say_where_and_what_is_near(text: str, place: str, word: str) -> None:
    with pytest.raises(DocumentError) as caught:
        parse(text)
    assert caught.value.message.startswith(f"relay.yaml:{place}: ")
    said = caught.value.message + caught.value.hint
    assert word in said
    assert "sk-abc" not in said


def test_what_must_not_listen_says_why() -> None:
    def refusals(has_keys: bool = True, **fields: Any) -> list[str]:
        return dangers.refusals(Config((), listen=Listen(**fields)), has_keys)

    for host in ("127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost"):
        assert refusals(False, host=host, keyless=True) == []
    for host in ("0.0.0.0", "::", "192.168.1.2", "relay.lan", "127.0.0.1.example"):
        assert "TLS" in refusals(host=host)[0]
        assert refusals(host=host, tls_cert="c", tls_key="k") == []
        assert refusals(host=host, plain=True) == []
        assert "key add" in refusals(False, host=host, plain=True)[0]
        assert "keyless" in refusals(host=host, plain=True, keyless=True)[0]


def test_warnings() -> None:
    found = "\n".join(dangers.warnings(parse(FULL)))
    assert "'bare' has its key in relay.yaml itself" in found
    assert "'bare' gets keys and prompts over plain http" in found
    assert "near, both, bare" in found
    assert "sk-abc" not in found
    assert dangers.warnings(parse("relay: 1\nupstreams: [{name: a, preset: glm, key: {env: A}}]\n")) == []


def test_what_is_written_is_short() -> None:
    """Nothing that is so anyway."""
    text = "relay: 1\nupstreams:\n  - {name: a, preset: glm, region: cn, key: {profile: a}, priority: 0, ping: 10}\n"
    written = dump(parse(text.replace(", ping: 10", "")), presets.load)
    lines = [line for line in written.splitlines() if line and not line.startswith("#")]
    assert lines == [
        "relay: 1",
        "upstreams:",
        "  - name: a",
        "    preset: glm",
        "    region: cn",
        "    key: {profile: a}",
    ]


def test_dump_and_parse_are_inverse() -> None:
    c = parse(FULL)
    assert parse(dump(c, presets.load)) == c


_text = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"]), min_size=1, max_size=12)
_number = st.integers(1, 5000) | st.decimals("0.001", 5000, places=6).map(float)
_model = st.sampled_from(["glm-5.3", "no", "5", "a: b", "x*", "#1", "null", "o/p:free"]) | _text
_minutes = st.integers(0, 1439)
_days = st.frozensets(st.integers(0, 6), min_size=1)
_window = st.builds(Window, _days, _minutes, st.integers(0, 1440))
_key = st.builds(KeyRef, st.just("env"), st.from_regex(r"[A-Z_]{1,8}", fullmatch=True)) | st.builds(
    KeyRef, st.sampled_from(["command", "file", "keyring"]), _text
)
_status = st.tuples(st.integers(100, 500), st.integers(0, 99)).map(lambda t: (t[0], t[0] + t[1]))
_cool = st.sampled_from([("", 0), ("key", 0), ("key", 9.5), ("upstream", 60)])
_rule = st.builds(
    lambda action, match, cool, counts: Rule(action, cool=cool[0], seconds=cool[1], counts=counts, **match),
    st.sampled_from(["retry", "next_key", "next_upstream", "stop"]),
    st.one_of(
        st.lists(_status, min_size=1, max_size=3).map(lambda s: {"status": tuple(s)}),
        st.lists(st.sampled_from(NETWORK), min_size=1, max_size=3).map(lambda n: {"network": tuple(n)}),
        st.lists(st.sampled_from(ERRORS), min_size=1, max_size=3).map(lambda e: {"error": tuple(e)}),
        _text.map(lambda t: {"body": t.lower()}),
    ),
    _cool,
    st.booleans(),
)
_activation = st.builds(
    Activation,
    st.lists(_minutes.map(lambda m: f"{m // 60:02d}:{m % 60:02d}"), min_size=1, max_size=3).map(tuple),
    _days,
    _model,
    _text,
)


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | _model,
    lambda inside: st.lists(inside, max_size=2) | st.dictionaries(_model, inside, max_size=2),
    max_leaves=4,
)


@st.composite
def _upstreams(draw: Any) -> Upstream:
    preset_id = draw(st.sampled_from(["", "glm", "siliconflow", "anthropic", "ollama"]))
    preset = presets.load(preset_id) if preset_id else None
    region = draw(st.sampled_from(["", *(r.id for r in preset.regions)])) if preset else ""
    endpoints: Any = preset_endpoints(preset.region(region)) if preset else {}  # type: ignore[arg-type]
    if not preset or draw(st.booleans()):
        wires = draw(st.lists(st.sampled_from(["anthropic", "responses", "chat"]), min_size=1, unique=True))
        endpoints = {w: f"https://{w}.example/api" for w in wires}
    found = {w: dialects.dialect(preset, region, w, url) for w, url in endpoints.items()}
    for wire in draw(st.lists(st.sampled_from(sorted(found)), unique=True)):
        found[wire] = found[wire]._replace(
            images=draw(st.booleans()),
            max_output=draw(st.none() | st.integers(1, 10**6)),
            reasoning_field=draw(st.sampled_from(["", "reasoning"])),
            hosted=tuple(draw(st.lists(_text, max_size=2))),
            said=frozenset(("images", "max_output", "reasoning_field", "hosted")),
        )
    prices = dict(preset_prices(preset)) if preset else {}
    price = st.builds(
        Price, _number, _number, st.none() | _number, st.none() | _number, st.sampled_from(["USD", "CNY"])
    )
    prices.update(draw(st.dictionaries(_model, price, max_size=2)))
    header = st.from_regex(r"X-[A-Za-z]{1,6}", fullmatch=True).filter(
        lambda n: not n.lower().endswith(("key", "token", "secret", "password"))
    )
    return Upstream(
        name=draw(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,9}", fullmatch=True)),
        endpoints=endpoints,
        keys=tuple(draw(st.lists(_key, min_size=1, max_size=3, unique=True))),
        group=draw(st.sampled_from(["primary", "backup"])),
        priority=draw(st.integers(-3, 3)),
        weight=draw(st.integers(1, 9)),
        enabled=draw(st.booleans()),
        windows=tuple(draw(st.lists(_window, max_size=2))),
        zone=draw(st.sampled_from(["", "Asia/Shanghai", "UTC"])),
        accepts=tuple(draw(st.lists(st.sampled_from(["anthropic", "chat"]), max_size=2))),
        models=tuple(draw(st.lists(_model, max_size=2))),
        map=tuple(draw(st.dictionaries(_model, _model, max_size=3)).items()),
        default_model=draw(st.just("") | _model),
        headers=draw(st.dictionaries(header, st.from_regex(r"[!-~]([ -~]{0,6}[!-~])?", fullmatch=True), max_size=1)),
        auth=draw(st.sampled_from(["bearer", "x-api-key"])),
        timeouts=Timeouts(*draw(st.tuples(_number, _number, _number, _number))),
        concurrency=draw(st.integers(0, 9)),
        proxy=draw(st.sampled_from(["", "none", "http://p:1"])),
        preset=preset_id,
        region=region,
        dialect=found,
        prices=prices,
        context={**(preset_context(preset) if preset else {}), **draw(st.dictionaries(_model, st.integers(0, 9)))},
        activation=draw(st.none() | _activation),
        insecure=draw(st.booleans()),
        defaults=draw(st.fixed_dictionaries({}, optional={"temperature": st.just(0.5), "max_tokens": st.just(9)})),
        extra_body=draw(st.dictionaries(_model, _json, max_size=2)),
    )


_config = st.builds(
    Config,
    st.lists(_upstreams(), min_size=1, max_size=3, unique_by=lambda u: u.name.lower()).map(tuple),
    listen=st.builds(
        Listen,
        host=st.sampled_from(["127.0.0.1", "::1", "relay.lan"]),
        port=st.integers(0, 65535),
        names=st.lists(st.sampled_from(["a.lan", "b"]), max_size=2).map(tuple),
        tls_cert=st.just("/c.pem"),
        tls_key=st.just("/k.pem"),
        keyless=st.booleans(),
        plain=st.booleans(),
    ),
    strategy=st.sampled_from(["failover", "round_robin", "weighted", "least_busy"]),
    sticky=_number,
    retry=st.builds(
        Retry, st.integers(1, 9), st.integers(0, 3), st.integers(1, 99), st.just(0.000001), st.just(8), st.just(0.5)
    ),
    cooldown=st.builds(Cooldown, st.integers(1, 9), st.integers(1, 99), st.just(5), st.just(7.25)),
    rules=st.lists(_rule, max_size=3).map(lambda own: (*own, *DEFAULT_RULES)),
    store=st.builds(
        StoreSettings, st.sampled_from(["", "redis://h:1/2"]), st.none() | _key, st.just("team"), st.integers(1, 99)
    ),
    limits=st.just(Limits()),
    ping=st.integers(0, 60),
    cache_control_limit=st.integers(0, 9),
    stop_seconds=st.just(1.5),
    profiles=st.just(False),
    failover=st.just(()),
)
_of_profiles = st.builds(
    lambda config, failover: config._replace(profiles=True, failover=tuple(failover)),
    _config,
    st.lists(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,9}", fullmatch=True), max_size=3),
)


@given(_config | _of_profiles | _of_profiles.map(lambda config: config._replace(upstreams=())))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_any_configuration_comes_back(c: Config) -> None:
    assert parse(dump(c, presets.load)) == c
