"""What the journal does for webhooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from servicekit.clock import from_micros
from servicekit.journal import webhook_deliveries, webhooks
from servicekit.journal.open_journal import OpenJournal
from servicekit.journal.states import OwningService
from servicekit.journal.webhook_rows import (
    AttemptResult,
    DueWebhook,
    NewWebhook,
    RegisteredWebhook,
    WebhookAttempt,
    WebhookDelivery,
    WebhookDeliveryPage,
    WebhookLimits,
    WebhookPage,
)

_EVENTS = 500
_RECORD_EVERY = 1000
"""Events without webhooks after which the place in the feed is recorded, so that a restart has few to look at again."""


class WebhookMethods(OpenJournal):
    """But for `enqueue_deliveries` each method is one transaction; for the errors of all see `servicekit.journal.journal`."""

    def create_webhook(self, new: NewWebhook, limits: WebhookLimits) -> RegisteredWebhook:
        """Register a webhook, whose id must be new. One for a job gets deliveries of what has happened to it.

        Raises AlreadyExists REQUEST_ID_REUSED, NotFound JOB_NOT_FOUND and ResourceExhausted TENANT_LIMIT.
        """
        with self._writing() as tx:
            return webhooks.create(tx, new, limits)

    def webhooks(self, tenant: str, *, page_size: int, page_token: str = "") -> WebhookPage:
        """A page of a tenant's webhooks, newest first. Raises InvalidToken."""
        with self._database.reading() as connection:
            return webhooks.page(connection, self.sealer, tenant, size=page_size, token=page_token)

    def delete_webhook(self, tenant: str, webhook_id: str) -> None:
        """Remove a webhook with its deliveries. Raises NotFound WEBHOOK_NOT_FOUND."""
        with self._writing() as tx:
            webhooks.remove(tx, tenant, webhook_id)

    def webhook_deliveries(
        self, tenant: str, webhook_id: str, *, page_size: int, page_token: str = ""
    ) -> WebhookDeliveryPage:
        """A page of a webhook's deliveries, newest first. Raises NotFound WEBHOOK_NOT_FOUND, InvalidToken."""
        with self._database.reading() as connection:
            return webhooks.delivery_page(connection, self.sealer, tenant, webhook_id, size=page_size, token=page_token)

    def retry_webhook_delivery(self, tenant: str, delivery_id: str) -> WebhookDelivery:
        """Make a delivery due now, with as many attempts as a new one.

        Raises NotFound WEBHOOK_DELIVERY_NOT_FOUND, FailedPrecondition WEBHOOK_DISABLED.
        """
        with self._writing() as tx:
            return webhooks.retry_delivery(tx, tenant, delivery_id)

    # For the thread that delivers

    def webhook_position(self, owner: OwningService) -> int:
        """The feed position after which the owner's events have not become deliveries yet."""
        with self._database.reading() as connection:
            return webhook_deliveries.start_position(connection, owner)

    def enqueue_deliveries(self, owner: OwningService, after: int, recorded: int) -> tuple[int, int, bool]:
        """Make deliveries of the next events after a feed position, of which ``recorded`` is the last that was recorded.

        Returns the position up to which that was done, the recorded one, and whether there may be more. Writes only where events
        have webhooks, and now and then the position.
        """
        with self._database.reading() as connection:
            part = webhook_deliveries.read_part(connection, owner, after, _EVENTS)
        if part.due:
            with self._writing() as tx:  # looks again: webhooks and jobs may have been removed meanwhile
                webhook_deliveries.enqueue(tx, owner, after, _EVENTS)
        elif part.end - recorded >= _RECORD_EVERY:
            with self._writing() as tx:
                webhook_deliveries.record_position(tx, owner, part.end)
        else:
            return part.end, recorded, part.more
        return part.end, part.end, part.more

    def due_webhooks(self, owner: OwningService) -> Sequence[DueWebhook]:
        """The webhooks with deliveries of the owner's events that are due."""
        with self._database.reading() as connection:
            return webhook_deliveries.due_webhooks(connection, owner, self._database.now_us())

    def claim_deliveries(
        self, owner: OwningService, wanted: Mapping[str, int], *, lease_s: float, max_attempts: int
    ) -> Sequence[WebhookAttempt]:
        """Claim attempts of due deliveries: of each webhook id, at most so many. Nobody else attempts them for ``lease_s``."""
        with self._writing() as tx:
            return webhook_deliveries.claim(tx, owner, wanted, lease_s=lease_s, max_attempts=max_attempts)

    def record_attempt(self, attempt: WebhookAttempt, result: AttemptResult) -> bool:
        """Record the result of an attempt; False where the delivery is gone or another attempt was started meanwhile."""
        with self._writing() as tx:
            return webhook_deliveries.record(tx, attempt, result)

    def prune_deliveries(self, owner: OwningService, *, older_than_s: float, limit: int) -> int:
        """Remove at most ``limit`` deliveries that ended more than ``older_than_s`` ago; returns how many."""
        older_us = round(older_than_s * 1e6)
        with self._database.reading() as connection:
            if not webhook_deliveries.has_old(connection, owner, self._database.now_us() - older_us):
                return 0
        with self._writing() as tx:
            return webhook_deliveries.prune(tx, owner, tx.now_us - older_us, limit)

    def oldest_waiting_delivery_s(self, owner: OwningService) -> float:
        """How long the oldest delivery has waited, in seconds; 0 where none waits."""
        with self._database.reading() as connection:
            oldest_us = webhook_deliveries.oldest_waiting_us(connection, owner)
        if oldest_us is None:
            return 0.0
        return max((self.clock.now() - from_micros(oldest_us)).total_seconds(), 0.0)
