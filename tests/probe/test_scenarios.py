"""Every scenario of the emulator against ``ccsetup test``: the right verdict, at the right layer, with the right hint.

Most cases call the library; for each verdict there is at least one run of the real program.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, cast
from unittest import mock

import pytest
from support import cc
from support.emulator import SCENARIOS, Emulator, Internet
from support.probing import CLIENTS, Judgement, judge, judgement, run_test, shown, write

from ccsetup.probe import run
from ccsetup.probe.verdict import EXIT

TIMEOUT = 0.8
"""Seconds for one target; what waits for ever costs this much for each client."""


class Row(NamedTuple):
    scenario: str
    verdict: str
    layer: str = ""
    """One of these, with spaces between; empty: no layer complains."""
    said: str = ""
    """In lower case, in what the layer says; alternatives with ``|`` between."""
    level: str = "normal"
    clients: tuple[str, ...] = CLIENTS


CLAUDE, CODEX = ("claude-code",), ("codex",)
ROWS = [
    Row("good", "ok"),
    Row("good", "ok", level="quick"),
    Row("good", "ok", level="deep"),
    # key
    Row("bad-key", "key", "key", "key"),
    Row("bad-key", "key", "key", "key", "quick"),
    Row("wrong-family", "key", "key", "key"),
    Row("key-echo", "key", "key", "key"),
    # account
    Row("no-quota", "quota", "key wire", "credit|quota|balance|billing"),
    Row("rate-limited", "quota", "key wire", "7"),
    Row("forbidden", "forbidden", "key wire", "may not use"),
    Row("ansi-error", "forbidden", "key wire", "no access"),
    # server
    Row("server-error", "server", "wire", "500"),
    Row("bad-gateway", "server", "wire", "502"),
    Row("unavailable", "server", "wire", "503"),
    Row("overloaded", "server", "wire", "529"),
    Row("huge-line-error", "server", "wire", "500"),
    # wire
    Row("chat-only", "wire", "wire", "relay", clients=CODEX),
    Row("chat-only", "wire", "wire", "404", clients=CLAUDE),
    Row("chat-only", "wire", "wire", "relay", "quick", clients=CODEX),
    Row("wrong-path", "wire", "wire", "404"),
    Row("method-not-allowed", "wire", "wire", "405"),
    Row("foreign-json", "wire", "wire", "protocol|not one of"),
    Row("swapped-protocol", "wire", "wire", "chat completions"),
    Row("empty-200", "wire", "wire", "empty"),
    Row("redirect-elsewhere", "wire", "wire", "redirect"),
    Row("redirect-loop", "wire", "wire", "redirect"),
    Row("huge-body", "wire timeout", "key wire"),
    Row("gzip-bomb", "wire timeout", "key wire"),
    Row("endless-stream", "wire timeout", "key wire"),
    Row("many-headers", "wire", "key wire", "http"),
    Row("bad-chunking", "wire", "key wire", "http"),
    Row("truncated", "wire degraded", "wire deep"),
    Row("no-end-event", "wire degraded", "wire deep", "end"),
    Row("error-event", "wire degraded server", "wire deep", "error"),
    # model
    Row("model-missing", "model", "model", "glm-5.3-next"),
    # network
    Row("portal", "unreachable", "reach", "portal"),
    Row("portal-redirect", "unreachable", "reach", "portal"),
    Row("refused", "unreachable", "reach", "refuse"),
    Row("dns", "unreachable", "reach", "provider.invalid"),
    Row("reset", "unreachable wire", "reach key wire", "ended|closed"),
    Row("blackhole", "timeout", "reach"),
    Row("hang", "timeout", "key wire"),
    Row("slow-headers", "timeout", "key wire"),
    Row("slow-body", "timeout", "key wire"),
    # TLS
    Row("tls-good", "ok"),
    Row("tls-private-ca", "tls", "reach", "ssl_cert_file|authority|ca "),
    Row("tls-self-signed", "tls", "reach", "self-signed|signed by itself"),
    Row("tls-expired", "tls", "reach", "expired"),
    Row("tls-wrong-host", "tls", "reach", "elsewhere.example|another host|other name|not for"),
    Row("tls-plain", "tls", "reach", "http"),
    Row("tls-corporate-proxy", "tls", "reach", "proxy"),
    # proxies
    Row("proxy-good", "ok"),
    Row("proxy-connect", "ok"),
    Row("proxy-auth-required", "unreachable", "reach", "password|407"),
    Row("proxy-forbidden", "unreachable", "reach", "proxy"),
    Row("proxy-auth-required-http", "unreachable", "reach key wire", "proxy"),
    Row("proxy-dead", "unreachable", "reach", "proxy"),
    Row("proxy-bypassed", "ok"),
    # Only a paid request shows these.
    Row("not-streaming", "degraded", "wire deep", "stream", clients=CLAUDE),  # which works with it
    Row("not-streaming", "wire", "wire", "stream", clients=CODEX),
    Row("no-usage", "ok degraded", "deep", "usage|token", "deep"),
    Row("no-tools", "degraded", "deep", "tool", "deep"),
    Row("rejects-tools", "degraded", "deep", "tool", "deep"),
    Row("rejects-system-role", "degraded", "deep", "system", "deep", CLAUDE),
    Row("rejects-system-role", "ok", level="deep", clients=CODEX),
    Row("rejects-system-role-known", "ok degraded", "deep", "system", "deep", CLAUDE),
]


@pytest.fixture(scope="module")
def running() -> Iterator[Emulator]:
    with Emulator() as emulator:
        yield emulator


@pytest.fixture
def emulator(running: Emulator) -> Emulator:
    running.play()
    running.clear()
    return running


NEVER = {"blackhole", "hang", "slow-headers", "slow-body", "endless-stream"}


def limit(row: Row) -> float:
    """Return the time for one target: short where all of it will be used."""
    return TIMEOUT if row.scenario in NEVER else 20 * TIMEOUT


def check(judged: Judgement, row: Row) -> None:
    what = f"\n{judged!r}"
    assert judged.verdict in row.verdict.split(), what
    if judged.verdict == "ok":
        assert judged.layer == "", what
        return
    assert judged.layer in row.layer.split(), what
    assert not row.said or any(word in judged.said.lower() for word in row.said.split("|")), what
    assert judged.hint, what


def check_clean(text: str, emulator: Emulator) -> None:
    """Nothing of the network is raw, no key is shown, no host but the right one has a key."""
    assert shown([emulator.key, *(site.key for site in emulator.sites.values())], text) == []
    assert [c for c in text if not c.isprintable() and c not in "\n\t"] == []
    assert len(text) < 60_000
    assert emulator.leaks == []


@pytest.mark.parametrize(
    ("row", "client"),
    [pytest.param(row, client, id=f"{row.scenario}-{row.level}-{client}") for row in ROWS for client in row.clients],
)
def test_verdict(home: Path, emulator: Emulator, row: Row, client: str) -> None:
    """The verdict, the layer and the hint are right; it ends, whatever comes; no key is shown or goes astray."""
    emulator.play(row.scenario)
    write(home, client, emulator)

    judged = judge(home, client, emulator, level=row.level, timeout=limit(row))

    check(judged, row)
    check_clean(judged.output, emulator)


def test_every_scenario_has_a_row() -> None:
    """No scenario is forgotten; those that need a preset or a tool of Codex have tests of their own below."""
    own = {
        "wrong-region",
        "truncated-json",
        "rejects-context-management",
        "rejects-output-config",
        "rejects-thinking",
        "rejects-namespace-tools",
        "rejects-web-search",
        "rejects-images",
        "serial-tools",
    }
    assert {row.scenario for row in ROWS} | own == set(SCENARIOS)


# Through the real program

PROCESS = [
    ("good", "claude-code", 0),
    ("good", "codex", 0),
    ("refused", "codex", 11),
    ("tls-expired", "claude-code", 12),
    ("key-echo", "claude-code", 13),
    ("bad-key", "codex", 13),
    ("no-quota", "codex", 14),
    ("ansi-error", "claude-code", 15),
    ("chat-only", "codex", 16),
    ("redirect-elsewhere", "claude-code", 16),
    ("model-missing", "claude-code", 17),
    ("not-streaming", "claude-code", 18),
    ("huge-line-error", "codex", 19),
    ("slow-body", "claude-code", 20),
]


@pytest.mark.parametrize(("scenario", "client", "code"), PROCESS)
def test_exit_code(home: Path, emulator: Emulator, scenario: str, client: str, code: int) -> None:
    """``ccsetup test --json`` exits with the code of its verdict and says the same in JSON; text output is clean."""
    emulator.play(scenario)
    write(home, client, emulator)
    env: dict[str, Any] = dict(emulator.env)

    judged = run_test(home, "--timeout", "2", client=client, env=env)

    assert judged.exit_code == code, judged
    assert EXIT[judged.verdict] == code
    check_clean(judged.output, emulator)


@pytest.mark.parametrize("scenario", ["key-echo", "ansi-error", "huge-line-error"])
def test_text_and_files_are_clean(home: Path, emulator: Emulator, scenario: str) -> None:
    """Neither the text for people nor a report file holds a key or a control character of the provider's."""
    emulator.play(scenario)
    write(home, "claude-code", emulator)
    for ending in ("html", "svg"):
        done = cc.run(home, "test", "-T", "claude-code", "-v", "-o", f"report.{ending}", "--timeout", "3")
        report = (home / f"report.{ending}").read_text("utf-8")
        assert shown([emulator.key], done.stdout + done.stderr + report) == []
        for text in (done.stdout, done.stderr, report):
            assert [c for c in text if not c.isprintable() and c not in "\n\t"] == []
    assert emulator.leaks == []


@pytest.mark.parametrize("client", CLIENTS)
def test_nothing_else_turns_the_check_of_certificates_off(home: Path, emulator: Emulator, client: str) -> None:
    """Variables that make other programs than the client trust everything change nothing: no request is sent."""
    emulator.play("tls-self-signed")
    write(home, client, emulator)
    names = ["PYTHONHTTPSVERIFY", "SSL_VERIFY", "VERIFY_SSL"]
    if client == "codex":
        names.append("NODE_TLS_REJECT_UNAUTHORIZED")
    env: dict[str, Any] = {**dict.fromkeys(names, "0"), "GIT_SSL_NO_VERIFY": "1", "REQUESTS_CA_BUNDLE": ""}

    judged = run_test(home, client=client, env={**emulator.env, **env})

    assert judged.exit_code == 12, f"\n{judged!r}"
    assert emulator.calls == []


@pytest.mark.parametrize("scenario", ["proxy-connect", "proxy-auth-required", "proxy-good"])
def test_the_password_of_a_proxy_is_not_shown(home: Path, emulator: Emulator, scenario: str) -> None:
    """A proxy's password goes to the proxy, and nowhere else."""
    emulator.play(scenario)
    write(home, "claude-code", emulator)
    env: dict[str, Any] = {
        name: value.replace("http://", "http://user:hunter2-0815@") if name.lower().endswith("s_proxy") else value
        for name, value in emulator.env.items()
    }

    judged = run_test(home, "-v", client="claude-code", env=env)

    assert "hunter2" not in judged.output
    (proxy,) = emulator.proxies
    assert all(b"\r\nproxy-authorization: basic " in hop.head.lower() for hop in proxy.hops)
    assert not any("proxy-authorization" in call.headers for call in emulator.calls)
    assert (judged.verdict == "ok") is (scenario != "proxy-auth-required"), f"\n{judged!r}"
    assert emulator.leaks == []


@pytest.mark.parametrize("client", CLIENTS)
def test_in_the_home_folder(home: Path, emulator: Emulator, client: str) -> None:
    """Started in the home folder, where the user's files look like a project's, it finds the user's settings."""
    write(home, client, emulator)
    judged = run_test(home, client=client, cwd=home)
    assert judged.verdict == "ok", f"\n{judged!r}"


@pytest.mark.parametrize("client", CLIENTS)
def test_nothing_is_configured(home: Path, client: str) -> None:
    """Without any configuration there is nothing to test: config, exit 10, and what to type."""
    done = cc.run(home, "test", "--json", "-T", client)
    assert done.rc == 10, done
    assert "ccsetup init" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("client", "change", "said"),
    [
        ("claude-code", lambda url: url + "/v1", "/v1"),
        ("claude-code", lambda url: url + "/v1/messages", "/v1/messages"),
        ("claude-code", lambda url: url.removeprefix("http://"), "http"),
        ("claude-code", lambda url: url + "?x=1", "query|?"),
        ("claude-code", lambda url: "http://203.0.113.7/api", "https"),
        ("codex", lambda url: url + "/responses", "/responses"),
        ("codex", lambda url: url + "/chat/completions", "/chat/completions"),
        ("codex", lambda url: url.removeprefix("http://"), "http"),
        ("codex", lambda url: "http://203.0.113.7/api", "https"),
    ],
)
def test_bad_addresses(home: Path, emulator: Emulator, client: str, change: Any, said: str) -> None:
    """What is wrong with the shape of a URL is said before anything is sent."""
    bent = Bent(emulator, change)
    write(home, client, cast(Emulator, bent))
    judged = judge(home, client, emulator)
    check(judged, Row("", "config", "resolve", said))
    assert emulator.calls == []


class Bent(NamedTuple):
    """An emulator under a URL that is not its own."""

    emulator: Emulator
    change: Any

    @property
    def claude_url(self) -> str:
        return str(self.change(self.emulator.claude_url))

    @property
    def codex_url(self) -> str:
        return str(self.change(self.emulator.codex_url))

    @property
    def key(self) -> str:
        return self.emulator.key


# Deep


def deep_text(judged: Judgement) -> str:
    """Return what the layer deep says, in lower case."""
    return next(json.dumps(s, ensure_ascii=False).lower() for s in judged.steps if s["layer"] == "deep")


@pytest.mark.parametrize("client", CLIENTS)
def test_deep_reports_everything(home: Path, emulator: Emulator, client: str) -> None:
    """A good endpoint: streaming, tools and parallel tools are said to work, usage and rate limits are shown."""
    write(home, client, emulator)
    judged = judge(home, client, emulator, level="deep", timeout=20 * TIMEOUT)
    assert judged.verdict == "ok", judged
    text = deep_text(judged)
    assert "parallel" in text
    assert "tool" in text
    assert "ratelimit" in text or "rate limit" in text, judged


@pytest.mark.parametrize(
    ("scenario", "client", "said"),
    [
        ("rejects-context-management", "claude-code", "claude_code_disable_experimental_betas"),
        ("rejects-output-config", "claude-code", "claude_code_effort_level"),
        ("rejects-web-search", "codex", "web_search"),
        ("rejects-namespace-tools", "codex", "agents|multi_agent"),
    ],
)
def test_deep_names_the_setting(home: Path, emulator: Emulator, scenario: str, client: str, said: str) -> None:
    """A field that a client sends and the provider refuses is named with the setting that avoids it."""
    emulator.play(scenario)
    if client == "codex":
        from support.probing import write_codex

        write_codex(home, emulator.codex_url, emulator.key, quiet=False)
    else:
        from support.probing import write_claude

        write_claude(home, emulator.claude_url, emulator.key, CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS="")
    judged = judge(home, client, emulator, level="deep", timeout=20 * TIMEOUT)
    check(judged, Row("", "degraded", "deep", said))


# The providers of the presets, under their real names

CASES = [
    ("glm", "claude-code"),
    ("glm", "codex"),
    ("minimax", "claude-code"),
    ("minimax", "codex"),
    ("kimi", "claude-code"),
    ("kimi", "codex"),
    ("deepseek", "claude-code"),
    ("openrouter", "codex"),
    ("siliconflow", "claude-code"),
    ("xai", "codex"),
    ("stepfun", "claude-code"),
    ("302ai", "claude-code"),
    ("qwen", "codex"),
    ("openai", "codex"),
    ("anthropic", "claude-code"),
]


@pytest.fixture(scope="module")
def net() -> Iterator[Internet]:
    with Internet() as running:
        yield running


def preset_target(net: Internet, home: Path, preset: str, client: str, key: str, region: str = "") -> Judgement:
    """Test a preset (its first region, or *region*) with a key, in this process."""
    from ccsetup import presets
    from ccsetup.clients import CLIENTS, saved
    from ccsetup.clients.values import Use
    from ccsetup.model import Secret
    from ccsetup.profiles import Part, Profile

    found = presets.load(preset)
    profile = Profile(preset, preset, region or found.regions[0].id, "inline", "", {cast(Any, client): Part()})
    endpoint = CLIENTS[client].endpoint(profile, found)
    use = Use(profile=profile, preset=found, endpoint=endpoint, key=Secret(key), reader=())
    version = CLIENTS[client].newest
    target = saved.target(use, Secret(key), CLIENTS[client], version, cc.environment(home, net.env), kind="preset")
    with mock.patch.dict(os.environ, net.env):
        (report,), _ = run.probe([target], run.ProbeOptions(timeout=20 * TIMEOUT))
    said = report.json()
    return judgement(said, EXIT[said["verdict"]], json.dumps(said, ensure_ascii=False) + repr(report))


def _site(net: Internet, preset: str, client: str) -> Any:
    emulator = net.emulator(preset)
    return emulator.claude_site if client == "claude-code" else emulator.codex_site


@pytest.mark.parametrize(("preset", "client"), CASES)
@pytest.mark.parametrize("scenario", ["good", "bad-key", "no-quota", "forbidden", "wrong-region", "model-missing"])
def test_presets(net: Internet, home: Path, preset: str, client: str, scenario: str) -> None:
    """Each provider's own way to say that the key is good, bad, of another site, or out of money is understood."""
    if (preset, scenario) == ("anthropic", "model-missing"):
        pytest.skip("the preset leaves the models to Claude Code")
    if (preset, scenario) == ("minimax", "forbidden"):
        pytest.skip("there, 403 is a wrong key (mmx-cli 1.0.27)")
    emulator = net.emulator(preset)
    emulator.play(scenario)
    site = _site(net, preset, client)
    key = site.key
    if scenario == "wrong-region":
        others = [each.key for each in emulator.sites.values() if each is not site]
        if not others:
            pytest.skip("a single site")
        key = others[0]
    judged = preset_target(net, home, preset, client, key)
    verdict = {
        "good": "ok",
        "bad-key": "key",
        "no-quota": "quota",
        "forbidden": "forbidden",
        "wrong-region": "key",
        "model-missing": "model",
    }
    layer = {
        "bad-key": "key",
        "no-quota": "key wire",
        "forbidden": "key wire",
        "wrong-region": "key",
        "model-missing": "model wire",
    }
    said = {"wrong-region": "site|region"}.get(scenario, "")
    check(judged, Row(scenario, verdict[scenario], layer.get(scenario, ""), said))
    assert shown([key], judged.output) == []
    elsewhere = [each for each in net.sites.values() if each is not site]
    seen = [f"{c.method} {each.host}{c.path}" for each in elsewhere for c in each.calls if key in str(c.credentials)]
    assert seen == []
    for each in net.sites.values():
        each.clear()


@pytest.mark.parametrize(
    ("scenario", "verdict", "layer"),
    [("good", "ok", ""), ("bad-key", "key", "key"), ("model-missing", "model", "model wire key")],
)
def test_401_for_a_model(net: Internet, home: Path, scenario: str, verdict: str, layer: str) -> None:
    """Kimi Code answers 401 for an unknown model: that is no wrong key."""
    net.emulator("kimi").play(scenario)
    site = net.site("api.kimi.com")
    judged = preset_target(net, home, "kimi", "claude-code", site.key, "code")
    check(judged, Row("", verdict, layer))


def test_a_plan_key(net: Internet, home: Path) -> None:
    """MiniMax has a check for each kind of key; the other one does not know it."""
    net.emulator("minimax").play()
    site = net.site("api.minimax.cn")
    site.more_keys["sk-cp-9f86d081884c7d65"] = "good"
    site.clear()
    judged = preset_target(net, home, "minimax", "claude-code", "sk-cp-9f86d081884c7d65")
    check(judged, Row("", "ok"))
    assert [call.path for call in site.of("check")] == ["/v1/token_plan/remains"]


def test_a_key_of_another_provider(net: Internet, home: Path) -> None:
    """A key whose beginning is known to be another provider's is named as that."""
    net.emulator("kimi").play()
    judged = preset_target(net, home, "kimi", "claude-code", "sk-or-v1-9f86d081884c7d659f86d081884c7d65")
    assert judged.verdict == "key", f"\n{judged!r}"
    assert "openrouter" in judged.output.lower(), f"\n{judged!r}"


def test_a_public_list_proves_nothing(net: Internet, home: Path) -> None:
    """OpenRouter lists its models for everybody: a bad key is found although the list comes."""
    net.emulator("openrouter").play("bad-key")
    judged = preset_target(net, home, "openrouter", "claude-code", "sk-or-v1-9f86d081884c7d65")
    check(judged, Row("", "key", "key"))


def test_a_balance_is_shown(net: Internet, home: Path) -> None:
    """Where the provider tells a balance, the key's step shows it."""
    net.emulator("deepseek").play()
    judged = preset_target(net, home, "deepseek", "claude-code", net.site("api.deepseek.com").key)
    assert "110" in next(s["summary"] for s in judged.steps if s["layer"] == "key")


@pytest.mark.parametrize(("preset", "client"), [("glm", "codex"), ("minimax", "claude-code"), ("xai", "codex")])
def test_a_preset_before_anything_is_written(net: Internet, home: Path, preset: str, client: str) -> None:
    """``ccsetup test -p ID -k -`` tests a preset with a key from standard input; nothing is written."""
    net.emulator(preset).play()
    before = cc.files(home)
    done = cc.run(
        home,
        "test",
        "--json",
        "-p",
        preset,
        "-T",
        client,
        "-k",
        "-",
        env=dict(net.env),
        stdin=_site(net, preset, client).key,
    )
    assert done.rc == 0, done
    assert cc.files(home) == before
    assert shown([_site(net, preset, client).key], done.stdout + done.stderr) == []
