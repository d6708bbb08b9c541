"""No query of the journal reads its whole history: each finds its rows, in order, by an index."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, event, text

from servicekit.access.limits import TenantLimits
from servicekit.delivery.names import StemMode, StemName
from servicekit.errors import FailedPrecondition
from servicekit.journal import (
    AttemptResult,
    AuditDraft,
    Checkpoint,
    EventDraft,
    EventKind,
    JobFilter,
    JobState,
    Journal,
    OwningService,
    ProgressTrack,
    Stage,
    WebhookLimits,
    WebhookProblem,
)
from tests.support.databases import raw_engine
from tests.support.journal_rows import BOUNCE, ZIP, claimed, new_job, new_version, request
from tests.support.manual_clock import ManualClock
from tests.support.webhooks import new_webhook

MANY = 1000
START = datetime(2026, 3, 1, tzinfo=UTC)
LEADING_COLUMNS = """
    SELECT indexrelid::regclass::text AS index, attname AS column FROM pg_index
    JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0] JOIN pg_class ON pg_class.oid = indrelid
    WHERE relnamespace = 'public'::regnamespace
"""
Statements = dict[str, Any]


@contextmanager
def recorded() -> Iterator[Statements]:
    """Every statement of the block that reads or changes rows of a table, with its parameters."""
    found: Statements = {}

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        if statement.split(maxsplit=1)[0] in {
            "SELECT",
            "UPDATE",
            "DELETE",
            "WITH",
        } and " FROM " in f"{statement} FROM ".replace("\n", " "):
            found.setdefault(statement, parameters)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def use_everything(journal: Journal, clock: ManualClock) -> None:
    """Every method of the journal, on jobs in every state."""
    progress = EventDraft(kind=EventKind.PROGRESS, track=ProgressTrack.RENDER, stage=Stage.DENOISE, attempt=1)
    job_id = journal.accept(new_job(request("r1"), labels={"a": "b"}), limit=MANY).job.job_id
    clock.advance(1)
    limits = TenantLimits(waiting_jobs=MANY, running_jobs=MANY)
    journal.accept(new_job(request("r2")), limit=MANY, tenant_limits=limits)
    other = journal.accept(new_job(request("r1", tenant="other")), limit=MANY).job.job_id
    clock.advance(1)
    journal.accept(new_job(request("r3"), expire_time=START - timedelta(days=1)), limit=MANY)
    journal.find_existing(request("r1"))
    claim = claimed(journal, lease_s=10)
    journal.append_events(claim, [progress])
    journal.heartbeat(claim)
    claim = journal.retry(claim)
    audit = AuditDraft(kind="BOUNCE", body={"seed": 7}, prompt="p")
    journal.checkpoint(claim, Checkpoint(files=BOUNCE, audit=audit, events=[progress]))
    journal.job("local", job_id)
    journal.cancel("other", other)
    journal.add_upload("local", 1)
    journal.usage("local")
    journal.job_status("local", job_id)
    journal.swept_jobs([job_id])
    journal.finish(claim)
    go_on(journal, clock, job_id)


def go_on(journal: Journal, clock: ManualClock, job_id: str) -> None:
    """The second half of :func:`use_everything`."""
    journal.add_stems("local", job_id, 1, StemMode.EXACT, limit=MANY)
    again = claimed(journal, lease_s=10)  # the other job
    journal.release(again)
    journal.orphaned_versions(OwningService.RENDER)
    journal.reap(OwningService.RENDER)
    journal.drop(claimed(journal))
    for _ in range(2):
        claim = claimed(journal)
        journal.checkpoint(claim, Checkpoint(files=ZIP))
        journal.finish(claim)
    journal.accept_version(new_version(job_id), limit=MANY)
    journal.fail(claimed(journal), {"code": 9})
    journal.retry_version("local", job_id, 2, limit=MANY)
    journal.cancel("local", job_id)
    first = journal.jobs("local", JobFilter(owner=OwningService.RENDER), page_size=1)
    journal.jobs("local", JobFilter(owner=OwningService.RENDER), page_size=1, page_token=first.next_token)
    journal.jobs(
        "local", JobFilter(), page_size=1, page_token=journal.jobs("local", JobFilter(), page_size=1).next_token
    )
    journal.jobs("local", JobFilter(owner=OwningService.RENDER, created_after=START))
    journal.jobs("local", JobFilter(owner=OwningService.RENDER, states=frozenset(JobState), labels={"a": "b"}))
    journal.rerender_outcomes("local", StemName.VOCALS)
    journal.count_queued(OwningService.RENDER)
    journal.events_after(job_id, 1, MANY)
    journal.feed_after(OwningService.RENDER, None, 1, MANY)
    journal.feed_after(OwningService.RENDER, "local", 1, MANY)
    journal.feed_head()
    use_webhooks(journal, clock, job_id)
    journal.erase_prompt("local", job_id)
    journal.audit_rows("local", job_id, page_size=1)
    journal.audit_rows("local", page_size=1)
    journal.verify_chain("local")
    journal.has_chain_heads(journal.chain_heads())
    journal.swept_jobs([job_id])
    journal.purge_erased()
    journal.prune_events(OwningService.RENDER, older_than_s=0, limit=MANY)
    journal.old_jobs(OwningService.RENDER, older_than_s=0, limit=MANY)
    deletion = journal.start_delete_version("local", job_id, 2, OwningService.RENDER)
    assert deletion is not None
    journal.unfinished_version_deletions(OwningService.RENDER)
    journal.finish_delete_version(deletion)
    journal.start_delete("local", job_id, OwningService.RENDER)
    journal.unfinished_deletions(OwningService.RENDER)
    journal.finish_delete("local", job_id)


def use_webhooks(journal: Journal, clock: ManualClock, job_id: str) -> None:
    """Every method about webhooks."""
    render, limits = OwningService.RENDER, WebhookLimits(per_tenant=9, per_job=9)
    journal.webhook_position(render)
    hooks = [journal.create_webhook(new_webhook(job_id=of_job), limits).webhook.webhook_id for of_job in (job_id, "")]
    journal.create_webhook(new_webhook(request_id="r-1"), limits)
    journal.webhook_position(render)
    journal.enqueue_deliveries(render, 0, 0)
    clock.advance(1)
    journal.webhooks("local", page_size=1, page_token=journal.webhooks("local", page_size=1).next_token)
    page = journal.webhook_deliveries("local", hooks[0], page_size=1)
    journal.webhook_deliveries("local", hooks[0], page_size=1, page_token=page.next_token)
    journal.due_webhooks(render)
    for result in (AttemptResult(status_code=204), AttemptResult(problem=WebhookProblem.GONE)):
        (attempt,) = journal.claim_deliveries(render, {hooks[0]: 1}, lease_s=9, max_attempts=9)
        journal.record_attempt(attempt, result)
    with suppress(FailedPrecondition):
        journal.retry_webhook_delivery("local", attempt.delivery_id)
    journal.oldest_waiting_delivery_s(render)
    journal.prune_deliveries(render, older_than_s=-1, limit=1)
    journal.delete_webhook("local", hooks[1])


def sqlite_faults(connection: Connection, statement: str, parameters: Any) -> list[str]:
    """Scans and sorts in a query's plan. A scan that ends at a LIMIT reads an index in order."""
    plan = [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]
    scans = [step for step in plan if step.startswith("SCAN") and " USING " not in step and "CONSTANT ROW" not in step]
    return scans + [step for step in plan if "TEMP B-TREE" in step]


def postgresql_faults(connection: Connection, statement: str, parameters: Any) -> list[str]:
    """Likewise; scans of the whole table and sorts are switched off, so that a plan has one only where no index serves."""
    (found,) = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", parameters).scalars()
    leading = {row.index: row.column for row in connection.execute(text(LEADING_COLUMNS))}
    return list(_node_faults(found[0]["Plan"], leading, limited=False))


def _node_faults(node: dict[str, Any], leading: dict[str, str], *, limited: bool) -> Iterator[str]:
    """An index is read as a whole where the condition lacks its leading column, unless a limit ends the scan."""
    kind, index = node["Node Type"], node.get("Index Name", "")
    limited = limited or kind == "Limit"
    whole = index and not limited and leading[index] not in node.get("Index Cond", "")
    if kind in {"Seq Scan", "Sort", "Incremental Sort"} or whole:
        yield f"{kind} {node.get('Relation Name', '')} {index}"
    for inner in node.get("Plans", ()):
        yield from _node_faults(inner, leading, limited=limited)


def test_every_query_finds_its_rows_by_an_index(any_database: str) -> None:
    """On both databases: no scan of a whole table, and no sort."""
    clock = ManualClock(START)
    with Journal.open(any_database, clock=clock) as journal, recorded() as statements:
        use_everything(journal, clock)
    engine = raw_engine(any_database)
    with engine.connect() as connection:
        if engine.name == "postgresql":
            for planner in ("seqscan", "sort", "incremental_sort", "bitmapscan"):
                connection.exec_driver_sql(f"SET enable_{planner} = off")
        faults_of = sqlite_faults if engine.name == "sqlite" else postgresql_faults
        found = {statement: faults_of(connection, statement, given) for statement, given in statements.items()}
    engine.dispose()
    assert len(found) > 40
    wrong = "\n\n".join(f"{statement}\n{faults}" for statement, faults in found.items() if faults)
    assert not wrong, wrong
