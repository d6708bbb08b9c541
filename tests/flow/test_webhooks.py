"""Webhooks of running services: a real take, and kill -9 between an event and its delivery."""

from __future__ import annotations

from pathlib import Path

import pytest

from sonichaos_client import WebhookDeliveryState, errors, verify_signature
from tests.flow.conftest import FreshPair
from tests.support.certificates import Authority
from tests.support.pair import RENDER, eventually
from tests.support.takes import brief, take
from tests.support.webhooks import receiver


def test_a_take_is_delivered_though_the_service_is_killed_before(fresh_pair: FreshPair, tmp_path: Path) -> None:
    """It is delivered once, over HTTPS, when the service runs again; a private address is refused without the setting."""
    authority = Authority.create(tmp_path)
    settings = {
        "SONICHAOS_WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8,::1/128",
        "SONICHAOS_WEBHOOK_CA": str(authority.ca),
    }
    pair = fresh_pair(SONICHAOS_WEBHOOK_THREADS="0", **settings)
    with receiver(authority.server(hosts=["localhost"]), host="localhost") as running:
        created = pair.client.create_webhook(running.url)
        webhook_id = created.webhook.webhook_id
        story = take(pair.client, brief())
        eventually(lambda: len(list(pair.client.list_webhook_deliveries(webhook_id))) == 2, "both events wait")
        pair.kill(RENDER)
        pair.stop()
        assert running.requests == []
        again = fresh_pair(data=pair.data, start=False, **settings)
        again.start()
        running.wait_for(2)
        eventually(
            lambda: all(
                one.state == WebhookDeliveryState.DELIVERED for one in again.client.list_webhook_deliveries(webhook_id)
            ),
            "both are delivered",
        )
        requests = list(running.requests)
    for request in requests:
        verify_signature(request.body, request.headers["sonichaos-signature"], created.secret)
    assert sorted(request.json["type"] for request in requests) == ["BOUNCE_READY", "VERSION_ENDED"]
    assert {request.json["job"]["jobId"] for request in requests} == {story.job.job_id}
    with pytest.raises(errors.InvalidRequestError, match="must not have a private"):
        again.client.create_webhook("https://10.0.0.1/")
    again.client.delete(story.job.job_id)
    assert list(again.client.list_webhook_deliveries(webhook_id)) == []
