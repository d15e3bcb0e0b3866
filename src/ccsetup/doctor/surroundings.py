"""Checks of what is around the clients' own settings: programs, MCP servers, proxies."""

from __future__ import annotations

from typing import Any, Iterator, Mapping

from ccsetup.clients import CLIENTS
from ccsetup.clients.base import Client
from ccsetup.clients.house import Finding, House, as_text
from ccsetup.i18n import _
from ccsetup.probe.network import Network


def clients(house: House) -> Iterator[Finding]:
    absent = [c for c in CLIENTS.values() if house.facts.installed.get(c.id) is None]
    for client in absent:
        if house.exists(client.settings(house.paths)) or len(absent) == len(CLIENTS):
            text = _("{client} is not on PATH.").format(client=client.title)
            yield Finding("warning", text, _("Install it with: {command}").format(command=client.install))


def servers(house: House) -> Iterator[Finding]:
    """MCP servers whose program is not there: each start of the client waits for them, and complains."""
    import shutil

    for path, form, key, remove in filter(None, (c.servers(house.paths) for c in CLIENTS.values())):
        found = house.data(path, form).get(key)
        for name, server in found.items() if isinstance(found, dict) else ():
            program = as_text(server.get("command")) if isinstance(server, dict) else ""
            if not program or server.get("enabled") is False:
                continue
            if shutil.which(program, path=house.environ.get("PATH", "")) is None:
                text = _("MCP server '{name}' cannot start: there is no program {program}.").format(
                    name=name, program=program
                )
                fix = _("Install it, or run: {command}").format(command=remove.format(name=name))
                yield Finding("warning", text, fix, path, house.line(path, form, (key, name, "command")))


LOOPBACK = "127.0.0.1,localhost,::1"


def proxies(house: House) -> Iterator[Finding]:
    for client in CLIENTS.values():
        address = client.own_address(house)
        network = client.network(house.version(client.id))
        refused = _refused(client, network, address.url, address.environ) if address else None
        if address and refused:
            name, text, value = refused
            fix = address.fix.format(name=name)
            yield Finding("problem", text, fix, *address.at, (address.repair(name, value),))


def _refused(client: Client, network: Network, url: str, environ: Mapping[str, str]) -> Any:
    """Return (variable, sentence, value) when *client* would ask a proxy for an address of this machine."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return None
    if host != "localhost" and not host.startswith("127.") and host != "::1":
        return None
    way = network.route(parts.scheme, host, port, environ)
    if way.proxy is None:
        return None
    name = next((n for n in network.exceptions if environ.get(n)), "NO_PROXY")
    value = ",".join(filter(None, (environ.get(name, ""), LOOPBACK)))
    text = _("{variable} sends {client}'s requests to this machine through the proxy.").format(
        variable=way.note, client=client.title
    )
    return name, text, value
