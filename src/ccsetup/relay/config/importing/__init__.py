"""Configurations of other relays to ours.  Pure: text in; a ``Config``, and what the user should know, out.

Keys come as ``inline`` references, for memory alone: ``extract_keys`` takes them out before anything is written.
"""

from __future__ import annotations

from typing import Callable, Mapping

from ccsetup.keys.reference import KeyRef
from ccsetup.model import Secret
from ccsetup.relay.config.importing.ccr import claude_code_router
from ccsetup.relay.config.importing.switch import codex_cc_switch
from ccsetup.relay.config.model import Config

__all__ = ["SOURCES", "claude_code_router", "codex_cc_switch", "extract_keys"]

SOURCES: Mapping[str, Callable[[bytes, str], tuple[Config, list[str]]]] = {
    "codex_cc_switch": codex_cc_switch,
    "claude-code-router": claude_code_router,
}
"""By the name of the other relay: (data, name of the file) -> (configuration, notes); DocumentError."""


def extract_keys(config: Config, folder: str) -> tuple[Config, dict[str, Secret]]:
    """Return *config* with a ``file`` reference for each inline key, and what these files in *folder* have to hold."""
    files: dict[str, Secret] = {}
    upstreams = []
    for upstream in config.upstreams:
        keys = []
        for n, key in enumerate(upstream.keys):
            if key.kind == "inline":
                path = f"{folder.rstrip('/')}/{upstream.name}" + (f".{n + 1}" if n else "")
                files[path] = Secret(key.value)
                key = KeyRef("file", path)
            keys.append(key)
        upstreams.append(upstream._replace(keys=tuple(keys)))
    return config._replace(upstreams=tuple(upstreams)), files
