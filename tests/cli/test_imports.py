"""A command imports what it needs and no more: start-up time is part of what ccsetup promises."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from support import cc, waiting

KEY = "test-key-0123456789abcdef"
NETWORK = {"httpx", "httpcore", "ssl", "asyncio", "socket", "truststore", "urllib.request", "http.client"}
INTERFACE = {"rich", "questionary", "prompt_toolkit", "pygments"}
NEVER = (
    NETWORK
    | INTERFACE
    | {"yaml", "platformdirs", "keyring", "logging", "tempfile", "ccsetup.probe", "ccsetup.keys.keychain"}
    | {"ccsetup.relay", "ccsetup.cli.relay", "httptools", "uvloop", "orjson"}
)
TOML = {"tomlkit"}
REQUESTS = {"ccsetup.change.entries", "ccsetup.profiles.apiconfigs"}
RARE = {"ccsetup.disk.reverse", "ccsetup.documents.nearest", "ccsetup.documents.dotenv", "ccsetup.presets.addresses"}
LOOKS = NEVER | TOML | REQUESTS | RARE | {"ccsetup.change.actions", "ccsetup.change.merge"}

MOST = 89
"""Modules of ours that one of these commands imports."""
DEAR = r"from typing import (\([^)]*|.*)\bNamedTuple\b"

COMMANDS: list[tuple[tuple[str, ...], set[str]]] = [
    (("list",), LOOKS),
    (("list", "--json"), LOOKS),
    (("config-switch", "--list"), NEVER | TOML | RARE),
    (("config-switch", "kimi", "-T", "cc"), NEVER | TOML | REQUESTS | RARE),
    (("config-switch", "glm"), NEVER | REQUESTS | RARE),
    (("config-switch", "official"), NEVER | REQUESTS | RARE),
    (("init", "-s", "-p", "glm", "-k", KEY, "-T", "all"), NEVER | RARE),
    (("init", "-s", "-p", "glm", "-k", KEY, "-T", "all", "--json"), NEVER | RARE),
    (("init", "-s", "-p", "nonsense", "-k", KEY), NEVER | TOML),
    (("undo", "--list"), NEVER | TOML),
    (("--help",), NEVER | TOML | {"ccsetup.cli.init", "ccsetup.disk", "ccsetup.change.actions"}),
    (("init", "--help"), NEVER | TOML),
]


def imported(home: Path, argv: tuple[str, ...], tmp_path: Path) -> set[str]:
    """Return the modules that ``ccsetup *argv`` imports."""
    seen = tmp_path / "modules"
    program = (
        "import atexit, sys\n"
        f"atexit.register(lambda: open({str(seen)!r}, 'w').write('\\n'.join(sys.modules)))\n"
        f"sys.argv = {['ccsetup', *argv]!r}\n"
        "from ccsetup.__main__ import main\n"
        "main()\n"
    )
    # Without site: it imports what .pth files of development tools ask for.
    path = [p for p in sys.path if p.endswith("-packages")]
    env = cc.environment(home) | {"PYTHONPATH": ":".join([cc.SOURCE, *path])}
    subprocess.run(
        [sys.executable, "-S", "-c", program], env=env, capture_output=True, check=False, timeout=waiting.LIMIT
    )
    return set(seen.read_text().split("\n"))


@pytest.mark.parametrize(("argv", "without"), COMMANDS, ids=[" ".join(c[0][:3]) for c in COMMANDS])
def test_commands_import_little(home: Path, tmp_path: Path, argv: tuple[str, ...], without: set[str]) -> None:
    """The modules named here are not imported by the command."""
    if not Path(cc.SOURCE, "ccsetup/_presets").is_dir():
        pytest.skip("the presets are not compiled, so YAML has to be read")
    for name in ("glm", "kimi"):
        assert cc.main("init", "-s", "-p", name, "-k", KEY + name, "-T", "all").ok
    seen = imported(home, argv, tmp_path)
    assert seen & without == set()
    ours = [Path(cc.SOURCE, name.replace(".", "/")) for name in seen if name.startswith("ccsetup")]
    files = [file for path in ours for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()]
    assert len(files) <= MOST, "modules cost 0.3 ms each"
    dear = [file for file in files if file.name != "tuples.py" and re.search(DEAR, file.read_text("utf-8"))]
    assert dear == [], "classes of values are those of ccsetup.tuples here"


@pytest.mark.parametrize("argv", [("doctor",), ("profile", "rename", "glm", "work"), ("key", "rm", "glm", "-y")])
def test_who_has_no_relay_imports_nothing_of_it(home: Path, tmp_path: Path, argv: tuple[str, ...]) -> None:
    """Commands that look after relay.yaml import neither the relay nor a reader of YAML where there is none."""
    if not Path(cc.SOURCE, "ccsetup/_presets").is_dir():
        pytest.skip("the presets are not compiled, so YAML has to be read")
    assert cc.main("init", "-s", "-p", "glm", "-k", KEY, "-T", "all").ok
    seen = imported(home, argv, tmp_path)
    assert f"ccsetup.cli.{argv[0]}" in seen
    assert seen & {"ccsetup.relay", "ccsetup.cli.relay", "yaml"} == set()


def test_version_imports_nothing(home: Path, tmp_path: Path) -> None:
    """--version imports neither typer nor anything of ours but the entry point, and little of the standard library."""
    bare = set(
        subprocess.run(
            [sys.executable, "-S", "-c", "import sys; print('\\n'.join(sys.modules))"],
            env=cc.environment(home),
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split("\n")
    )
    more = imported(home, ("--version",), tmp_path) - bare
    assert more <= {"", "ccsetup", "ccsetup.__main__", "atexit", "__future__", "encodings.ascii", "encodings.latin_1"}


def test_no_garbage_is_looked_for_during_the_imports(home: Path, tmp_path: Path) -> None:
    """The garbage collector rests until the command runs; then it works, and leaves alone what was imported."""
    seen = tmp_path / "collections"
    program = (
        "import atexit, gc, sys\n"
        "early = []\n"
        "gc.callbacks.append(lambda phase, info: early.append(phase) if not gc.get_freeze_count() else None)\n"
        f"atexit.register(lambda: open({str(seen)!r}, 'w').write(f'{{len(early)}} {{gc.isenabled()}}'))\n"
        "sys.argv = ['ccsetup', 'list']\n"
        "from ccsetup.__main__ import main\n"
        "main()\n"
    )
    env = cc.environment(home) | {"PYTHONPATH": cc.SOURCE}
    subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, check=True, timeout=waiting.LIMIT)
    assert seen.read_text() == "0 True"


def test_one_preset_is_read_when_one_is_asked_for(home: Path, tmp_path: Path) -> None:
    """init opens the file of its own preset, and of no other."""
    import shutil

    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    trace = tmp_path / "trace"
    argv = ["strace", "-f", "-qq", "-e", "trace=openat", "-o", str(trace), sys.executable, "-m", "ccsetup"]
    done = subprocess.run(
        [*argv, "init", "-s", "-p", "glm", "-k", KEY, "-T", "all"],
        env=cc.environment(home),
        capture_output=True,
        check=False,
        timeout=waiting.LIMIT,
    )
    if b"ptrace" in done.stderr:
        pytest.skip("tracing is not allowed here")
    assert done.returncode == 0
    opened = [
        line
        for line in trace.read_text().splitlines()
        if "/_presets/" in line and "ENOENT" not in line and "O_DIRECTORY" not in line
    ]
    names = {Path(line.split('"')[1]).stem for line in opened}
    assert "glm" in names
    assert not names & {"kimi", "302ai", "openrouter", "custom"}


def test_no_module_is_looked_for_among_programs(home: Path, tmp_path: Path) -> None:
    """The folder of the script is not on the path of imports when commands run; any other first folder stays."""
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / "ccsetup"
    script.write_text(
        "import sys\nfrom ccsetup.__main__ import main\ntry:\n    main()\nfinally:\n    print(sys.path[0])\n"
    )
    env = cc.environment(home) | {"PYTHONPATH": cc.SOURCE}

    def first(*argv: str) -> str:
        done = subprocess.run([sys.executable, *argv, "list"], env=env, capture_output=True, text=True, check=True)
        return done.stdout.split("\n")[-2]

    link = tmp_path / "link"
    link.symlink_to(script)
    assert first(str(script)) == first(str(link)) == cc.SOURCE
    assert first("-c", script.read_text()) == ""
