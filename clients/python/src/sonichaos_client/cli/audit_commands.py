"""``sonichaos audit | erase-prompt``."""

from __future__ import annotations

import re

import click

from sonichaos.render.v1 import render_pb2
from sonichaos_client.cli.completion import JOB_ID
from sonichaos_client.cli.confirmation import confirm
from sonichaos_client.cli.exit_status import ExitStatus
from sonichaos_client.cli.formatting import lower
from sonichaos_client.cli.param_types import version_option
from sonichaos_client.cli.session import Session, connected, note
from sonichaos_client.enums import ReplayOutcome

_HEAD = re.compile(r"([1-9][0-9]{0,17}):([0-9a-f]{64})")


@click.command()
@click.argument("job_id", type=JOB_ID, required=False, default="")
@click.option("--replay", is_flag=True, help="Render JOB_ID again from its audit row and compare.")
@version_option("the newest that has an audit row")
@click.option("--head", metavar="SEQUENCE:DIGEST", help="A head exported earlier, which the chain must contain.")
@connected
def audit(session: Session, *, job_id: str, replay: bool, version: int | None, head: str | None) -> None:
    """Show audit rows and verify the chain.

    Exit status 3 if the chain is broken or a replay differs. --version applies to --replay.
    """
    if replay and not job_id:
        raise click.UsageError("--replay requires a JOB_ID.")
    sequence, digest = _parse_head(head)
    with session.client() as client:
        has_rows = False
        for row in client.list_audit_rows(job_id):
            has_rows = True
            session.print_json(row)
            session.print_text(f"{row.sequence:>6}  {row.job_id} v{row.version}  {row.kind:<6}  {row.digest}")
        if job_id and not has_rows:
            client.get_job(job_id)  # raises NotFoundError if there is no such job
            note(f"{job_id} has no audit rows yet. The first is written when its bounce is stored.")
        chain = client.verify_audit_chain(head_sequence=sequence, head_digest=digest)
        session.print_json(chain)
        session.print_text(_format_chain(chain))
        matches = chain.intact
        if replay:
            replayed = client.replay(job_id, version=version or 0)
            session.print_json(replayed)
            session.print_text(_format_replay(replayed))
            matches = matches and ReplayOutcome(replayed.outcome) in {ReplayOutcome.EXACT, ReplayOutcome.CLOSE}
    if not matches:
        click.get_current_context().exit(ExitStatus.MISMATCH)


@click.command("erase-prompt")
@click.argument("job_id", type=JOB_ID)
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@connected
def erase_prompt(session: Session, *, job_id: str, yes: bool) -> None:
    """Erase a job's prompt from the journal, for good.

    The job must have ended or be deleted. The audit chain stays intact, but the take can no longer be replayed.
    """
    confirm(f"Erase the prompt of {job_id}? It cannot be restored, and the take cannot be replayed.", yes=yes)
    with session.client() as client:
        erased = client.erase_prompt(job_id)
    session.print_json(erased)
    session.print_text(_format_erasure(job_id, erased))


def _parse_head(head: str | None) -> tuple[int, str]:
    if head is None:
        return 0, ""
    match = _HEAD.fullmatch(head)
    if match is None:
        raise click.BadParameter(f"expected SEQUENCE:DIGEST as printed by audit, got {head!r}.", param_hint="'--head'")
    return int(match[1]), match[2]


def _format_chain(chain: render_pb2.VerifyAuditChainResponse) -> str:
    if not chain.intact:
        return f"chain: BROKEN at row {chain.broken_sequence}: {chain.detail}"
    return f"chain: intact; head {chain.head_sequence}:{chain.head_digest}"


def _format_erasure(job_id: str, erased: render_pb2.ErasePromptResponse) -> str:
    text = f"{job_id}: prompt erased from the job and {erased.audit_rows} audit rows"
    if erased.keys_with_prompt:
        text += f". These files contain it until the job is deleted: {', '.join(erased.keys_with_prompt)}"
    if erased.purge_pending:
        text += ". The files of the journal's database may contain it for a while; see 'erase a prompt' in the runbook"
    return text


def _format_replay(replayed: render_pb2.ReplayTakeResponse) -> str:
    text = f"replay: {lower(ReplayOutcome(replayed.outcome))}"
    if replayed.HasField("difference_dbfs"):
        text += f", largest difference {replayed.difference_dbfs:.1f} dBFS"
    if replayed.HasField("spectral_difference_db"):
        text += f", spectra within {replayed.spectral_difference_db:.1f} dB"
    if replayed.fingerprint_differences:
        text += f", rendered with other {', '.join(replayed.fingerprint_differences)}"
    return text
