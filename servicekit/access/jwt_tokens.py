"""Identifies callers by JWTs (RFC 7519) of the issuers that the access file names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jwt

from servicekit.access.access_file import AccessFile, AccessRules, JwtRule
from servicekit.access.api_key import PREFIX
from servicekit.access.caller import Caller, CallFacts, IdentityMethod
from servicekit.access.jwks import FileKeys, KeySource, SigningKey, UrlKeys
from servicekit.clock import Clock
from servicekit.errors import Unauthenticated
from servicekit.logs import logger
from servicekit.settings import SettingsError

_MAX_CHARACTERS = 8 << 10
_MAX_CANDIDATES = 4
_SHOWN_CHARACTERS = 128
_FOREIGN_KEYS = frozenset({"jku", "x5u", "jwk", "crit"})
"""Headers that name a key of the token's own choice or an extension that must be understood."""
_END = datetime(9999, 12, 31, tzinfo=UTC)
_REQUIRED = ("exp", "iss", "aud")
_log = logger(__name__)

OpenKeys = Callable[[str], KeySource]


def open_keys(file: AccessFile) -> OpenKeys:
    """Opens what ``jwks`` of a rule names: a URL, or a file, relative to the folder of the access file."""

    def opened(jwks: str) -> KeySource:
        if urlsplit(jwks).scheme in {"https", "http"}:
            return UrlKeys(jwks)
        return FileKeys((file.path.parent / Path(jwks)).absolute())

    return opened


class JwtIdentifier:
    """Callers by the ``[[jwt]]`` rules of the access file.

    The ``iss`` that a token claims chooses the rule; everything else about the token is then verified by that rule. Used by one
    event loop.
    """

    def __init__(self, file: AccessFile, clock: Clock, open_key_source: OpenKeys | None = None) -> None:
        """Open the keys of every issuer. Raises :class:`SettingsError` for a file of keys that is unusable."""
        self._file = file
        self._clock = clock
        self._open = open_key_source or open_keys(file)
        self._sources: dict[str, KeySource] = {}
        self._rules = file.rules
        self._by_issuer, problems = self._use(self._rules)
        for jwks, problem in problems.items():
            raise SettingsError(f"SONICHAOS_ACCESS_FILE: {file.path}: jwks {jwks}: {problem}")

    async def identify(self, call: CallFacts) -> Caller | None:
        """See `servicekit.access.caller.Identifier`. Raises Unavailable where the issuer's keys are not there."""
        token = call.bearer_token
        if token is None or token.startswith(PREFIX) or not self._current_rules():
            return None
        if len(token) > _MAX_CHARACTERS:
            raise _invalid(f"a JWT must have at most {_MAX_CHARACTERS} characters, got {len(token)}")
        header, claimed = _read(token)
        rule = self._current_rules().get(claimed) if isinstance(claimed, str) else None
        if rule is None:
            raise _invalid("this service accepts no JWTs of this issuer")
        claims = _verified(token, await self._candidates(rule, header), rule)
        return _caller(claims, rule)

    async def is_valid(self, caller: Caller) -> bool:
        """Whether the token has not expired and its issuer still has a rule, with the same tenant where the rule names one."""
        if caller.method is not IdentityMethod.JWT:
            return True
        if caller.expires_at is not None and caller.expires_at <= self._clock.now():
            return False
        rule = self._current_rules().get(caller.subject.partition("#")[0])
        return rule is not None and rule.tenant in {None, caller.tenant}

    def _current_rules(self) -> Mapping[str, JwtRule]:
        """The rule of each issuer whose keys could be opened."""
        rules = self._file.rules
        if rules is not self._rules:
            self._rules = rules
            self._by_issuer, problems = self._use(rules)
            for jwks, problem in problems.items():
                _log.error("a JWKS is unusable; write the access file again when it is not", jwks=jwks, problem=problem)
        return self._by_issuer

    def _use(self, rules: AccessRules) -> tuple[Mapping[str, JwtRule], Mapping[str, str]]:
        """Open the keys of new rules and forget those that no rule names.

        Returns the rule of each issuer whose keys could be opened, and why others could not, by their ``jwks``.
        """
        wanted, problems = {rule.jwks for rule in rules.jwt}, {}
        self._sources = {jwks: source for jwks, source in self._sources.items() if jwks in wanted}
        for jwks in sorted(wanted - self._sources.keys()):
            try:
                self._sources[jwks] = self._open(jwks)
            except (OSError, ValueError) as error:
                problems[jwks] = str(error)
        return {rule.issuer: rule for rule in rules.jwt if rule.jwks in self._sources}, problems

    async def _candidates(self, rule: JwtRule, header: Mapping[str, Any]) -> Sequence[jwt.PyJWK]:
        """The issuer's keys that may have made the token: of its kid, and of the type that its algorithm needs."""
        algorithm, kid = header.get("alg"), header.get("kid")
        if algorithm not in rule.algorithms:
            raise _invalid(f"the JWT must be signed with one of {', '.join(rule.algorithms)}")
        foreign = sorted(_FOREIGN_KEYS & header.keys())
        if foreign:
            raise _invalid(f"the JWT must not have the header {foreign[0]}")
        source = self._sources[rule.jwks]
        named = _of_kid(await source.keys(), kid)
        if not named and kid is not None:
            named = _of_kid(await source.keys(unknown_kid=True), kid)
        if not named:
            raise _invalid("the JWT is signed with a key that its issuer does not publish")
        fitting = [key.algorithms[algorithm] for key in named if algorithm in key.algorithms]
        if not fitting:
            raise _invalid("the JWT's algorithm does not fit the type of the issuer's key")
        if len(fitting) > (1 if kid is None else _MAX_CANDIDATES):
            raise _invalid("the JWT must name its key (kid), because its issuer publishes several")
        return fitting


def _of_kid(keys: Sequence[SigningKey], kid: str | None) -> Sequence[SigningKey]:
    return keys if kid is None else [key for key in keys if key.kid == kid]


def _read(token: str) -> tuple[Mapping[str, Any], object]:
    """Header and claimed issuer of a token that is not verified yet."""
    try:
        read = jwt.decode_complete(token, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, TypeError):
        raise _invalid("the credential is neither an API key nor a JWT; check that it was copied whole") from None
    return read["header"], read["payload"].get("iss")


def _verified(token: str, keys: Sequence[jwt.PyJWK], rule: JwtRule) -> Mapping[str, Any]:
    """The claims of a token that one of the keys signed and that is valid now."""
    refused = _invalid("the JWT's signature does not match")
    for key in keys:
        try:
            claims: Mapping[str, Any] = jwt.decode(
                token,
                key,
                algorithms=rule.algorithms,
                audience=rule.audience,
                issuer=rule.issuer,
                leeway=rule.leeway_s,
                options={"require": list(_REQUIRED)},
            )
        except jwt.InvalidSignatureError:
            continue
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError) as error:
            raise _refusal(error, rule) from None
        return claims
    raise refused


def _refusal(error: Exception, rule: JwtRule) -> Unauthenticated:
    """Why a signed token is not accepted, without anything of the token."""
    if isinstance(error, jwt.ExpiredSignatureError):
        return Unauthenticated("the JWT expired; get a new one from its issuer", reason="CREDENTIALS_EXPIRED")
    if isinstance(error, jwt.ImmatureSignatureError):
        return _invalid("the JWT is not valid yet; check the clocks of its issuer and of this host")
    if isinstance(error, jwt.InvalidAudienceError):
        return _invalid(f"the JWT's audience must be {rule.audience}")
    if isinstance(error, jwt.MissingRequiredClaimError):
        return _invalid(f"the JWT must have the claim {error.claim}")
    return _invalid("the JWT is malformed")


def _caller(claims: Mapping[str, Any], rule: JwtRule) -> Caller:
    expire_s, issued_s = int(claims["exp"]), claims.get("iat")
    if rule.max_lifetime_s is not None and (issued_s is None or expire_s - int(issued_s) > rule.max_lifetime_s):
        raise _invalid(f"the JWT must have the claim iat and expire at most {rule.max_lifetime_s:g} s after it")
    tenant = rule.tenant_of(claims)
    if tenant is None:
        raise _invalid(f"the JWT's claim {rule.tenant_claim} must be the id of a tenant other than local")
    named = str(claims.get("sub") or "-")[:_SHOWN_CHARACTERS]
    try:
        expires_at = datetime.fromtimestamp(expire_s, UTC) + timedelta(seconds=rule.leeway_s)
    except (OverflowError, ValueError, OSError):  # after the year 9999
        expires_at = _END
    return Caller(
        tenant=tenant,
        subject=f"{rule.issuer}#{named}",
        method=IdentityMethod.JWT,
        scopes=rule.scopes_of(claims),
        expires_at=expires_at,
    )


def _invalid(message: str) -> Unauthenticated:
    return Unauthenticated(message, reason="CREDENTIALS_INVALID")
