"""``ccsetup relay`` with a real relay in the background: from nothing to nothing."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import cc, systemd, tls, waiting, world
from support.terminal import Terminal

KEY = "sk-test-0123456789abcdef"


@pytest.fixture
def port() -> int:
    return world.port()


@pytest.fixture
def relayed(home: Path, port: int) -> Iterator[Path]:
    """A home whose relay is set up, and not running; at the end it is not running either."""
    assert cc.main("init", "-s", "-p", "glm", "-k", KEY, "-T", "all", "--no-activate").ok
    done = cc.main("relay", "init", "--from-profiles", "glm", "--port", str(port))
    assert done.ok, done
    yield home
    cc.run(home, "relay", "stop", "--now")


def test_from_nothing_to_nothing(relayed: Path, port: int) -> None:
    """start, start again, status, reload, reset, logs, stop, stop again: each says what it found."""
    url = f"http://127.0.0.1:{port}"
    status = cc.run(relayed, "relay", "status")
    assert (status.rc, "No relay is running" in status.stdout) == (1, True)
    assert "no log yet" in cc.run(relayed, "relay", "logs").stderr
    for command in (["reload"], ["reset"], ["reset", "glm"], ["record", "local"]):
        assert cc.main("relay", *command, "--json").json["command"] == f"relay {command[0]}"
        refused = cc.run(relayed, "relay", *command)
        assert refused.rc == 1
        assert "No relay is running." in refused.stderr
    started = cc.run(relayed, "relay", "start")
    assert started.ok, started
    assert url in started.stdout
    again = cc.run(relayed, "relay", "start", "--json")
    assert again.json["result"]["started"] is False
    assert again.json["result"]["url"] == url
    with urllib.request.urlopen(url + "/healthz") as answer:
        assert answer.status == 200
    said = cc.run(relayed, "relay", "status", "--json").json["result"]
    assert said["state"] == "runs"
    assert said["pid"] == again.json["result"]["pid"]
    assert [u["name"] for u in said["upstreams"]] == ["glm"]
    shown = cc.run(relayed, "relay", "status")
    assert shown.ok
    assert "glm" in shown.stdout
    assert cc.run(relayed, "relay", "reload").ok
    assert cc.run(relayed, "relay", "reset", "glm").ok
    assert "'nobody'" in cc.run(relayed, "relay", "reset", "nobody").stderr
    assert " started url=" in cc.run(relayed, "relay", "logs", "-n", "500").stdout
    assert cc.run(relayed, "relay", "run").rc == 1  # there is one already
    stopped = cc.run(relayed, "relay", "stop")
    assert stopped.ok, stopped
    assert "stopped" in stopped.stdout
    assert "no relay is running" in cc.run(relayed, "relay", "stop").stdout
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(url + "/healthz")
    assert not (relayed / ".local/state/ccsetup/relay/run.json").exists()


def test_restart_is_a_new_process(relayed: Path) -> None:
    """restart starts one where none was, and another one where there was one."""
    first = cc.run(relayed, "relay", "restart", "--json").json["result"]
    second = cc.run(relayed, "relay", "restart", "--json").json["result"]
    assert first["started"]
    assert second["started"]
    assert first["pid"] != second["pid"]


def test_what_cannot_start_again_is_not_stopped(relayed: Path) -> None:
    """A broken relay.yaml keeps restart and reload from doing harm, and is named with its place."""
    assert cc.run(relayed, "relay", "start").ok
    file = relayed / ".config/ccsetup/relay.yaml"
    good = file.read_text()
    file.write_text(good + "ping: nonsense\n")
    for command in ("restart", "reload"):
        refused = cc.run(relayed, "relay", command)
        assert refused.rc == 1
        assert "relay.yaml:" in refused.stderr
        assert "has to be a number" in refused.stderr
        assert f"Correct it, then run: ccsetup relay {command}" in refused.stderr
    again = cc.run(relayed, "relay", "start")
    assert again.stdout.startswith("unchanged")
    assert "has to be a number" in again.stderr
    assert "--force" in cc.run(relayed, "relay", "init").stderr
    file.write_text(good)
    assert cc.run(relayed, "relay", "restart", "--log-level", "loud").rc == 2
    open_to_all = cc.run(relayed, "relay", "restart", "--host", "0.0.0.0")
    assert open_to_all.rc == 1
    assert "TLS" in open_to_all.stderr
    keys = relayed / ".config/ccsetup/relay-keys.json"
    keys.write_text("{")
    assert cc.run(relayed, "relay", "restart").rc == 1
    assert cc.run(relayed, "relay", "status").ok


def test_relay_that_ends_is_no_relay_that_is_not_there(relayed: Path, port: int) -> None:
    """While the last answers finish, commands say so, and how to end it at once."""
    with socket.socket() as provider:
        provider.bind(("127.0.0.1", 0))
        provider.listen()
        file = relayed / ".config/ccsetup/relay.yaml"
        url = f"http://127.0.0.1:{provider.getsockname()[1]}"
        file.write_text(
            f"relay: 1\nlisten: {{port: {port}, keyless: true}}\nupstreams:\n"
            f"  - {{name: slow, url: '{url}', wire: chat, key: {{profile: glm}}}}\n"
        )
        assert cc.run(relayed, "relay", "start").ok
        with socket.create_connection(("127.0.0.1", port)) as client:
            body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}]}).encode()
            head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n\r\n"
            client.sendall(head.encode() + body)
            connection, _address = provider.accept()
            with connection:
                connection.recv(1)  # the answer is being waited for
                stop = cc.start(relayed, "relay", "stop")
                assert stop.stdout is not None
                assert b"running" in stop.stdout.readline()
                stop.send_signal(signal.SIGINT)
                stop.communicate(timeout=waiting.LIMIT)
                assert stop.returncode == 130
                deadline = time.monotonic() + waiting.LIMIT
                while (status := cc.run(relayed, "relay", "status")).ok:  # it looks every tenth of a second
                    assert time.monotonic() < deadline
                refused = cc.run(relayed, "relay", "reload")
                assert refused.rc == 1
                for said in (status.stdout, refused.stderr):
                    assert "ccsetup relay stop --now" in said
                assert cc.run(relayed, "relay", "stop", "--now").ok


def test_port_that_is_taken(relayed: Path, port: int) -> None:
    """start tells why the relay ended, and exits with 1."""
    with socket.create_server(("127.0.0.1", port)):
        refused = cc.run(relayed, "relay", "start")
    assert refused.rc == 1
    assert "Address already in use" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_killed_relay_is_not_believed(relayed: Path) -> None:
    """After kill -9 the run file is there, but status says that none runs, and start starts one."""
    pid = cc.run(relayed, "relay", "start", "--json").json["result"]["pid"]
    os.kill(pid, signal.SIGKILL)
    assert cc.run(relayed, "relay", "status").rc == 1
    again = cc.run(relayed, "relay", "start", "--json").json["result"]
    assert again["started"]
    assert again["pid"] != pid


def test_a_copied_home_leaves_the_relay_of_the_original_alone(relayed: Path, tmp_path: Path) -> None:
    """Nothing that is run in a copy stops, steers or asks the relay that the copied run.json tells of."""
    pid = cc.run(relayed, "relay", "start", "--json").json["result"]["pid"]
    copy = tmp_path / "copy"
    shutil.copytree(relayed, copy)
    for command in (["status"], ["reload"], ["reset"], ["record", "local"]):
        refused = cc.run(copy, "relay", *command)
        assert refused.rc == 1
        assert "No relay is running." in refused.stdout + refused.stderr
    for command in (["stop"], ["stop", "--now", "--disable"]):
        assert "no relay is running" in cc.run(copy, "relay", *command).stdout
    for command in (["start"], ["restart"]):  # its relay.yaml has the same port
        refused = cc.run(copy, "relay", *command)
        assert refused.rc == 1
        assert "Address already in use" in refused.stderr
    gone = cc.run(copy, "uninstall", "--yes")
    assert gone.ok
    assert "relay was stopped" not in gone.stderr
    assert not (copy / ".config/ccsetup/relay.yaml").exists()
    assert cc.run(relayed, "relay", "status", "--json").json["result"]["pid"] == pid


def test_run_in_the_foreground_ends_with_ctrl_c(relayed: Path) -> None:
    """Ctrl-C ends ``relay run`` gracefully, and ``relay start`` sees it while it runs."""
    process = cc.start(relayed, "relay", "run")
    run_file = relayed / ".local/state/ccsetup/relay/run.json"
    deadline = time.monotonic() + waiting.LIMIT
    while not run_file.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert "already" in cc.run(relayed, "relay", "start").stdout
    process.send_signal(signal.SIGINT)
    _out, err = process.communicate(timeout=waiting.LIMIT)
    assert process.returncode == 0
    assert b"Traceback" not in err
    assert not run_file.exists()


def test_config_switch_starts_it(relayed: Path, port: int) -> None:
    """config-switch relay starts the relay and says so; a dry run starts nothing; the second time nothing is said."""
    dry = cc.run(relayed, "config-switch", "relay", "--dry-run")
    assert dry.ok, dry
    assert cc.run(relayed, "relay", "status").rc == 1
    done = cc.run(relayed, "config-switch", "relay", "-T", "all")
    assert done.ok, done
    assert f"The relay was started at http://127.0.0.1:{port}" in done.stderr
    again = cc.run(relayed, "config-switch", "relay").stderr
    assert "was started" not in again
    assert "Note: The relay is not started at login." in again
    env = json.loads((relayed / ".claude/settings.json").read_text())["env"]
    assert env["ANTHROPIC_BASE_URL"] == f"http://127.0.0.1:{port}"
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/models", headers={"authorization": f"Bearer {env['ANTHROPIC_AUTH_TOKEN']}"}
    )
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200
    assert "relay" in cc.run(relayed, "list").stdout


def test_config_switch_starts_it_by_another_name(relayed: Path, port: int) -> None:
    """``relay-config`` is the profile ``relay``, as ``glm-config`` is ``glm``."""
    done = cc.run(relayed, "config-switch", "relay-config", "-T", "all")
    assert done.ok, done
    assert f"The relay was started at http://127.0.0.1:{port}" in done.stderr


def test_run_starts_it(relayed: Path, tmp_path: Path) -> None:
    """A client that is started once with the relay finds it running."""
    program = tmp_path / "claude"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    done = cc.run(relayed, "run", "relay", "--", str(program))
    assert done.ok, done
    assert "The relay was started" in done.stderr
    assert cc.run(relayed, "relay", "status").ok


def test_config_switch_tells_why_it_does_not_start(relayed: Path, port: int) -> None:
    """The clients are switched, the reason is told, and exit 5 says that something is left to do."""
    with socket.create_server(("127.0.0.1", port)):
        done = cc.run(relayed, "config-switch", "relay", "-T", "codex")
    assert done.rc == 5
    assert "Codex uses profile 'relay'" in done.stdout
    assert "Address already in use" in done.stderr


def test_new_key_works_without_restart(relayed: Path, port: int) -> None:
    """A key is taken as soon as it was made, and refused as soon as it was revoked."""
    assert cc.run(relayed, "relay", "start").ok
    made = cc.run(relayed, "relay", "key", "add", "tom")
    assert made.ok
    assert made.stdout.strip().startswith("ccr-")

    def status() -> int:
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/v1/models", headers={"x-api-key": made.stdout.strip()}
        )
        try:
            with urllib.request.urlopen(request) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as e:
            e.close()
            return e.code

    assert status() == 200
    assert cc.run(relayed, "relay", "key", "revoke", "tom").ok
    assert status() == 401


def test_new_upstream_is_asked_without_restart(relayed: Path, port: int) -> None:
    """What init and import write into relay.yaml counts when they end; another address only after a restart."""
    assert cc.run(relayed, "relay", "start").ok

    def upstreams() -> list[str]:
        return [u["name"] for u in cc.run(relayed, "relay", "status", "--json").json["result"]["upstreams"]]

    done = cc.run(relayed, "init", "-s", "-p", "siliconflow", "-k", KEY, "-T", "codex", "--via-relay", "--no-start")
    assert done.ok, done
    assert f"The relay runs at http://127.0.0.1:{port}." in done.stdout
    assert "not started" not in done.stderr
    assert upstreams() == ["siliconflow", "glm"]
    done = cc.run(relayed, "relay", "init", "--from-profiles", "glm", "--force", "--port", str(world.port()))
    assert upstreams() == ["glm"]
    for said in (done, cc.run(relayed, "relay", "reload"), cc.run(relayed, "relay", "status")):
        assert said.ok
        assert "Run: ccsetup relay restart" in said.stderr
    assert cc.run(relayed, "relay", "restart").ok
    assert cc.run(relayed, "relay", "reload").stderr == ""


def test_watched_client_and_upstream_have_to_be_there(relayed: Path) -> None:
    """A name that nobody has is refused, with those that there are."""
    assert cc.run(relayed, "relay", "start").ok
    for name in ("local", "*"):
        done = cc.run(relayed, "relay", "record", name, "--json")
        assert done.json["result"] == {"client": name, "seconds": 60}
    for argv, known in ((("record", "nobody"), "There are: local"), (("reset", "nobody"), "There are: glm")):
        refused = cc.run(relayed, "relay", *argv)
        assert refused.rc == 2
        assert known in refused.stderr


def test_tls_with_a_name_is_no_other_address(relayed: Path, port: int, tmp_path: Path) -> None:
    """The profile has the name of the certificate; that the relay listens at an address is no contradiction."""
    certificate = tls.authority().issue_cert("localhost")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    certificate.cert_chain_pems[0].write_to_path(str(cert))
    certificate.private_key_pem.write_to_path(str(key))
    file = relayed / ".config/ccsetup/relay.yaml"
    secure = f"listen: {{port: {port}, tls_cert: {cert}, tls_key: {key}, names: [localhost]}}"
    file.write_text(re.sub(r"^listen:.*\n(?: .*\n)*", secure + "\n", file.read_text(), flags=re.M))
    assert cc.run(relayed, "relay", "init").ok
    assert f"https://localhost:{port}" in (relayed / ".config/ccsetup/profiles.toml").read_text()
    for command in ("start", "start", "restart"):
        done = cc.run(relayed, "relay", command)
        assert done.ok, done
        assert done.stderr == ""


def test_other_address_than_the_profile_has(relayed: Path, port: int) -> None:
    """Whoever does what the hint says has clients that reach the relay."""
    other = world.port()
    file = relayed / ".config/ccsetup/relay.yaml"
    for command in ("start", "restart"):
        done = cc.run(relayed, "relay", command, "--port", str(other))
        assert f"leads the clients to http://127.0.0.1:{port}" in done.stderr
        assert "below 'listen' in ~/.config/ccsetup/relay.yaml and run: ccsetup relay init" in done.stderr
    assert "Run: ccsetup relay restart" in cc.run(relayed, "relay", "start").stderr
    file.write_text(file.read_text().replace(f"port: {port}", f"port: {other}"))
    assert "Run: ccsetup relay init" in cc.run(relayed, "relay", "start").stderr
    assert cc.run(relayed, "relay", "init").ok
    assert cc.run(relayed, "relay", "start").stderr == ""
    elsewhere = cc.run(relayed, "relay", "start", "--host", "127.0.0.2")
    assert "The relay that runs has" in elsewhere.stderr


def test_missing_packages_are_named(relayed: Path, tmp_path: Path) -> None:
    """Where the extra is not installed, one sentence says how to install it."""
    hide = tmp_path / "hide"
    hide.mkdir()
    (hide / "sitecustomize.py").write_text(
        "import importlib.util as u\n"
        "real = u.find_spec\n"
        "u.find_spec = lambda name, package=None: None if name in ('httptools',) else real(name, package)\n"
    )
    env = {"PYTHONPATH": f"{cc.SOURCE}{os.pathsep}{hide}"}
    for argv in (("relay", "run"), ("relay", "start"), ("relay", "restart")):
        refused = cc.run(relayed, *argv, env=env)
        assert refused.rc == 1
        assert "httptools" in refused.stderr
        assert "pip install 'ccsetup[relay]'" in refused.stderr
    switched = cc.run(relayed, "config-switch", "relay", env=env)
    assert switched.rc == 5
    assert "pip install 'ccsetup[relay]'" in switched.stderr
    for argv in (("relay", "status"), ("relay", "key", "list"), ("relay", "check", "--help")):
        assert "httptools" not in cc.run(relayed, *argv, env=env).stderr


def test_systemd_runs_it_where_it_is_there(relayed: Path, tmp_path: Path) -> None:
    """start writes a unit and has it started; --enable also when it runs already; --disable takes the unit away."""
    env = systemd.stand_in(tmp_path)
    unit = relayed / ".config/systemd/user/ccsetup-relay.service"
    started = cc.run(relayed, "relay", "start", env=env)
    assert started.ok, started
    assert unit.exists()
    enabled = cc.run(relayed, "relay", "start", "--enable", env=env)
    assert enabled.ok, enabled
    assert "already" in enabled.stdout
    assert (relayed / "asked").read_text().splitlines()[-1] == "--user enable ccsetup-relay.service"
    assert cc.run(relayed, "relay", "stop", "--disable", env=env).ok
    assert not unit.exists()
    assert cc.run(relayed, "relay", "status", env=env).rc == 1
    assert cc.run(relayed, "relay", "start", "--enable", "--no-service", env=env).rc == 2


SWITCH = ("config-switch", "relay")
STARTS = "It is started at every login; no more with: ccsetup relay stop --disable"


@pytest.mark.parametrize(("answer", "enabled"), [("y\r", True), ("\r", False), ("n\r", False)])
def test_a_switch_offers_the_start_at_login(relayed: Path, tmp_path: Path, answer: str, enabled: bool) -> None:
    """At a terminal it asks once, when it starts the relay; later it only says how it is."""
    env = systemd.stand_in(tmp_path)
    with Terminal(relayed, *SWITCH, env={**env, "TERM": "dumb"}, size=(24, 120)) as terminal:
        terminal.answer("Start the relay at every login, too? [y/N]", answer)
        assert terminal.ends() == 0
    assert (STARTS in terminal.text) == enabled
    assert ("ccsetup relay start --enable" in terminal.text) != enabled
    with Terminal(relayed, *SWITCH, env={**env, "TERM": "dumb"}, size=(24, 120)) as terminal:
        assert terminal.ends() == 0
    assert (STARTS in terminal.text) == enabled
    assert ("enable ccsetup-relay.service" in (relayed / "asked").read_text().replace("is-enable", "")) == enabled


def test_a_switch_that_may_not_ask_says_the_command(relayed: Path, tmp_path: Path) -> None:
    """With -s, in a pipe and for programs; where nothing starts services, what to do instead."""
    env = systemd.stand_in(tmp_path)
    with Terminal(relayed, *SWITCH, "-s", env={**env, "TERM": "dumb"}, size=(24, 120)) as terminal:
        assert terminal.ends() == 0
    assert "Have it started at every login: ccsetup relay start --enable" in terminal.text
    assert "[y/N]" not in terminal.text
    piped = cc.run(relayed, *SWITCH, env=env)
    assert "Have it started at every login: ccsetup relay start --enable" in piped.stderr
    notes = cc.run(relayed, *SWITCH, "--json", env=env).json["notes"]
    assert "ccsetup relay start --enable" in notes[-1]["hint"]
    bare = cc.run(relayed, *SWITCH, "--lang", "zh-CN")
    assert "ccsetup relay start" in bare.stderr
    assert "--enable" not in bare.stderr
    assert cc.run(relayed, "relay", "start", "--enable", env=env).ok
    assert STARTS in cc.run(relayed, *SWITCH, env=env).stderr


def test_variables_of_the_shell_keep_systemd_out(relayed: Path, tmp_path: Path) -> None:
    """A relay that needs a key of this shell is started from it, and the note says why."""
    env = {**systemd.stand_in(tmp_path), "RELAY_TEST_KEY": KEY}
    file = relayed / ".config/ccsetup/relay.yaml"
    file.write_text(file.read_text().replace("{profile: glm}", "{env: RELAY_TEST_KEY}"))
    started = cc.run(relayed, "relay", "start", env=env)
    assert started.ok, started
    assert "RELAY_TEST_KEY" in started.stderr
    assert not (relayed / ".config/systemd").exists()


def test_uninstall_takes_it_away(relayed: Path) -> None:
    """uninstall ends the relay and removes its settings and keys."""
    assert cc.run(relayed, "config-switch", "relay").ok
    done = cc.run(relayed, "uninstall", "-y")
    assert done.ok, done
    assert cc.run(relayed, "relay", "status").rc == 1
    left = [name for name in cc.files(relayed) if "relay" in name]
    assert left == []
