"""``ccsetup relay drain``: where its addresses come from, and how it ends."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from support import cc, servers, waiting
from support.servers import PostgresServer, RedisServer
from support.usage import row

PASSWORD = "hidden-0123456789"


@pytest.fixture
def stream(tmp_path: Path) -> Iterator[RedisServer]:
    with servers.redis(tmp_path, password=PASSWORD) as running:
        yield running


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with servers.postgres() as running:
        yield running


def test_addresses_from_variables_and_the_configuration(
    home: Path, stream: RedisServer, postgres: PostgresServer
) -> None:
    """The store of relay.yaml with its password, the database of the variable; then one that runs until SIGTERM."""
    config = (
        f"relay: 1\nstore: {{url: 'redis://127.0.0.1:{stream.port}', password: {{env: STORE_PASSWORD}}}}\n"
        "upstreams: [{name: a, url: https://a.example, wire: chat, key: {env: A}, default_model: m}]\n"
    )
    cc.put(home, {".config/ccsetup/relay.yaml": config})
    with redis.Redis(port=stream.port, password=PASSWORD) as client:
        client.xadd("ccsetup:usage", {"rows": json.dumps([{"relay": "r1", **row(1)._asdict()}])})
    env = {"STORE_PASSWORD": PASSWORD, "CCSETUP_RELAY_POSTGRES": postgres.url}
    done = cc.run(home, "relay", "drain", "--once", "--json", env=env)
    assert done.ok, done
    assert done.json["result"] == {"written": 1, "skipped": 0}
    assert PASSWORD not in done.stdout + done.stderr
    process = cc.start(home, "relay", "drain", env=env)
    with redis.Redis(port=stream.port, password=PASSWORD) as client:
        client.xadd("ccsetup:usage", {"rows": json.dumps([{"relay": "r1", **row(2)._asdict()}])})
        while client.xinfo_groups("ccsetup:usage")[0]["lag"] or client.xpending("ccsetup:usage", "drain")["pending"]:
            assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=waiting.LIMIT)
    assert (process.returncode, out.strip(), err) == (0, b"1 requests were written.", b"")


def test_addresses_that_are_missing_or_wrong(home: Path) -> None:
    """Each is one sentence, and no password of an address is shown."""
    missing = cc.run(home, "relay", "drain", "--once")
    assert missing.rc == 2
    assert "CCSETUP_RELAY_REDIS" in missing.stderr
    one = cc.run(home, "relay", "drain", "--once", "--redis", f"redis://:{PASSWORD}@127.0.0.1:1")
    assert one.rc == 2
    assert "CCSETUP_RELAY_POSTGRES" in one.stderr
    argv = ("relay", "drain", "--once", "--redis", f"redis://:{PASSWORD}@127.0.0.1:1")
    away = cc.run(home, *argv, "--postgres", f"postgresql://u:{PASSWORD}@127.0.0.1:1/d")
    assert away.rc == 1
    assert "Other users of this machine can see the password in --redis" in away.stderr
    assert PASSWORD not in away.stdout + away.stderr
