"""Runs the real client once, with the user's own configuration and without retries, and reads its answer."""

from __future__ import annotations

import json
import os
import re
import tempfile
import time
from typing import Any, Optional

from ccsetup.i18n import _
from ccsetup.probe import command
from ccsetup.probe.target import Target
from ccsetup.probe.verdict import Evidence, LayerStep, Verdict, clean

SECONDS = 90.0
PROMPT = "Answer with the single word pong."
_PROGRAMS = {"claude-code": "claude", "codex": "codex"}


def step(target: Target, environ: dict[str, str], *, seconds: float = SECONDS) -> LayerStep:
    """Return the layer ``client`` for *target*; the program is looked for on the PATH of *environ*."""
    name = _PROGRAMS[target.client]
    if target.kind != "effective":
        return LayerStep(
            "client",
            "skipped",
            0.0,
            _("Only what a client uses now can be run."),
            _("Switch to it with: ccsetup config-switch NAME"),
        )
    program = _which(name, environ.get("PATH", ""))
    if not program:
        return LayerStep("client", "unknown", 0.0, _("{name} is not installed.").format(name=name))
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="ccsetup-test-") as folder:
        if target.client == "claude-code":
            argv = [program, "-p", PROMPT, "--output-format", "json", "--max-turns", "1"]
            extra = {"CLAUDE_CODE_MAX_RETRIES": "0", "DISABLE_AUTOUPDATER": "1"}
        else:
            argv = [program, "exec", "--skip-git-repo-check", "--sandbox", "read-only", *_no_retries(target), PROMPT]
            extra = {}
        done = command.run(
            argv, cwd=folder, environ={**environ, **extra}, seconds=seconds, errors=target.client == "codex"
        )
    spent = time.perf_counter() - start
    secrets = target.secrets()
    if done.problem and not done.output.strip():
        verdict: Verdict = "timeout" if spent >= seconds else "wire"
        return LayerStep("client", verdict, spent, _("{name}: {problem}.").format(name=name, problem=done.problem))
    if target.client == "claude-code":
        failed, status, words = read_claude(done.output, bool(done.problem))
    else:
        failed, status, words = read_codex(done.output, bool(done.problem))
    said = clean(words, secrets, 200)
    if not failed:
        return LayerStep("client", "ok", spent, _("{name} answers: {words}").format(name=name, words=said))
    return LayerStep(
        "client",
        meaning(status, words) if spent < seconds else "timeout",
        spent,
        _("{name} fails.").format(name=name),
        _("Its own words are below; the layers above say more. Try again with -v."),
        Evidence(name, status, said),
    )


def read_claude(output: str, failed: bool) -> tuple[bool, int, str]:
    """Return whether ``claude -p --output-format json`` failed, the HTTP status it tells, and its words.

    ``subtype`` says "success" even then (observed with 2.1.329), so it is not looked at.
    """
    data = _last_object(output)
    if data is None:
        return True, _status(output), output.strip()
    status = data.get("api_error_status")
    words = data.get("result")
    text = words if isinstance(words, str) else json.dumps(data)[:300]
    bad = failed or bool(data.get("is_error")) or bool(status)
    return bad, status if isinstance(status, int) else _status(text) if bad else 0, text


def read_codex(output: str, failed: bool) -> tuple[bool, int, str]:
    """Return the same of ``codex exec``, whose errors are lines that begin with ERROR."""
    errors = [line for line in output.splitlines() if re.match(r"\s*(?:ERROR|Error)\b", line)]
    if failed or not output.strip():
        text = errors[-1].strip() if errors else output.strip()[-300:]
        return True, _status(text), text
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    try:
        at = max(i for i, line in enumerate(lines) if line == "codex")
        return False, 0, lines[at + 1]
    except (ValueError, IndexError):
        return False, 0, lines[-1]


def meaning(status: int, words: str) -> Verdict:
    """Return the verdict for a client's failure, by the status it tells, or else by its words."""
    by_status: dict[int, Verdict] = {401: "key", 402: "quota", 403: "forbidden", 404: "model", 429: "quota"}
    text = words.lower()
    if status in by_status:
        return by_status[status]
    if status >= 500:
        return "server"
    if re.search(
        r"not logged in|missing environment variable|error loading config|please run /login|invalid url", text
    ):
        return "config"
    if re.search(r"certificate|self.signed|unable to verify", text):
        return "tls"
    if re.search(
        r"refused|enotfound|unable to connect|can't reach|waiting for network|connection failed|error sending", text
    ):
        return "unreachable"
    if "quota" in text or "429" in text:
        return "quota"
    if "issue with the selected model" in text:
        return "model"
    if re.search(r"timed? ?out", text):
        return "timeout"
    return "wire"


def _no_retries(target: Target) -> list[str]:
    provider = next((s.value for s in target.settings if s.name == "model_provider"), "")
    if not re.fullmatch(r"[A-Za-z0-9_-]+", provider):
        return []
    table = f"model_providers.{provider}"
    return [
        "-c", f"{table}.request_max_retries=0",
        "-c", f"{table}.stream_max_retries=0",
        "-c", "features.unbounded_connection_retries=false",
    ]  # fmt: skip


def _status(text: str) -> int:
    found = re.search(r"(?:API Error:|status:?|\()\s*(\d{3})\b", text)
    return int(found[1]) if found else 0


def _last_object(output: str) -> Optional[dict[str, Any]]:
    for line in reversed(output.strip().splitlines() or [""]):
        try:
            data = json.loads(line)
        except ValueError:
            continue
        if isinstance(data, dict):
            return data
    return None


def _which(name: str, path: str) -> str:
    for folder in path.split(os.pathsep):
        candidate = os.path.join(folder, name)
        if os.path.isabs(folder) and os.path.isfile(candidate) and os.access(candidate, os.X_OK):
            return candidate
    return ""
