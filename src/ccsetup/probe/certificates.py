"""TLS of a test: which certificates count, and what is wrong with one that does not."""

from __future__ import annotations

import asyncio
import ssl
from typing import Awaitable, Callable, Optional, Sequence

from ccsetup import bounded
from ccsetup.i18n import _
from ccsetup.probe.network import Fault, Trust
from ccsetup.probe.verdict import clean

Dial = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]
"""Makes another connection to the same host."""


class Certificates:
    """What a client takes for a good certificate."""

    def __init__(self, trust: Trust) -> None:
        self._trust = trust
        self._context: Optional[ssl.SSLContext] = None
        self.notes: list[str] = []

    @property
    def loose(self) -> tuple[str, str]:
        """Return the setting that switches the client's check off, or "", and the variable that adds a certificate."""
        return self._trust.unchecked, self._trust.advice

    def context(self) -> ssl.SSLContext:
        if self._context is None:
            self._context = _unchecked() if self._trust.unchecked else self._checked()
            self._context.set_alpn_protocols(["http/1.1"])
        return self._context

    def _checked(self) -> ssl.SSLContext:
        import truststore

        context: ssl.SSLContext = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        for variable, path in self._trust.files.items():
            said = _("{name} adds certificates from {file}.")
            try:
                if self._trust.whole:
                    context.load_verify_locations(path)
                elif not _load(context, path):
                    raise ssl.SSLError
            except (OSError, bounded.TooLarge) as e:  # SSLError is one, without a reason that helps
                said = _("{name} names {file}, which the client passes over: {why}.")
                why = _("no certificate could be read from it")
                if isinstance(e, OSError) and not isinstance(e, ssl.SSLError):
                    why = e.strerror or why
                said = said.replace("{why}", why.lower())
            self.notes.append(said.format(name=variable, file=clean(path)))
        return context

    async def handshake(self, writer: asyncio.StreamWriter, host: str, again: Optional[Dial] = None) -> None:
        """Speak TLS with *host* from now on; Fault says what is wrong.  *again* is for finding out who signed."""
        try:
            await writer.start_tls(self.context(), server_hostname=host)
        except ssl.SSLCertVerificationError as e:
            issuer = ""
            if e.verify_code in (18, 19, 20, 21) and again is not None:
                issuer = await _issuer(again, host)
            raise _certificate(e, host, issuer, self._trust.advice, self.notes) from None
        except ssl.SSLError as e:
            raise _handshake(e, host) from None
        except (ConnectionError, EOFError, OSError):
            raise Fault(
                "tls",
                "tls-closed",
                _("{host} closed the connection during the TLS handshake.").format(host=host),
                _("Something between here and {host} may block it, or the address is no https server.").format(
                    host=host
                ),
            ) from None


def _load(context: ssl.SSLContext, path: str) -> int:
    """Add the certificates in *path* up to the first that is none, as Node.js does; return how many."""
    text = bounded.found(path).decode("latin-1")
    count = 0
    begin, end = (f"-----{word} CERTIFICATE-----" for word in ("BEGIN", "END"))
    for part in text.split(begin)[1:]:
        try:
            context.load_verify_locations(cadata=begin + part.partition(end)[0] + end)
        except (ssl.SSLError, ValueError):
            break
        count += 1
    return count


def _unchecked() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def _issuer(dial: Dial, host: str) -> str:
    """Return who signed the certificate that was refused.  Only the handshake is repeated; nothing is sent."""
    try:
        async with asyncio.timeout(2):
            _reader, writer = await dial()
            try:
                await writer.start_tls(_unchecked(), server_hostname=host)
                der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            finally:
                writer.transport.abort()
    except (Fault, OSError, TimeoutError, ValueError):
        return ""
    return clean(issuer_of(der or b""), limit=80)


_CERTIFICATE = {
    9: "tls-early",
    10: "tls-expired",
    18: "tls-self-signed",
    19: "tls-unknown-ca",
    20: "tls-unknown-ca",
    21: "tls-unknown-ca",
    62: "tls-host",
    64: "tls-host",
}

_INSPECTORS = (
    "zscaler", "netskope", "blue coat", "bluecoat", "symantec web", "forti", "palo alto", "umbrella", "mcafee",
    "trellix", "sophos", "kaspersky", "eset", "avast", "avg", "bitdefender", "mitmproxy", "charles", "fiddler",
    "portswigger",
    "check point", "cato", "iboss", "barracuda", "watchguard", "squid", "proxy", "inspection", "firewall", "gateway",
)  # fmt: skip


def _certificate(e: ssl.SSLCertVerificationError, host: str, issuer: str, advice: str, notes: Sequence[str]) -> Fault:
    kind = _CERTIFICATE.get(e.verify_code, "tls")
    by = _(" It was issued by {issuer}.").format(issuer=issuer) if issuer else ""
    company = any(word in issuer.lower() for word in _INSPECTORS)
    extra = _("Set {name} to a file with the certificate that you trust.").format(name=advice)
    extra = " ".join((extra, *notes))
    texts = {
        "tls-early": (
            _("The certificate of {host} is not valid yet.").format(host=host),
            _("Is the clock of this machine right?"),
        ),
        "tls-expired": (
            _("The certificate of {host} has expired.").format(host=host),
            _("Whoever runs {host} has to renew it; is the clock of this machine right?").format(host=host),
        ),
        "tls-self-signed": (_("The certificate of {host} is signed by itself.").format(host=host), extra),
        "tls-unknown-ca": (
            _("The certificate of {host} is signed by an authority that this machine does not trust.").format(host=host)
            + by,
            (_("A proxy of your company seems to read this connection: install its certificate.") + " " + extra)
            if company
            else _("A proxy that reads connections, or a private authority?") + " " + extra,
        ),
        "tls-host": (
            _("The certificate is for another name than {host}.").format(host=host),
            _("Look at the address; a captive portal or a wrong DNS entry does this too."),
        ),
    }
    text, hint = texts.get(
        kind,
        (_("The certificate of {host} is not good: {why}").format(host=host, why=clean(e.verify_message or "")), ""),
    )
    return Fault("tls", kind, text, hint)


def _handshake(e: ssl.SSLError, host: str) -> Fault:
    reason = e.reason or ""
    if reason in (
        "WRONG_VERSION_NUMBER",
        "HTTP_REQUEST",
        "UNKNOWN_PROTOCOL",
        "PACKET_LENGTH_TOO_LONG",
        "RECORD_LAYER_FAILURE",
    ):
        return Fault(
            "tls",
            "tls-plain",
            _("{host} does not speak TLS on this port.").format(host=host),
            _("Is it an http:// address, or another port?"),
        )
    return Fault(
        "tls",
        "tls",
        _("The TLS handshake with {host} failed: {why}.").format(
            host=host, why=clean(reason.replace("_", " ").lower())
        ),
        _("The server may be too old, or something between may block it."),
    )


def issuer_of(der: bytes) -> str:
    """Return organisation and common name of the issuer of a certificate in DER, or ""."""

    def items(data: bytes) -> list[tuple[int, bytes]]:
        out = []
        i = 0
        while i + 2 <= len(data):
            tag, size, i = data[i], data[i + 1], i + 2
            if size & 0x80:
                count = size & 0x7F
                size, i = int.from_bytes(data[i : i + count], "big"), i + count
            out.append((tag, data[i : i + size]))
            i += size
        return out

    try:
        certificate = items(items(der)[0][1])
        fields = [f for f in items(certificate[0][1]) if f[0] != 0xA0]
        names: dict[bytes, str] = {}
        for _tag, group in items(fields[2][1]):
            for _tag, pair in items(group):
                (_t, oid), (_t2, value) = items(pair)[:2]
                names[oid] = value.decode("utf-8", "replace")
    except (IndexError, ValueError):
        return ""
    wanted = (names.get(b"\x55\x04\x0a", ""), names.get(b"\x55\x04\x03", ""))
    return ", ".join(dict.fromkeys(n for n in wanted if n))
