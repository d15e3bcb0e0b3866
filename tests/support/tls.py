"""Certificates for servers on 127.0.0.1: good ones, and every kind of bad one.  Made once for each test run."""

from __future__ import annotations

import datetime
import functools
import ssl
from pathlib import Path
from typing import Optional

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NAMES = ("127.0.0.1", "localhost")


@functools.cache
def authority(name: str = "private") -> trustme.CA:
    """Return the certificate authority called *name*; each name is another one."""
    return trustme.CA(organization_name=f"ccsetup tests, {name} CA")


def authority_file(folder: Path, name: str = "private") -> Path:
    """Write the certificate of an authority below *folder* and return its path, for SSL_CERT_FILE."""
    path = folder / f"{name}-ca.pem"
    authority(name).cert_pem.write_to_path(str(path))
    return path


@functools.cache
def context(kind: str = "good", ca: str = "private") -> ssl.SSLContext:
    """Return a server's context.  *kind* is ``good``, ``expired``, ``wrong-host`` or ``self-signed``."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if kind == "self-signed":
        _load_self_signed(server)
        return server
    now = datetime.datetime.now(datetime.UTC)
    names = ("elsewhere.example",) if kind == "wrong-host" else NAMES
    past: Optional[datetime.datetime] = now - datetime.timedelta(days=2) if kind == "expired" else None
    authority(ca).issue_cert(*names, not_before=now - datetime.timedelta(days=40), not_after=past).configure_cert(
        server
    )
    return server


@functools.cache
def named_context(ca: str = "corporate") -> ssl.SSLContext:
    """Return a context that has a certificate for whatever host name the client asks for (as an inspecting proxy)."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority(ca).issue_cert(*NAMES).configure_cert(server)

    def choose(connection: ssl.SSLObject, name: Optional[str], _: ssl.SSLContext) -> None:
        if name:
            connection.context = _for_name(ca, name)

    server.sni_callback = choose
    return server


@functools.cache
def _for_name(ca: str, name: str) -> ssl.SSLContext:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority(ca).issue_cert(name).configure_cert(server)
    return server


def _load_self_signed(server: ssl.SSLContext) -> None:
    import ipaddress
    import tempfile

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    with tempfile.TemporaryDirectory(prefix="ccsetup-tls-") as folder:
        path = Path(folder, "both.pem")
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        server.load_cert_chain(path)
