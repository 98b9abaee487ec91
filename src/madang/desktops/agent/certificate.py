"""The agent's own certificate: self-signed, for as long as the agent lives, its key only ever in memory.

The portal knows it by its fingerprint, which the agent reports; a native client is given the certificate itself.
"""

from __future__ import annotations

import contextlib
import hashlib
import ipaddress
import os
import socket
import ssl
from dataclasses import dataclass

from madang.desktops.agent.aside import aside

_MAKE_SECONDS = 20.0
_VALID_DAYS = 400
_KEY_END = b"-----END PRIVATE KEY-----\n"


@dataclass(frozen=True)
class Certificate:
    context: ssl.SSLContext
    fingerprint: str  # SHA-256 of the DER form, in hex
    pem: str


async def make(hosts: tuple[str, ...]) -> Certificate:
    """A fresh one for these names and addresses. Raises AsideFailed."""
    both = await aside(lambda: _pems(hosts), _MAKE_SECONDS)
    key, end, certificate = both.partition(_KEY_END)
    pem = certificate.decode()
    fingerprint = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()
    return Certificate(_context(key + end, certificate), fingerprint, pem)


def own_hosts(portal_host: str = "") -> tuple[str, ...]:
    """The names and addresses under which people may know this host; blocks while names are looked up."""
    name = socket.gethostname()
    found = [name, "localhost", "127.0.0.1", "::1"]
    with contextlib.suppress(OSError):
        found += [socket.getfqdn(name), *(str(entry[4][0]) for entry in socket.getaddrinfo(name, None))]
    with contextlib.suppress(OSError, ValueError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        # Sends nothing: the kernel only says from which address it would.
        probe.connect((portal_host or "192.0.2.1", 9))
        found.append(probe.getsockname()[0])
    return tuple(dict.fromkeys(host.partition("%")[0] for host in found))


def _context(key: bytes, certificate: bytes) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_NO_TICKET
    context.num_tickets = 0
    # OpenSSL wants a file: one that is in no folder.
    handle = os.memfd_create("certificate")
    try:
        os.write(handle, key + certificate)
        context.load_cert_chain(f"/proc/self/fd/{handle}")
    finally:
        os.close(handle)
    return context


def _pems(hosts: tuple[str, ...]) -> bytes:
    """Key and certificate. In a child of its own: cryptography takes 20 MB."""
    import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    names: list[x509.GeneralName] = []
    for host in hosts:
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(host)))
        except ValueError:
            with contextlib.suppress(ValueError):
                names.append(x509.DNSName(host))
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0][:64])])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # This host's clock may be ahead.
        .not_valid_before(now - datetime.timedelta(days=2))
        .not_valid_after(now + datetime.timedelta(days=_VALID_DAYS))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        # A native client is given it as the authority to trust.
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    form = serialization.PrivateFormat.PKCS8
    secret = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    return secret + certificate.public_bytes(serialization.Encoding.PEM)
