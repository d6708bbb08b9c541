"""Attempts deliveries of webhooks: one signed request each, and what becomes of the delivery by its answer."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Self

from jobs_service import webhook_messages
from servicekit.host_settings import HostSettings
from servicekit.journal import AttemptResult, Journal, WebhookAttempt, WebhookProblem
from servicekit.settings import SettingsError
from servicekit.webhooks.post import Poster, PostFailed, tls_context
from servicekit.webhooks.signature import HEADER, sign
from servicekit.webhooks.target import TargetError, TargetPolicy

_LONGEST_PAUSE_S = 3600.0
_JITTER = 0.25
_USER_AGENT = "Sonichaos-Webhooks/1"


@dataclass(frozen=True, kw_only=True)
class RetrySchedule:
    """How often a delivery is attempted. The first pause is ``first_s``; each further one is twice as long, up to an hour.

    Each pause is a random number between 75 and 125 per cent of that, so that what failed together is not repeated together.
    """

    first_s: float
    attempts: int
    random: Callable[[], float] = random.random

    def pause_s(self, failed: int) -> float | None:
        """Seconds until the next attempt after so many failed ones; None for no other."""
        if failed >= self.attempts:
            return None
        doubled_s = self.first_s * 2.0 ** min(failed - 1, 20)
        return float(min(doubled_s, _LONGEST_PAUSE_S) * (1 - _JITTER + 2 * _JITTER * self.random()))


@dataclass(frozen=True, kw_only=True)
class WebhookSender:
    """Sends attempts."""

    journal: Journal
    poster: Poster
    schedule: RetrySchedule

    @classmethod
    def of(cls, settings: HostSettings, journal: Journal) -> Self:
        """That of the settings. Raises :class:`SettingsError` for authorities that cannot be read."""
        try:
            tls = tls_context(settings.webhook_ca)
        except OSError as error:
            raise SettingsError(f"SONICHAOS_WEBHOOK_CA: cannot read {settings.webhook_ca}: {error}") from None
        poster = Poster(policy=target_policy(settings), tls=tls, timeout_s=settings.webhook_timeout_seconds)
        schedule = RetrySchedule(first_s=settings.webhook_retry_seconds, attempts=settings.webhook_attempts)
        return cls(journal=journal, poster=poster, schedule=schedule)

    def send(self, attempt: WebhookAttempt) -> AttemptResult:
        """Make an attempt. Raises nothing that a receiver can cause."""
        content = webhook_messages.body(attempt, self.journal.cursor(attempt.tenant, attempt.event.position))
        headers = {
            "User-Agent": _USER_AGENT,
            "Content-Type": "application/json",
            HEADER: sign(content, attempt.secret, int(self.journal.clock.now().timestamp())),
        }
        try:
            status = self.poster.post(self.poster.policy.read(attempt.url), headers, content)
        except PostFailed as error:
            return self._failed(attempt, WebhookProblem(error.problem), None)
        except TargetError:  # the settings have changed since it was registered
            return self._failed(attempt, WebhookProblem.ADDRESS_NOT_ALLOWED, None)
        if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            return AttemptResult(status_code=status)
        if status == HTTPStatus.GONE:
            return AttemptResult(problem=WebhookProblem.GONE, status_code=status)
        return self._failed(attempt, WebhookProblem.STATUS, status)

    def _failed(self, attempt: WebhookAttempt, problem: WebhookProblem, status: int | None) -> AttemptResult:
        pause_s = self.schedule.pause_s(attempt.series_number)
        return AttemptResult(problem=problem, status_code=status, retry_after_s=pause_s)


def target_policy(settings: HostSettings) -> TargetPolicy:
    """Which URLs the settings allow."""
    return TargetPolicy(allow_http=settings.webhook_allow_http, networks=settings.webhook_networks)
