"""Runs the real Claude Code and Codex, of pinned versions, against a scratch home.

A client gets a minimal environment (nothing of the caller's ANTHROPIC_*, OPENAI_*, CLAUDE_*, CODEX_*), an empty
working folder, a closed standard input, and a time limit that ends its whole process group.  Its traffic to anywhere
but loopback runs into a proxy that refuses at once and keeps the names in ``Result.outside``.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple, Optional

from support import client_install, waiting
from support.loopback import Request, Response, Server

CLAUDE_VERSIONS = client_install.pinned("claude-code")
"""Newest first."""
CODEX_VERSIONS = client_install.pinned("codex")
"""Newest first."""

CLIENT_INFO = {"name": "tests", "version": "1"}
TIMEOUT = waiting.LIMIT
"""Seconds.  An answered run takes 0.4 to 2."""

_PATH = os.environ.get("PATH", os.defpath)


class Result(NamedTuple):
    """What a client's run left.  ``rc`` is negative when a signal ended it."""

    rc: int
    stdout: str
    stderr: str
    seconds: float
    outside: tuple[str, ...]
    """Each ``host:port`` (or URL) beyond loopback that the client tried to reach, in order, with repetitions."""
    argv: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return self.rc == 0

    def __repr__(self) -> str:
        """Everything a failed assertion should show."""
        return f"$ {shlex.join(self.argv)}\nrc {self.rc}\n--- stdout\n{self.stdout}\n--- stderr\n{self.stderr}"


def run_claude(
    version: str,
    home: Path,
    prompt: str,
    *,
    env: Optional[Mapping[str, str]] = None,
    args: Sequence[str] = (),
    timeout: float = TIMEOUT,
    cwd: Optional[Path] = None,
    prefix: Sequence[str] = (),
) -> Result:
    """Run ``claude -p prompt *args`` with ``<home>/.claude/settings.json``.

    *env* adds variables, as a user's shell would; pass CLAUDE_CONFIG_DIR there to move the configuration.
    """
    argv = ["-p", prompt, *args]
    return run("claude-code", version, home, argv, env=env, timeout=timeout, cwd=cwd, prefix=prefix)


def run_codex(
    version: str,
    home: Path,
    prompt: str,
    *,
    profile: Optional[str] = None,
    env: Optional[Mapping[str, str]] = None,
    args: Sequence[str] = (),
    timeout: float = TIMEOUT,
    cwd: Optional[Path] = None,
    prefix: Sequence[str] = (),
) -> Result:
    """Run ``codex exec *args prompt``, with ``--profile`` *profile* when given, and ``<home>/.codex/config.toml``."""
    chosen = ["--profile", profile] if profile is not None else []
    argv = ["exec", "--skip-git-repo-check", *chosen, *args, prompt]
    return run("codex", version, home, argv, env=env, timeout=timeout, cwd=cwd, prefix=prefix)


def codex_no_retries(provider_id: str) -> tuple[str, ...]:
    """Return *args* for run_codex that make a refusal final: 0.4 s instead of 6.5 s after a 401."""
    table = f"model_providers.{provider_id}"
    return ("-c", f"{table}.request_max_retries=0", "-c", f"{table}.stream_max_retries=0")


def claude_auth_status(version: str, home: Path, *, env: Optional[Mapping[str, str]] = None) -> Result:
    """Run ``claude auth status --json``: rc 1 when there is no credential.

    Raises ValueError before 2.1, where ``auth status`` is a prompt and would be sent to the provider.
    """
    if version_key(version) < (2, 1):
        raise ValueError(f"Claude Code {version} has no auth status")
    return run("claude-code", version, home, ["auth", "status", "--json"], env=env)


def codex_config_ok(
    version: str, home: Path, *, profile: Optional[str] = None, env: Optional[Mapping[str, str]] = None
) -> Result:
    """Let Codex load its configuration without a request; return the first refusal, or the last success.

    Refused are unknown keys, wrong types, removed settings and legacy profiles.  With *profile*, also load that
    profile (its unknown keys are not refused, and from 0.134 on a missing profile file counts as an empty one).
    """
    checks = [
        ["features", "list"],
        # Loads the configuration and ends at once, because its standard input is closed.  0.131 and newer;
        # --print-startup-config, which is made for this, exists in the newest versions only.
        ["app-server", "--strict-config"],
    ]
    if profile is not None:
        # 0.133 and older do not read the profile for mcp list, the newer ones refuse --profile for features list.
        listing = ["mcp", "list"] if version_key(version) >= (0, 134) else ["features", "list"]
        checks.append(["--profile", profile, *listing])
    for check in checks:
        result = run("codex", version, home, check, env=env)
        if not result.ok:
            break
    return result


def app_server(version: str, home: Path, calls: Sequence[tuple[str, Any]]) -> list[Any]:
    """Return what ``codex app-server`` answers to each of *calls*, a method and its parameters."""
    with tempfile.TemporaryDirectory(prefix="ccsetup-client-") as scratch, _refusing_proxy() as (proxy, _outside):
        process = subprocess.Popen(
            [*client_install.command("codex", version), "app-server"],
            env=_environment("codex", home, Path(scratch), proxy),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        answers = []
        try:
            for number, (method, params) in enumerate([("initialize", {"clientInfo": CLIENT_INFO}), *calls]):
                asked = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
                process.stdin.write(json.dumps(asked).encode() + b"\n")
                process.stdin.flush()
                answer = next(a for a in map(json.loads, process.stdout) if a.get("id") == number)
                assert "result" in answer, answer
                answers.append(answer["result"])
            process.stdin.close()  # it ends by itself, and leaves its database
            process.wait(TIMEOUT)
        finally:
            _end_group(process.pid)
            process.stdin.close()
            process.stdout.close()
            process.wait()
    return answers[1:]


def path_with(client: str, version: str) -> dict[str, str]:
    """Return the PATH of a user who has installed this version of *client* with npm, and no other client."""
    program = {"claude-code": "claude", "codex": "codex"}[client]
    pinned = next(c for c in client_install.PINNED if (c.name, c.version) == (client, version))
    folder = pinned.folder / "node_modules" / ".bin"
    assert (folder / program).is_symlink()
    others = os.environ["PATH"].split(os.pathsep)
    return {"PATH": os.pathsep.join((str(folder), *(f for f in others if not _has_client(f))))}


def _has_client(folder: str) -> bool:
    return any(os.path.exists(os.path.join(folder, name)) for name in ("claude", "codex"))


def version_key(version: str) -> tuple[int, ...]:
    """Return *version* as a value to compare: ``0.169.0`` is (0, 169, 0)."""
    return tuple(int(part) for part in version.split("."))


def run(
    client: str,
    version: str,
    home: Path,
    args: Sequence[str],
    *,
    env: Optional[Mapping[str, str]] = None,
    timeout: float = TIMEOUT,
    cwd: Optional[Path] = None,
    prefix: Sequence[str] = (),
) -> Result:
    """Run *client* (``claude-code``, ``codex``) with *args*; raise InstallError when it is not installed.

    It runs in *cwd*, or else in an empty folder; *prefix* is put before the command (``unshare`` and the like).
    Raises subprocess.TimeoutExpired after *timeout* seconds, with what the client had written as a note.
    """
    argv = [*prefix, *client_install.command(client, version), *args]
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="ccsetup-client-") as scratch, _refusing_proxy() as (proxy, outside):
        work = Path(scratch, "work")
        work.mkdir()
        environment = _environment(client, home, Path(scratch), proxy) | dict(env or {})
        # Files, not pipes: a daemon that the client leaves behind would keep a pipe open.
        with open(Path(scratch, "stdout"), "w+b") as out, open(Path(scratch, "stderr"), "w+b") as err:
            start = time.monotonic()
            process = subprocess.Popen(
                argv,
                cwd=cwd or work,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,  # no terminal to ask on, and a group of its own to end
            )
            try:
                rc = process.wait(timeout)
            except subprocess.TimeoutExpired as late:
                _end_group(process.pid)
                process.wait()
                late.add_note(f"--- stdout\n{_content(out)}\n--- stderr\n{_content(err)}")
                raise
            finally:
                seconds = time.monotonic() - start
                _end_group(process.pid)
            return Result(rc, _content(out), _content(err), seconds, tuple(outside), tuple(argv))


def _environment(client: str, home: Path, scratch: Path, proxy: str) -> dict[str, str]:
    temporary = scratch / "tmp"
    temporary.mkdir()
    environment = {
        "PATH": _PATH,
        "HOME": str(home),
        "TERM": "dumb",
        "LANG": "C.UTF-8",
        "TMPDIR": str(temporary),
        "HTTP_PROXY": proxy,
        "HTTPS_PROXY": proxy,
        "NO_PROXY": "127.0.0.1,localhost,::1",
    }
    if client == "codex":
        codex_home = home / ".codex"
        codex_home.mkdir(exist_ok=True)  # Codex stops when CODEX_HOME does not exist
        environment["CODEX_HOME"] = str(codex_home)
    else:
        environment["DISABLE_AUTOUPDATER"] = "1"
        environment["CLAUDE_CODE_MAX_RETRIES"] = "0"  # a 401 is retried for three minutes otherwise
    return environment


@contextlib.contextmanager
def _refusing_proxy() -> Iterator[tuple[str, list[str]]]:
    outside: list[str] = []

    def refuse(request: Request) -> Response:
        outside.append(request.target)
        return Response(403, (), b"the tests have no network")

    with Server(refuse) as server:
        yield server.origin, outside


def _end_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def _content(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "replace")
