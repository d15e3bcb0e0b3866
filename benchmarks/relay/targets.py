"""What is measured: each relay's installation, its configuration for the bench upstream, and its command."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "bench"
KEY = "sk-bench-0123456789"

PATHS = {"messages": "/v1/messages", "responses": "/v1/responses", "chat": "/v1/chat/completions"}
ROUTES = ("messages", "responses", "chat", "messages>chat", "responses>chat")
PASSED = ("messages", "responses", "chat")
"""The same format in and out."""


class Command(NamedTuple):
    argv: Sequence[str]
    env: Mapping[str, str]


class Target(NamedTuple):
    name: str
    routes: Sequence[str]
    command: Callable[[Path, int, int], Command]
    """Given a scratch folder, the upstream's port and the port to listen on, write what is needed."""


def model(route: str) -> str:
    """Return the name of the model that leads where *route* says."""
    return "bench-" + route.replace(">", "-")


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def installed(name: str, install: Callable[[Path], None]) -> Path:
    """Return the folder *name* below the cache, made by *install* unless that has succeeded before."""
    folder = CACHE / name
    done = CACHE / f"{name}.done"
    if not done.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        print(f"installing {name} ...", file=sys.stderr)
        install(folder)
        done.touch()
    return folder


def _venv(folder: Path) -> list[str]:
    """Make a virtual environment and return the command that installs into it."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    return [str(folder / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check"]


def _uv(folder: Path) -> list[str]:
    return [str(folder / "bin" / "uv"), "pip", "install", "-q", "--python", str(folder / "bin" / "python")]


# nginx, of the system.


def _nginx(work: Path, upstream: int, port: int) -> Command:
    temporary = "".join(
        f"  {kind}_temp_path {work}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config = work / "nginx.conf"
    config.write_text(f"""
worker_processes 1;
daemon off;
pid {work}/nginx.pid;
error_log {work}/nginx.log;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  client_max_body_size 64m;
  client_body_buffer_size 1m;
  keepalive_requests 1000000000;
{temporary}
  upstream provider {{
    server 127.0.0.1:{upstream};
    keepalive 512;
    keepalive_requests 1000000000;
  }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://provider;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
    }}
  }}
}}
""")
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    return Command([program, "-c", str(config), "-p", str(work), "-e", str(work / "nginx.log")], {})


# FastAPI and httpx.


def _fastapi(_work: Path, upstream: int, port: int) -> Command:
    def install(folder: Path) -> None:
        subprocess.run([*_venv(folder), "fastapi==0.121.1", "uvicorn[standard]==0.38.0", "httpx==0.28.1"], check=True)

    folder = installed("fastapi-httpx", install)
    argv = [str(folder / "bin" / "python"), "-m", "uvicorn", "plain_fastapi:app", "--port", str(port)]
    options = ["--app-dir", str(Path(__file__).parent), "--no-access-log", "--log-level", "warning"]
    return Command([*argv, *options], {"UPSTREAM": f"http://127.0.0.1:{upstream}"})


# LiteLLM.

LITELLM = "1.109.1"


def _litellm(work: Path, upstream: int, port: int) -> Command:
    def install(folder: Path) -> None:
        subprocess.run([*_venv(folder), "uv"], check=True)
        # It wants versions of these two that no registry has.
        (folder / "overrides.txt").write_text("certifi\nlitellm-proxy-extras\n")
        subprocess.run(
            [*_uv(folder), "--override", str(folder / "overrides.txt"), f"litellm[proxy]=={LITELLM}"], check=True
        )

    folder = installed(f"litellm-{LITELLM}", install)
    providers = {
        "messages": ("anthropic", ""),
        "responses": ("openai", "/v1"),
        "chat": ("openai", "/v1"),
        "messages>chat": ("deepseek", "/v1"),
        "responses>chat": ("deepseek", "/v1"),
    }
    config = {
        "model_list": [
            {
                "model_name": model(route),
                "litellm_params": {
                    "model": f"{provider}/{model(route)}",
                    "api_base": f"http://127.0.0.1:{upstream}{path}",
                    "api_key": KEY,
                },
            }
            for route, (provider, path) in providers.items()
        ],
        "general_settings": {"dangerously_permit_weak_or_unset_master_key": True},
        "litellm_settings": {"drop_params": True},
    }
    (work / "litellm.yaml").write_text(json.dumps(config))
    argv = [str(folder / "bin" / "litellm"), "--config", str(work / "litellm.yaml"), "--host", "127.0.0.1"]
    return Command(
        [*argv, "--port", str(port), "--telemetry", "False"],
        {"LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
    )


# claude-code-router.

CCR = "3.1.1"


def _ccr(work: Path, upstream: int, port: int) -> Command:
    def install(folder: Path) -> None:
        # Two packages that it names cannot be had; what it needs of them is in the tarball.
        package = f"@musistudio/claude-code-router@{CCR}"
        packed = subprocess.run(["npm", "pack", "--silent", package], cwd=folder, check=True, stdout=subprocess.PIPE)
        tarball = folder / packed.stdout.decode().strip().splitlines()[-1]
        subprocess.run(["tar", "xzf", str(tarball), "--strip-components=1"], cwd=folder, check=True)
        manifest = json.loads((folder / "package.json").read_text())
        manifest.pop("scripts", None)
        manifest["dependencies"] = {
            n: v for n, v in manifest["dependencies"].items() if not n.startswith("@the-next-ai/")
        }
        (folder / "package.json").write_text(json.dumps(manifest))
        subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund"], cwd=folder, check=True)

    folder = installed(f"ccr-{CCR}", install)
    base = f"http://127.0.0.1:{upstream}"
    kinds = {
        "anthropic_messages": ("messages", base, ["messages"]),
        "openai_responses": ("responses", f"{base}/v1", ["responses"]),
        "openai_chat_completions": ("chat", f"{base}/v1", ["chat", "messages>chat", "responses>chat"]),
    }
    config = {
        "HOST": "127.0.0.1",
        "PORT": port,
        "APIKEY": KEY,
        "Providers": [
            {
                "name": name,
                "api_base_url": url,
                "api_key": KEY,
                "models": [model(route) for route in routes],
                "capabilities": [{"type": kind, "baseUrl": url}],
            }
            for kind, (name, url, routes) in kinds.items()
        ],
    }
    home = work / ".claude-code-router"
    home.mkdir()
    (home / "config.json").write_text(json.dumps(config))
    argv = [shutil.which("node") or "node", str(folder / "dist" / "main" / "cli.js"), "serve", "--no-open"]
    return Command([*argv, "--port", str(free_port())], {"CCR_INTERNAL_HOME_DIR": str(work)})


# Ours.


def _ccsetup(work: Path, upstream: int, port: int) -> Command:
    base = f"http://127.0.0.1:{upstream}"
    config = {
        "relay": 1,
        "listen": {"keyless": True},
        "upstreams": [
            {
                "name": "all",
                "endpoints": {"anthropic": base, "responses": f"{base}/v1", "chat": f"{base}/v1"},
                "key": {"env": "BENCH_KEY"},
                "models": [model(route) for route in PASSED],
            },
            {
                "name": "chat-only",
                "wire": "chat",
                "url": f"{base}/v1",
                "key": {"env": "BENCH_KEY"},
                "models": [model(route) for route in ROUTES if route not in PASSED],
            },
        ],
    }
    path = work / "relay.yaml"
    path.touch(mode=0o600)
    path.write_text(json.dumps(config))
    argv = [sys.executable, "-m", "ccsetup", "relay", "run", "--config", str(path), "--port", str(port)]
    return Command([*argv, "--log-level", "warning"], {"BENCH_KEY": KEY})


TARGETS = (
    Target("nginx", PASSED, _nginx),
    Target("ccsetup", ROUTES, _ccsetup),
    Target("FastAPI+httpx", PASSED, _fastapi),
    Target(f"LiteLLM {LITELLM}", ROUTES, _litellm),
    Target(f"claude-code-router {CCR}", ROUTES, _ccr),
)


def environment(work: Path, extra: Mapping[str, str]) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(work), "LANG": "C.UTF-8", "NO_PROXY": "*", **extra}
