"""What webhooks cost: the end of a job with 0, 1 and 10 of them, and how many requests a service delivers in a second.

    python -m benchmarks.webhooks [--jobs 200] [--rounds 5] [--receiver-ms 0]

A journal in a SQLite file, the thread that delivers, and a receiver in another process on loopback. In each round the numbers of
webhooks take turns: jobs are ended one after another while the thread delivers, and each end is timed. Then as many jobs end while
it is stopped, and it delivers what has piled up. Medians of the rounds; the ratios compare ends of the same round.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path

import structlog

from jobs_service.webhook_deliveries import WebhookDeliveries
from jobs_service.webhook_sender import RetrySchedule, WebhookSender
from servicekit.clock import SystemClock
from servicekit.delivery.names import StemMode
from servicekit.ids import new_webhook_id
from servicekit.journal import (
    EventDraft,
    EventKind,
    Journal,
    NewJob,
    NewWebhook,
    OwningService,
    Request,
    WebhookEventKind,
    WebhookLimits,
)
from servicekit.metrics import Metrics
from servicekit.webhooks.post import Poster, tls_context
from servicekit.webhooks.signature import new_secret
from servicekit.webhooks.target import TargetPolicy

_RENDER = OwningService.RENDER
_TENANT = "local"
_NUMBERS = (0, 1, 10)
_THREADS = 16
_ANSWER = b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=200, help="jobs of a number of webhooks in a round [default: 200]")
    parser.add_argument("--rounds", type=int, default=5, help="[default: 5]")
    parser.add_argument("--receiver-ms", type=float, default=0.0, help="how long the receiver works [default: 0]")
    asked = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    ends_ms: dict[int, list[float]] = {number: [] for number in _NUMBERS}
    rates: dict[int, list[float]] = {number: [] for number in _NUMBERS if number}
    with receiver(asked.receiver_ms / 1000) as port, tempfile.TemporaryDirectory() as folder:
        for round_ in range(asked.rounds):
            for number in _NUMBERS:
                database = f"sqlite:///{Path(folder).resolve() / f'{round_}-{number}.db'}"
                with Journal.open(database, clock=SystemClock()) as journal:
                    end_ms, rate = measure(journal, number, asked.jobs, port)
                ends_ms[number].append(end_ms)
                if number:
                    rates[number].append(rate)
    for number in _NUMBERS:
        ratio = statistics.median(with_ / without for with_, without in zip(ends_ms[number], ends_ms[0], strict=True))
        text = f"{number:2} webhooks: end of a job {statistics.median(ends_ms[number]):.2f} ms, ratio {ratio:.2f}"
        print(text + (f", {statistics.median(rates[number]):.0f} deliveries a second" if number else ""))


def measure(journal: Journal, webhooks: int, jobs: int, port: int) -> tuple[float, float]:
    """The median end of a job in ms, and deliveries in a second of what has piled up."""
    for index in range(webhooks):
        new = NewWebhook(
            webhook_id=new_webhook_id(datetime.now(UTC)),
            tenant=_TENANT,
            job_id="",
            url=f"http://127.0.0.1:{port}/{index}",
            kinds=frozenset({WebhookEventKind.VERSION_ENDED}),
            secret=new_secret(),
        )
        journal.create_webhook(new, WebhookLimits(per_tenant=webhooks, per_job=0))
    policy = TargetPolicy(allow_http=True, networks=(ip_network("127.0.0.0/8"),))
    sender = WebhookSender(
        journal=journal,
        poster=Poster(policy=policy, tls=tls_context(None), timeout_s=30.0),
        schedule=RetrySchedule(first_s=1.0, attempts=9),
    )
    metrics = Metrics("render")

    @contextmanager
    def delivering(number: int) -> Iterator[None]:
        """Deliver during the block, and then until there are so many."""
        with WebhookDeliveries(journal, _RENDER, sender, metrics, threads=_THREADS, retention_s=3600.0):
            yield
            while _delivered(metrics) < number:
                time.sleep(0.005)

    with delivering(webhooks * jobs):
        ends_ms = [_end_job(journal, jobs) for _ in range(jobs)]
    for _ in range(jobs):
        _end_job(journal, jobs)
    started_s = time.perf_counter()
    with delivering(2 * webhooks * jobs):
        pass
    return statistics.median(ends_ms), webhooks * jobs / (time.perf_counter() - started_s)


def _end_job(journal: Journal, jobs: int) -> float:
    """Run a job; how long its end takes, in ms."""
    journal.accept(_new(), limit=jobs + 1)
    claim = journal.claim(_RENDER, lease_s=60)
    assert claim is not None
    journal.append_events(claim, [EventDraft(kind=EventKind.BOUNCE_READY)])
    before_s = time.perf_counter()
    journal.finish(claim)
    return 1000 * (time.perf_counter() - before_s)


def _delivered(metrics: Metrics) -> float:
    name = "sonichaos_render_webhook_deliveries_total"
    return metrics.registry.get_sample_value(name, {"result": "delivered"}) or 0.0


def _new() -> NewJob:
    return NewJob(
        owner=_RENDER,
        request=Request(tenant=_TENANT, rpc="CreateRender", request_id=None, digest=""),
        brief={"prompt": "warm tape piano", "seed": 7, "seconds": 8.0},
        plan={"text": {"prompt": "warm tape piano"}},
        stems_wanted=True,
        stem_mode=StemMode.EXACT,
        labels={},
        audio_seconds=8.0,
    )


@contextmanager
def receiver(work_s: float) -> Iterator[int]:
    """A receiver in a process of its own; its port."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listening:
        process = multiprocessing.get_context("fork").Process(target=_serve, args=(listening, work_s), daemon=True)
        process.start()
        try:
            yield listening.getsockname()[1]
        finally:
            process.terminate()
            process.join()


def _serve(listening: socket.socket, work_s: float) -> None:
    while True:
        connection, _ = listening.accept()
        threading.Thread(target=_answer, args=(connection, work_s), daemon=True).start()


def _answer(connection: socket.socket, work_s: float) -> None:
    with connection:
        if connection.recv(65536):  # the request fits in one segment of loopback
            time.sleep(work_s)
            connection.sendall(_ANSWER)


if __name__ == "__main__":
    main()
