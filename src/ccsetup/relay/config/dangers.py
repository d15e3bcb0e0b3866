"""What is dangerous in a configuration: why the relay must not listen so, and what its user should know.  Pure."""

from __future__ import annotations

from ccsetup.i18n import _
from ccsetup.relay.config.model import Config


def loopback(host: str) -> bool:
    """Tell whether only this machine can reach *host*."""
    import ipaddress

    try:
        return ipaddress.ip_address(host.strip("[]").partition("%")[0]).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def refusals(config: Config, has_keys: bool) -> list[str]:
    """Return why the relay must not listen as *config* says; *has_keys*: there are client keys."""
    listen = config.listen
    out: list[str] = []
    if loopback(listen.host):
        return out
    if listen.keyless:
        out.append(
            _("{host} can be reached from other machines, and 'keyless' would let everybody in.").format(
                host=listen.host
            )
        )
    if not has_keys and not listen.keyless:
        out.append(
            _(
                "{host} can be reached from other machines, and there is no client key: ccsetup relay key add NAME"
            ).format(host=listen.host)
        )
    if not listen.tls_cert and not listen.plain:
        out.append(
            _(
                "{host} can be reached from other machines, and without TLS keys and prompts would cross the network "
                "in the clear: give tls_cert and tls_key, or 'plain: true' when something in front ends TLS."
            ).format(host=listen.host)
        )
    return out


def warnings(config: Config) -> list[str]:
    """Return what the user should know of *config*; nothing of it keeps the relay from running."""
    out = []
    for upstream in config.upstreams:
        if any(key.kind == "inline" for key in upstream.keys):
            out.append(
                _(
                    "Upstream '{name}' has its key in relay.yaml itself: whoever reads or copies the file has the key. "
                    "A file, a variable, a command or a saved profile is safer."
                ).format(name=upstream.name)
            )
        plain = [url for url in upstream.endpoints.values() if url.startswith("http://")]
        if upstream.insecure and plain:
            out.append(
                _(
                    "Upstream '{name}' gets keys and prompts over plain http: everybody on the way can read them."
                ).format(name=upstream.name)
            )
    if config.store.password is not None and config.store.password.kind == "inline":
        out.append(_("The password of the store is in relay.yaml itself."))
    names = [u.name for u in config.upstreams if not u.map and not u.default_model and not u.models]
    if len(config.upstreams) > 1 and names:
        out.append(
            _(
                "No 'map' and no 'default_model' for {names}: models are asked for by the client's name, which another "
                "provider may not know."
            ).format(names=", ".join(names))
        )
    if config.upstreams and not any(u.enabled for u in config.upstreams):
        out.append(_("Every upstream is switched off."))
    return out
