"""``sonichaos verify``: check a ZIP against the contract, without any service."""

from __future__ import annotations

from pathlib import Path

import click

from sonichaos_client.cli.exit_status import ExitStatus
from sonichaos_client.cli.session import Session, connected
from sonichaos_client.cli.summary import printable

_MOST_CHARACTERS = 300


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@connected
def verify(session: Session, *, file: Path) -> None:
    """Check a ZIP of stems: layout, WAVs, sums, digests, manifest, loudness.

    Nothing is unpacked and no service is asked. Exit status 3 where something does not hold.
    """
    from sonichaos_client.verify import verify_zip

    report = verify_zip(file)
    findings = [{"rule": finding.rule, "file": finding.file, "message": finding.message} for finding in report.findings]
    session.emit(
        {
            "path": str(file),
            "holds": report.ok,
            "findings": findings,
            "checked": list(report.checked),
            "jobId": report.job_id,
            "version": report.version,
            "stemMode": report.stem_mode,
            "lufs": report.lufs,
            "truePeakDbtp": report.true_peak_dbtp,
        }
    )
    for finding in report.findings:
        where = f"{finding.file}: " if finding.file else ""
        session.tell(printable(f"{finding.rule}: {where}{finding.message}", _MOST_CHARACTERS))
    if not report.ok:
        session.tell(f"{file}: {len(findings)} things do not hold")
        click.get_current_context().exit(ExitStatus.MISMATCH)
    session.tell(f"{file}: holds. Checked: {'; '.join(report.checked)}")
