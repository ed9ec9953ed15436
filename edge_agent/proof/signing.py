"""Ed25519 (RFC 8032) over canonical JSON with a domain in front; the only home of `cryptography`.

The domain keeps a signature over one kind of statement from being presented as one over another kind. Public keys
travel as base64 of their 32 bytes; a statement names its key by `key_id`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

PUBLIC_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64


class NotAKey(ValueError):
    """Text or bytes that are not the key that was expected; the text says what was."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that checks signatures."""

    raw: bytes

    @classmethod
    def parse(cls, text: str) -> PublicKey:
        """A key from base64. Raises `NotAKey`."""
        raw = from_base64(text.strip())
        if raw is None or len(raw) != PUBLIC_BYTES:
            raise NotAKey("a public key is base64 of 32 bytes (44 characters)")
        return cls(raw)

    @property
    def id(self) -> str:
        """By what statements name this key: the first 16 bytes of the SHA-256 of its raw bytes, in hex."""
        return hashlib.sha256(self.raw).hexdigest()[:32]

    def __str__(self) -> str:
        return base64.b64encode(self.raw).decode()

    def verifies(self, domain: bytes, message: bytes, signature: bytes) -> bool:
        """Whether this key signed the message in this domain. Raises nothing."""
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, _framed(domain, message))
        except (InvalidSignature, UnsupportedAlgorithm, ValueError):
            return False
        return True


class Signer:
    """A private key. It is never printed: its text names the key by its id."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = PublicKey(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))

    @classmethod
    def generate(cls) -> Signer:
        """A new key from the system's random source."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_seed(cls, seed: bytes) -> Signer:
        """The key of a 32-byte seed, as RFC 8032 writes private keys."""
        return cls(Ed25519PrivateKey.from_private_bytes(seed))

    @classmethod
    def from_pem(cls, pem: bytes) -> Signer:
        """A key in PKCS#8 PEM without a password, as `openssl genpkey -algorithm ed25519` makes it. Raises `NotAKey`.

        The error never holds anything of the input.
        """
        try:
            key = load_pem_private_key(pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, Ed25519PrivateKey):
            raise NotAKey("not an Ed25519 private key in PEM without a password (openssl genpkey -algorithm ed25519)")
        return cls(key)

    def pem(self) -> bytes:
        """The private key as PKCS#8 PEM, for the file that keeps it and for nothing else."""
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def sign(self, domain: bytes, message: bytes) -> bytes:
        """The signature over the message in this domain."""
        return self._key.sign(_framed(domain, message))

    def __repr__(self) -> str:
        return f"Signer({self.public.id})"


def _framed(domain: bytes, message: bytes) -> bytes:
    return domain + b"\n" + message


def from_base64(text: str) -> bytes | None:
    """The bytes of standard base64; None unless the text is exactly what encoding them yields."""
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError, ValueError):
        return None
    return raw if base64.b64encode(raw).decode() == text else None
