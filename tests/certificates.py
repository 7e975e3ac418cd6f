"""An authority of our own, and the certificate of a server on the loopback."""

import datetime as dt
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from faxline_local.redis_access import Tls

_DAY = dt.timedelta(days=1)


def certified(folder: Path, *names: str) -> Tls:
    """Make them; they are good for a day, for the loopback and for further names."""
    authority, server = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    issuer = _named("an authority of the tests")
    files = Tls(folder / "server.crt", folder / "server.key", folder / "ca.crt")
    root = _begun(issuer, authority.public_key(), issuer).add_extension(
        x509.BasicConstraints(ca=True, path_length=0), critical=True
    )
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    root = root.add_extension(usage, critical=True)
    leaf = _begun(_named("localhost"), server.public_key(), issuer).add_extension(
        x509.SubjectAlternativeName(
            [
                *(x509.DNSName(name) for name in ("localhost", *names)),
                x509.IPAddress(IPv4Address("127.0.0.1")),
            ]
        ),
        critical=False,
    )
    for path, builder in ((files.authority, root), (files.certificate, leaf)):
        signed = builder.sign(authority, hashes.SHA256())
        path.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    files.key.touch(mode=0o600)
    files.key.write_bytes(
        server.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return files


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _begun(subject: x509.Name, key: ec.EllipticCurvePublicKey, issuer: x509.Name) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _DAY)
        .not_valid_after(now + _DAY)
    )
