"""The swarm's certificate authority: one root, and a certificate for each node that says who it is and as what.

A node's certificate has its id as common name, its role as organizational unit (`swarm-worker`, `swarm-manager`), the
swarm's id as organization: whoever shows it to another node needs no other proof. Its subject alternative names are
what TLS clients look at: the role, and the addresses under which a manager's etcd is reached by the others.
Source: moby/swarmkit ca/certificates.go.
"""

from __future__ import annotations

import base64
import ipaddress
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from minidock.errors import MinidockError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.x509 import Certificate, CertificateSigningRequest, KeyUsage, Name

MANAGER, WORKER = "swarm-manager", "swarm-worker"
ROLES = {"manager": MANAGER, "worker": WORKER}
ROOT_YEARS, BACKDATED = 20, timedelta(hours=1)
"""Clocks of machines differ: a certificate is good from an hour ago."""
NODE_EXPIRY = 90 * 24 * 3600
"""Seconds; Docker's default."""


class Authority(msgspec.Struct, frozen=True):
    """Both in PEM."""

    certificate: str
    key: str


class Identity(msgspec.Struct, frozen=True):
    """What a certificate says: `role` is manager or worker."""

    node: str
    role: str
    cluster: str


def new_authority() -> Authority:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    key = _new_key()
    name = _name(("COMMON_NAME", "swarm-ca"))
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + timedelta(days=365 * ROOT_YEARS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return Authority(_pem(builder.sign(key, hashes.SHA256())), _key_pem(key))


def new_request() -> tuple[str, str]:
    """A node's private key, and its wish for a certificate: the authority decides what that says."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    key = _new_key()
    wish = x509.CertificateSigningRequestBuilder(_name(("COMMON_NAME", ""))).sign(key, hashes.SHA256())
    return _key_pem(key), _pem(wish)


def issue(
    authority: Authority, request: str, identity: Identity, addresses: Iterable[str] = (), expiry: float = NODE_EXPIRY
) -> str:
    """The node's certificate, in PEM. Raises MinidockError for what is no request."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.x509.oid import ExtendedKeyUsageOID

    try:
        wish = x509.load_pem_x509_csr(request.encode())
    except ValueError as error:
        raise MinidockError("the certificate signing request can't be read") from error
    if not wish.is_signature_valid:
        raise MinidockError("the certificate signing request isn't signed with its own key")
    root = x509.load_pem_x509_certificate(authority.certificate.encode())
    key: Any = serialization.load_pem_private_key(authority.key.encode(), None)
    issuer: Any = root.public_key()
    unit = ROLES[identity.role]
    subject = _name(
        ("ORGANIZATION_NAME", identity.cluster), ("ORGANIZATIONAL_UNIT_NAME", unit), ("COMMON_NAME", identity.node)
    )
    names: list[x509.GeneralName] = [x509.DNSName(unit), x509.DNSName(identity.node)]
    names += [x509.IPAddress(ipaddress.ip_address(address)) for address in dict.fromkeys(addresses)]
    now = datetime.now(UTC)
    both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    builder = (
        x509.CertificateBuilder(root.subject, subject, wish.public_key(), x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + timedelta(seconds=expiry))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(both), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer), critical=False)
    )
    return _pem(builder.sign(key, hashes.SHA256()))


def identity(subject: Iterable[Iterable[tuple[str, str]]]) -> Identity:
    """Of a peer, by its subject as ssl tells it (`getpeercert()["subject"]`)."""
    said = {name: value for pairs in subject for name, value in pairs}
    roles = {unit: role for role, unit in ROLES.items()}
    role = roles.get(said.get("organizationalUnitName", ""), "")
    return Identity(said.get("commonName", ""), role, said.get("organizationName", ""))


def ends(certificate: str) -> tuple[float, float]:
    """From when until when it is good, in Unix seconds."""
    from cryptography import x509

    found = x509.load_pem_x509_certificate(certificate.encode())
    return found.not_valid_before_utc.timestamp(), found.not_valid_after_utc.timestamp()


def is_old(certificate: str) -> bool:
    """At a moment between half of its life and four fifths, which its serial number draws.

    Managers that joined together must not renew together: each stops its etcd for it.
    """
    from cryptography import x509

    begins, until = ends(certificate)
    lot = x509.load_pem_x509_certificate(certificate.encode()).serial_number % 1000 / 1000
    return time.time() > begins + (until - begins) * (0.5 + 0.3 * lot)


def tls_info(root_ca: str) -> dict[str, str]:
    """API `TLSInfo`: the certificate, and of it the subject and the public key in DER, as base64."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    root = x509.load_pem_x509_certificate(root_ca.encode())
    key = root.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return {
        "TrustRoot": root_ca,
        "CertIssuerSubject": base64.b64encode(root.subject.public_bytes()).decode(),
        "CertIssuerPublicKey": base64.b64encode(key).decode(),
    }


def _new_key() -> EllipticCurvePrivateKey:
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())


def _name(*pairs: tuple[str, str]) -> Name:
    from cryptography import x509

    parts = [x509.NameAttribute(getattr(x509.NameOID, name), value) for name, value in pairs if value]
    return x509.Name(parts)


def _usage(*, signs: bool) -> KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=not signs,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(made: Certificate | CertificateSigningRequest) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding

    return made.public_bytes(Encoding.PEM).decode()


def _key_pem(key: EllipticCurvePrivateKey) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
