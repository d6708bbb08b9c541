"""Identifies callers by their client certificate, which gRPC has verified against the authorities of the address."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from cryptography.x509 import Name

from servicekit.access.access_file import AccessFile, AccessRules, CertificateRule, is_spiffe_id
from servicekit.access.caller import LOCAL_TENANT, Caller, CallFacts, IdentityMethod, Scope
from servicekit.access.subject_names import parse_subject
from servicekit.clock import Clock
from servicekit.errors import Unauthenticated

_SPIFFE = "spiffe://"
_SHOWN_CHARACTERS = 200


class CertificateIdentifier:
    """Callers by the ``[[certificate]]`` rules of the access file.

    A certificate that no rule names identifies nobody: the call needs another credential then.
    """

    def __init__(self, file: AccessFile, clock: Clock) -> None:
        self._file = file
        self._clock = clock
        self._index = _Index(file.rules)

    async def identify(self, call: CallFacts) -> Caller | None:
        """See `servicekit.access.caller.Identifier`."""
        certificate, index = call.certificate, self._current_index()
        if certificate is None:
            return None
        if certificate.expires_at <= self._clock.now():
            raise Unauthenticated(
                "the client certificate expired; connect with a new one", reason="CREDENTIALS_EXPIRED"
            )
        caller = index.find(certificate.subject, certificate.uris)
        if caller is None and index and not call.authorization:
            raise Unauthenticated(
                f"no [[certificate]] rule of the access file names the subject {certificate.subject[:_SHOWN_CHARACTERS]!r} "
                "or the SPIFFE id of this client certificate; add one, or send an API key or a JWT",
                reason="CREDENTIALS_INVALID",
            )
        return replace(caller, expires_at=certificate.expires_at) if caller is not None else None

    async def is_valid(self, caller: Caller) -> bool:
        """Whether the certificate has not expired, and the rules still give the caller its tenant and scopes."""
        if caller.method is not IdentityMethod.CERTIFICATE:
            return True
        if caller.expires_at is not None and caller.expires_at <= self._clock.now():
            return False
        by_id = caller.subject.startswith(_SPIFFE)
        found = self._current_index().find("" if by_id else caller.subject, (caller.subject,) if by_id else ())
        return found is not None and found.tenant == caller.tenant and found.scopes >= caller.scopes

    def _current_index(self) -> _Index:
        rules = self._file.rules
        if rules is not self._index.rules:
            self._index = _Index(rules)
        return self._index


class _Index:
    """The certificate rules, so that a call does not look at each of them."""

    def __init__(self, rules: AccessRules) -> None:
        self.rules = rules
        self._subjects: dict[Name, int] = {}
        self._ids: dict[str, int] = {}
        self._prefixes: list[tuple[str, int]] = []
        for place, rule in enumerate(rules.certificate):
            if rule.subject is not None:
                self._subjects.setdefault(parse_subject(rule.subject), place)
            elif rule.spiffe is not None and rule.spiffe.endswith("/*"):
                self._prefixes.append((rule.spiffe[:-1], place))
            elif rule.spiffe is not None:
                self._ids.setdefault(rule.spiffe, place)

    def __bool__(self) -> bool:
        return bool(self.rules.certificate)

    def find(self, subject: str, uris: Iterable[str]) -> Caller | None:
        """The caller by the first rule that names the subject or the SPIFFE id."""
        by_id = _spiffe_id(uris)
        matches = [(place, by_id) for place in self._places_of_id(by_id)] if by_id is not None else []
        matches += [(place, subject) for place in self._places_of_subject(subject)]
        if not matches:
            return None
        place, name = min(matches)
        return _caller(self.rules.certificate[place], name)

    def _places_of_id(self, spiffe_id: str) -> list[int]:
        exact = [self._ids[spiffe_id]] if spiffe_id in self._ids else []
        return exact + [place for prefix, place in self._prefixes if spiffe_id.startswith(prefix)]

    def _places_of_subject(self, subject: str) -> list[int]:
        if not subject or not self._subjects:
            return []
        try:
            place = self._subjects.get(parse_subject(subject))
        except ValueError:  # an attribute that RFC 4514 cannot write; no rule names it
            return []
        return [] if place is None else [place]


def _spiffe_id(uris: Iterable[str]) -> str | None:
    """The SPIFFE id of a certificate, which must be its only URI. Source: X509-SVID, section 2."""
    found = tuple(uris)
    return found[0] if len(found) == 1 and is_spiffe_id(found[0]) else None


def _caller(rule: CertificateRule, name: str) -> Caller:
    """The other service also reads the name of the model; its host has the journal and the store anyway."""
    return Caller(
        tenant=rule.tenant or LOCAL_TENANT,
        subject=name,
        method=IdentityMethod.CERTIFICATE,
        scopes=frozenset({Scope.PEER, Scope.READ}) if rule.peer else frozenset(rule.scopes),
    )
