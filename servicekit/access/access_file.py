"""The rules of access.toml: which client certificates, and which issuers of JWTs, identify which tenant."""

from __future__ import annotations

import difflib
import json
import os
import re
import stat
import time
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from servicekit.access.caller import GRANTABLE_SCOPES, LOCAL_TENANT, Scope, is_tenant_id
from servicekit.access.subject_names import parse_subject
from servicekit.logs import logger
from servicekit.loopback import is_loopback_host
from servicekit.settings import SettingsError

Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"]
"""Signature algorithms of JWTs, all asymmetric: nobody who reads the rules can make a token."""

_MAX_BYTES = 1 << 20
_CHECK_INTERVAL_S = 1.0
# A SPIFFE id has no empty segment, no "." and no "..". Source: SPIFFE-ID, section 2.
_SPIFFE = re.compile(r"spiffe://[a-z0-9._-]+(/(?!\.{1,2}(/|$))[A-Za-z0-9._-]+)*")
_log = logger(__name__)


def is_spiffe_id(uri: str) -> bool:
    """Whether a URI has the form of a SPIFFE id."""
    return _SPIFFE.fullmatch(uri) is not None


def _check_tenant(tenant: str) -> str:
    if not is_tenant_id(tenant):
        raise ValueError(f"must be 1 to 63 characters of a-z, 0-9 and -, starting with a letter, got {tenant!r}")
    return tenant


def _check_scopes(scopes: tuple[Scope, ...]) -> tuple[Scope, ...]:
    if not GRANTABLE_SCOPES.issuperset(scopes):
        raise ValueError("peer is no scope of a tenant; write peer = true, without tenant and scopes")
    return scopes


def _check_subject(subject: str) -> str:
    parse_subject(subject)
    return subject


def _check_spiffe(pattern: str) -> str:
    if not is_spiffe_id(pattern.removesuffix("/*")):
        raise ValueError(
            f"must be a SPIFFE id such as spiffe://example.org/mixer, or one that ends in /*, got {pattern!r}"
        )
    return pattern


def _check_issuer(issuer: str) -> str:
    if not issuer or "#" in issuer:
        raise ValueError(f"must be the exact iss of the tokens, without a fragment, got {issuer!r}")
    return issuer


def _check_jwks(jwks: str) -> str:
    parts = urlsplit(jwks)
    if parts.scheme == "https" and parts.hostname:
        return jwks
    if parts.scheme == "http" and parts.hostname and is_loopback_host(parts.hostname):
        return jwks
    if "://" in jwks or not jwks:
        raise ValueError(f"must be an https URL, an http URL of this host's loopback, or a file, got {jwks!r}")
    return jwks


_Tenant = Annotated[str, AfterValidator(_check_tenant)]
_Scopes = Annotated[tuple[Scope, ...], AfterValidator(_check_scopes)]


class _Rules(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class CertificateRule(_Rules):
    """A client certificate, by its subject or its SPIFFE id, and the tenant that it acts for; or that of the other service."""

    subject: Annotated[str, AfterValidator(_check_subject)] | None = None
    spiffe: Annotated[str, AfterValidator(_check_spiffe)] | None = None
    tenant: _Tenant | None = None
    scopes: _Scopes = ()
    peer: bool = False

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.subject is None) == (self.spiffe is None):
            raise ValueError("must have exactly one of subject and spiffe")
        if self.peer and (self.tenant is not None or self.scopes):
            raise ValueError("peer = true is for the other service's certificate, which has no tenant and no scopes")
        if not self.peer and (self.tenant is None or not self.scopes):
            raise ValueError("must have a tenant and at least one scope, or peer = true")
        return self


class JwtRule(_Rules):
    """An issuer of JWTs: how its tokens are verified, and how their claims become a tenant and scopes."""

    issuer: Annotated[str, AfterValidator(_check_issuer)]
    audience: str = Field(min_length=1)
    jwks: Annotated[str, AfterValidator(_check_jwks)]
    algorithms: tuple[Algorithm, ...] = Field(min_length=1)
    tenant: _Tenant | None = None
    tenant_claim: str = Field("tenant", min_length=1)
    scope_claim: str = Field("scope", min_length=1)
    scopes: Mapping[str, Scope] | None = None
    leeway_s: float = Field(30.0, ge=0, le=300)
    max_lifetime_s: float | None = Field(None, gt=0)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.tenant is not None and "tenant_claim" in self.model_fields_set:
            raise ValueError("must have tenant or tenant_claim, not both")
        _check_scopes(tuple((self.scopes or {}).values()))
        return self

    def tenant_of(self, claims: Mapping[str, Any]) -> str | None:
        """The tenant of a verified token; None where its claim names none. No claim can name the operator's own tenant."""
        if self.tenant is not None:
            return self.tenant
        named = claims.get(self.tenant_claim)
        return named if isinstance(named, str) and is_tenant_id(named) and named != LOCAL_TENANT else None

    def scopes_of(self, claims: Mapping[str, Any]) -> frozenset[Scope]:
        """The scopes of a verified token. What this service does not know grants nothing."""
        granted = claims.get(self.scope_claim)
        names = granted.split() if isinstance(granted, str) else granted if isinstance(granted, list) else []
        meanings = {str(scope): scope for scope in GRANTABLE_SCOPES} if self.scopes is None else self.scopes
        return frozenset(meanings[name] for name in names if isinstance(name, str) and name in meanings)


class AccessRules(_Rules):
    """A whole file. The first certificate rule that matches counts; an issuer has one rule."""

    certificate: tuple[CertificateRule, ...] = ()
    jwt: tuple[JwtRule, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> Self:
        issuers = [rule.issuer for rule in self.jwt]
        repeated = sorted({issuer for issuer in issuers if issuers.count(issuer) > 1})
        if repeated:
            raise ValueError(f"each issuer must have one [[jwt]] rule, got several for {', '.join(repeated)}")
        return self


_MODELS: Mapping[str, type[_Rules]] = {"certificate": CertificateRule, "jwt": JwtRule}


def parse_rules(text: str) -> AccessRules:
    """The rules of a file's text. Raises ValueError, with a line for each wrong key."""
    document = tomllib.loads(text)
    try:
        # As JSON, so that strict means the types of the file: a list of strings is a tuple of scopes, but "true" is no boolean.
        return AccessRules.model_validate_json(json.dumps(document, default=str))
    except ValidationError as invalid:
        raise ValueError("\n".join(_problem(dict(error)) for error in invalid.errors(include_url=False))) from None


class AccessFile:
    """The rules of a file, which is read again when it changes.

    A file that is not there has no rules unless it is ``required``. After the start, a file that is invalid or removed is logged,
    and the rules stay as they were. Used by one event loop.
    """

    def __init__(
        self,
        path: Path,
        *,
        required: bool = False,
        check_interval_s: float = _CHECK_INTERVAL_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read the file. Raises :class:`SettingsError` where it is invalid."""
        self.path = path
        self._check_interval_s = check_interval_s
        self._monotonic = monotonic
        self._checked_s = monotonic()
        self._version = _version_of(path)
        self._failed = False
        try:
            self._rules = AccessRules() if self._version is None and not required else self._read()
        except (OSError, ValueError) as error:
            raise SettingsError(f"SONICHAOS_ACCESS_FILE: {path}: {error}") from None

    @property
    def rules(self) -> AccessRules:
        """The rules of the newest valid file. The same object as long as they have not changed."""
        now_s = self._monotonic()
        if now_s - self._checked_s >= self._check_interval_s:
            self._checked_s = now_s
            version = _version_of(self.path)
            if version != self._version or self._failed:
                self._version = version
                self._reload()
        return self._rules

    def _reload(self) -> None:
        self._failed = False
        try:
            self._rules = self._read()
        except (
            OSError
        ) as error:  # read again soon: it may revoke something, and be readable when there is a descriptor for it
            self._failed = self._version is not None
            _log.error("the access file cannot be read, its old rules stay", path=str(self.path), problem=str(error))
        except ValueError as error:
            _log.error("the access file is invalid, its old rules stay", path=str(self.path), problem=str(error))
        else:
            counts = {"certificates": len(self._rules.certificate), "issuers": len(self._rules.jwt)}
            _log.info("the access file has new rules", path=str(self.path), **counts)

    def _read(self) -> AccessRules:
        with self.path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if mode & stat.S_IWOTH:
                raise ValueError(f"every user of this machine can write it; run chmod o-w {self.path}")
            content = file.read(_MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            raise ValueError(f"must have at most {_MAX_BYTES} bytes")
        return parse_rules(content.decode())


def _version_of(path: Path) -> tuple[int, ...] | None:
    """Differs whenever the file was written, replaced or given another mode; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino


def _problem(error: Mapping[str, Any]) -> str:
    """One line for a pydantic error, such as ``[[certificate]] 2: unknown key scope; did you mean scopes?``."""
    place = list(error["loc"])
    table = str(place[0]) if place else ""
    where = f"[[{table}]] {place[1] + 1}" if len(place) > 1 and isinstance(place[1], int) else table
    if error["type"] == "extra_forbidden":
        model = _MODELS.get(table, AccessRules)
        close = difflib.get_close_matches(str(place[-1]), list(model.model_fields), n=1)
        prefix = f"{where}: " if len(place) > 1 else ""
        return f"{prefix}unknown key {place[-1]}" + (f"; did you mean {close[0]}?" if close else "")
    key = ".".join(str(part) for part in place[2:])
    message = str(error["msg"]).removeprefix("Value error, ")
    shown = f", got {error['input']!r}" if error["type"] != "value_error" and key and error["type"] != "missing" else ""
    return ": ".join(filter(None, (where, key, message + shown)))
