"""``sonichaos audit``: show the rows, verify the chain, render again and compare."""

from __future__ import annotations

import re

import click

from sonichaos.render.v1 import render_pb2
from sonichaos_client.cli.exit_status import ExitStatus
from sonichaos_client.cli.numbers import UINT32_MAX
from sonichaos_client.cli.session import Session, connected, note

_HEAD = re.compile(r"([1-9][0-9]{0,17}):([0-9a-f]{64})")


@click.command()
@click.argument("job_id", required=False, default="")
@click.option("--replay", is_flag=True, help="Render JOB_ID again from its audit row and compare.")
@click.option(
    "--version",
    "number",
    type=click.IntRange(1, UINT32_MAX),
    default=1,
    show_default=True,
    help="Which version to replay.",
)
@click.option(
    "--erase-prompt",
    "erase",
    is_flag=True,
    help="Erase JOB_ID's prompt from the journal, for good. The chain stays intact; a replay is no longer possible.",
)
@click.option("--head", metavar="SEQUENCE:DIGEST", help="A head exported before, which must lie in the chain.")
@connected
def audit(session: Session, *, job_id: str, replay: bool, number: int, erase: bool, head: str | None) -> None:
    """Show audit rows and verify the chain. Exit status 3 where it is broken or a replay differs."""
    if (replay or erase) and not job_id:
        raise click.UsageError("--replay and --erase-prompt want a JOB_ID")
    if replay and erase:
        raise click.UsageError("what was erased cannot be rendered again: --replay first, then --erase-prompt")
    sequence, digest = _parse_head(head)
    with session.client() as client:
        if erase:
            erased = client.erase_prompt(job_id)
            session.emit(erased)
            session.tell(_erasure_in_words(erased))
        found = False
        for row in client.audit_rows(job_id):
            found = True
            session.emit(row)
            session.tell(f"{row.sequence:>6}  {row.job_id} v{row.version}  {row.kind:<6}  {row.digest}")
        if job_id and not found:
            client.get_job(job_id)  # a job that there is none of is NotFound here as everywhere
            note(f"{job_id} has no audit row yet; the first is written when its bounce is stored")
        chain = client.verify_audit_chain(head_sequence=sequence, head_digest=digest)
        session.emit(chain)
        session.tell(_chain_in_words(chain))
        matches = chain.intact
        if replay:
            again = client.replay(job_id, version=number)
            session.emit(again)
            session.tell(_replay_in_words(again))
            matches = matches and again.outcome in {render_pb2.REPLAY_OUTCOME_EXACT, render_pb2.REPLAY_OUTCOME_CLOSE}
    if not matches:
        click.get_current_context().exit(ExitStatus.MISMATCH)


def _parse_head(head: str | None) -> tuple[int, str]:
    if head is None:
        return 0, ""
    match = _HEAD.fullmatch(head)
    if match is None:
        raise click.BadParameter(f"wanted SEQUENCE:DIGEST as an audit prints it, got {head!r}", param_hint="--head")
    return int(match[1]), match[2]


def _chain_in_words(chain: render_pb2.VerifyAuditChainResponse) -> str:
    if not chain.intact:
        return f"chain: BROKEN at row {chain.broken_sequence}: {chain.detail}"
    return f"chain: intact; head {chain.head_sequence}:{chain.head_digest}"


def _erasure_in_words(erased: render_pb2.ErasePromptResponse) -> str:
    words = f"prompt: erased from {erased.audit_rows} audit rows and the job's row"
    if erased.keys_with_prompt:
        words += f"; still in {', '.join(erased.keys_with_prompt)} until the job is deleted"
    return words


def _replay_in_words(again: render_pb2.ReplayTakeResponse) -> str:
    outcome = render_pb2.ReplayOutcome.Name(again.outcome).removeprefix("REPLAY_OUTCOME_").lower()
    words = f"replay: {outcome}"
    if again.HasField("difference_dbfs"):
        words += f", largest difference {again.difference_dbfs:.1f} dBFS"
    if again.fingerprint_differences:
        words += f"; the machine differs in {', '.join(again.fingerprint_differences)}"
    return words
