"""Issuers of JWTs for tests: real keys, their JWKS, and tokens that they sign or that an attacker makes."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

ISSUER = "https://login.example.com/"
AUDIENCE = "sonichaos"
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
_WRITERS: Mapping[str, Any] = {
    "RS": jwt.algorithms.RSAAlgorithm,
    "PS": jwt.algorithms.RSAAlgorithm,
    "ES": jwt.algorithms.ECAlgorithm,
    "Ed": jwt.algorithms.OKPAlgorithm,
}


def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    """A new RSA key."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


@dataclass
class Issuer:
    """An issuer with one key. ``claims`` are in every token, ``kid`` names the key."""

    key: PrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    algorithm: str = "ES256"
    kid: str = "first"
    claims: dict[str, Any] = field(default_factory=lambda: {"tenant": "a", "scope": "read render", "sub": "someone"})

    def jwk(self, **changes: Any) -> dict[str, Any]:
        """The public key as a member of a JWKS."""
        written = _WRITERS[self.algorithm[:2]].to_jwk(self.key.public_key(), as_dict=True)
        named = {**written, "kid": self.kid, "use": "sig", "alg": self.algorithm, **changes}
        return {name: value for name, value in named.items() if value is not None}

    def jwks(self) -> bytes:
        """The issuer's JWKS."""
        return jwks_of(self.jwk())

    def public_pem(self) -> bytes:
        """The public key as text, which an attacker has too."""
        return self.key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def token(self, *, headers: Mapping[str, Any] | None = None, **claims: Any) -> str:
        """A token that is valid for a minute, with changed claims; None removes one."""
        written = {"kid": self.kid, **(headers or {})}
        return jwt.PyJWS().encode(as_json(self.payload(**claims)), self.key, algorithm=self.algorithm, headers=written)

    def payload(self, **claims: Any) -> dict[str, Any]:
        """The claims of :meth:`token`."""
        now = int(time.time())
        merged = {"iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + 60, **self.claims, **claims}
        return {name: value for name, value in merged.items() if value is not None}

    def forged(self, header: Mapping[str, Any], signature: bytes = b"", **claims: Any) -> str:
        """A token with any header, and a signature that no library would write."""
        return ".".join(
            encode(part) for part in (as_json({"typ": "JWT", **header}), as_json(self.payload(**claims)), signature)
        )


def jwks_of(*keys: Mapping[str, Any]) -> bytes:
    """A JWKS."""
    return as_json({"keys": list(keys)})


def as_json(value: object) -> bytes:
    """Compact JSON."""
    return json.dumps(value, separators=(",", ":")).encode()


def encode(part: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()
