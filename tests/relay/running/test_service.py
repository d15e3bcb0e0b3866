"""Starting and stopping a relay in the background, with a process that only behaves like one."""

from __future__ import annotations

import os
import plistlib
import pwd
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import cc, systemd, waiting

from ccsetup import paths
from ccsetup.errors import CcsetupError
from ccsetup.paths import Paths
from ccsetup.platform import system
from ccsetup.relay.config.places import Places
from ccsetup.relay.running import control, service
from ccsetup.relay.running.service import Job

FAKE = str(Path(__file__).resolve().parents[2] / "support" / "fake_relay.py")


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Places]:
    found = Places(str(tmp_path / "relay.yaml"), str(tmp_path / "keys.json"), str(tmp_path / "relay"))
    yield found
    running = control.recorded(found)
    if running is not None and system.born(running.pid) == running.born:
        os.kill(running.pid, 9)
    while service._started:
        service._started.pop().wait()


def job(at: Places, mode: str = "") -> Job:
    return Job("process", (sys.executable, FAKE, at.folder, mode), "", "", False)


def test_start_and_stop(at: Places, home: Path) -> None:
    """start returns when the relay answers; its log is private; stop returns when the process is gone."""
    running = service.start(job(at), at, cc.environment(home))
    assert control.alive(at) == running
    assert Path(at.log).read_text() == "started\n"
    assert stat.S_IMODE(os.stat(at.log).st_mode) == 0o600
    assert os.getsid(running.pid) == running.pid  # a terminal that closes does not take it along
    assert os.readlink(f"/proc/{running.pid}/cwd") == "/"
    assert service.stop(running, 10)
    assert control.look(at) == ("none", None)
    assert not os.path.exists(at.run)


def test_a_relay_that_ends_at_once_says_why(at: Places, home: Path) -> None:
    """The reason is what this run wrote to the log, not an older one."""
    at.make()
    Path(at.log).write_text("an old line\n")
    with pytest.raises(CcsetupError, match="the port is taken") as e:
        service.start(job(at, "broken"), at, cc.environment(home))
    assert "an old line" not in e.value.message


def test_program_that_cannot_be_run(at: Places, home: Path) -> None:
    """A program that is not there is a sentence, not a bug."""
    with pytest.raises(CcsetupError, match="cannot be run"):
        service.start(Job("process", ("/nowhere/ccsetup",), "", "", False), at, cc.environment(home))


def test_stop_waits_and_never_signals(at: Places, home: Path) -> None:
    """A relay that is finishing its answers is waited for; a second stop does not cut them."""
    running = service.start(job(at, "cut"), at, cc.environment(home))
    assert not service.stop(running, 0.2)
    assert control.look(at)[0] == "silent"
    assert not service.stop(running, 0.2)  # a signal would have ended it: it needs two
    assert service.kill(running)


def test_stop_waits_for_a_slow_end(at: Places, home: Path) -> None:
    """The end of the process counts, not the answer to the request."""
    running = service.start(job(at, "slow"), at, cc.environment(home))
    assert service.stop(running, 20)
    assert system.born(running.pid) != running.born


def test_kill_ends_what_does_not_listen(at: Places, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relay that ignores everything is ended by the system."""
    running = service.start(job(at, "deaf"), at, cc.environment(home))
    ended = service._ended
    monkeypatch.setattr(service, "_ended", lambda r, seconds: ended(r, min(seconds, 0.3)))
    service.kill(running)
    service._started[0].wait(waiting.LIMIT)
    assert control.look(at) == ("none", None)


def test_another_process_of_that_number_is_not_signalled(at: Places) -> None:
    """A record whose process is another one by now ends nothing."""
    pid = os.getpid()
    old = control.RelayProcess(pid, "1", "http://127.0.0.1:9", "/x", "t", "0")
    assert service.kill(old)


def test_long_log_is_put_aside(at: Places, home: Path) -> None:
    """A log beyond the limit becomes relay.log.1, and the new one begins empty."""
    at.make()
    Path(at.log).write_bytes(b"x" * (service.LOG_BYTES + 1))
    running = service.start(job(at), at, cc.environment(home))
    assert Path(at.log).read_text() == "started\n"
    assert Path(at.log + ".1").stat().st_size == service.LOG_BYTES + 1
    assert service.stop(running, 10)


# Service managers: stand-ins for their programs.


def there(home: Path, more: dict[str, str] | None = None) -> Paths:
    return paths.from_environ({"HOME": str(home), "PATH": os.environ["PATH"], **(more or {})})


@pytest.fixture
def systemctl(home: Path, tmp_path: Path) -> dict[str, str]:
    """An environment whose systemctl runs the unit's command itself."""
    return cc.environment(home, systemd.stand_in(tmp_path))


@pytest.mark.skipif(sys.platform != "linux", reason="systemd is for Linux")
def test_systemd(at: Places, home: Path, systemctl: dict[str, str]) -> None:
    """Where systemd answers, it runs the unit; stop is by request, and disable takes the unit away."""
    assert service.kind(systemctl) == "systemd"
    where = paths.from_environ(systemctl)
    one = service.job("systemd", at, where, (sys.executable, FAKE, at.folder), enable=True)
    Path(one.file).parent.mkdir(parents=True)
    Path(one.file).write_text(one.text)
    running = service.start(one, at, systemctl)
    assert control.alive(at) == running
    asked = (home / "asked").read_text().splitlines()
    assert "--user daemon-reload" in asked
    assert asked.index(f"--user enable {service.UNIT}") < asked.index(f"--user start {service.UNIT}")
    assert service.stop(running, 10)
    assert service.disable(where) == one.file
    assert (home / "asked").read_text().splitlines()[-1] == f"--user disable {service.UNIT}"


@pytest.mark.skipif(sys.platform != "linux", reason="systemd is for Linux")
@pytest.mark.parametrize("says", ["HOME=/home/other", "HOME=$'/home/o\\'ther x'", "XDG_CONFIG_HOME=/home/other/cfg"])
def test_systemd_of_another_home(home: Path, systemctl: dict[str, str], says: str) -> None:
    """A user's systemd starts and disables units of one home; from a second home of the user's it is left alone."""
    (home / "variables").write_text(says + "\n")
    assert service.kind({**systemctl, "XDG_CONFIG_HOME": str(home / ".config")}) == "process"
    where = paths.from_environ(systemctl)
    unit = Path(service.unit_file(where))
    unit.parent.mkdir(parents=True)
    unit.write_text("copied\n")
    assert service.disable(where) == str(unit)  # the file is this home's
    assert not any("disable" in line for line in (home / "asked").read_text().splitlines())


def test_systemd_of_this_home(home: Path, systemctl: dict[str, str]) -> None:
    """It is found by a link, and where the home's name is quoted."""
    (home.parent / "a b").symlink_to(home)
    (home / "variables").write_text(f"LANG=C\nHOME=$'{home.parent}/a b'\n")
    assert service.kind(systemctl) == "systemd"


def test_a_second_home_has_its_own_launchd_label(home: Path) -> None:
    """launchd knows one job by each label: that of the user's own home keeps its name."""
    own = pwd.getpwuid(os.getuid()).pw_dir
    assert service.label(own) == service.LABEL
    assert len({service.label(own), service.label(str(home)), service.label(str(home / "x"))}) == 3


def test_systemd_that_fails(at: Places, home: Path, systemctl: dict[str, str]) -> None:
    """A unit that failed is told with what it wrote."""
    (home / "state").write_text("failed")
    where = paths.from_environ(systemctl)
    one = service.job("systemd", at, where, (sys.executable, "-c", "raise SystemExit('no port')"), enable=False)
    Path(one.file).parent.mkdir(parents=True)
    Path(one.file).write_text(one.text)
    with pytest.raises(CcsetupError, match="ended right after its start"):
        service.start(one, at, systemctl)


def test_no_service_manager(home: Path) -> None:
    """Without systemd the relay is a process of its own, and cannot be started at login."""
    if sys.platform == "darwin":
        pytest.skip("launchd is always there")
    assert service.kind({"PATH": str(home)}) == "process"
    with pytest.raises(CcsetupError, match="needs systemd or launchd"):
        service.job("process", Places("/c", "/k", "/s"), there(home), ("x",), enable=True)


def test_unit_quotes_what_systemd_would_expand(home: Path) -> None:
    """Percent signs, dollars, quotes and spaces of paths reach the program as they are."""
    at = Places("/c d/100%.yaml", "/k", "/s")
    command = ("/usr/bin/python", "-m", "ccsetup", "--config", '/c d/$HOME/100%"x".yaml')
    text = service.job("systemd", at, there(home, {"XDG_STATE_HOME": "/s t/50%"}), command, enable=False).text
    assert r'ExecStart="/usr/bin/python" "-m" "ccsetup" "--config" "/c d/$$HOME/100%%\"x\".yaml"' in text
    assert 'Environment="XDG_STATE_HOME=/s t/50%%"' in text


def test_unit_holds_no_secret(home: Path) -> None:
    """Only named variables go into the unit."""
    text = service.job(
        "systemd", Places("/c", "/k", "/s"), there(home, {"ANTHROPIC_API_KEY": "sk-secret"}), ("x",), enable=False
    ).text
    assert "sk-secret" not in text


def test_launchd_agent_is_a_property_list(home: Path) -> None:
    """The agent is well-formed, whatever is in the paths."""
    one = service.job("launchd", Places("/c", "/k", "/s"), there(home), ("/a&b/py", "<x>"), enable=True)
    assert one.file == f"{home}/Library/LaunchAgents/ccsetup.relay.plist"
    found = plistlib.loads(one.text.encode())
    assert found["ProgramArguments"] == ["/a&b/py", "<x>"]
    assert found["StandardErrorPath"] == "/s/relay.log"
    assert found["EnvironmentVariables"]["PATH"] == os.environ["PATH"]


def test_time_is_not_waited_in_vain(at: Places, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that runs but never answers is told as such."""
    monkeypatch.setattr(service, "START_SECONDS", 0.3)
    program = (sys.executable, "-c", "import time; time.sleep(60)")
    with pytest.raises(CcsetupError, match="does not answer after"):
        service.start(Job("process", program, "", "", False), at, cc.environment(home))
    assert service._started[-1].wait(waiting.LIMIT) < 0
