"""``sonichaos verify``: check a ZIP against the contract, without a service."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import click

from sonichaos_client.cli.exit_status import ExitStatus
from sonichaos_client.cli.formatting import printable
from sonichaos_client.cli.param_types import INPUT_FILE
from sonichaos_client.cli.session import Session, connected

_MAX_CHARACTERS = 300


@click.command(short_help="Check a ZIP of stems: sums, digests, manifest.")
@click.argument("file", type=INPUT_FILE)
@connected
def verify(session: Session, *, file: Path) -> None:
    """Check a ZIP of stems: layout, WAVs, sums, digests, manifest, loudness.

    Nothing is unpacked and no service is called. Exit status 3 if a check fails.
    """
    if find_spec("numpy") is None or find_spec("jsonschema") is None:
        raise click.UsageError("verify requires numpy and jsonschema: pip install 'sonichaos-client[verify]'")
    from sonichaos_client.verify import verify_zip

    report = verify_zip(file)
    failures = [{"rule": failure.rule, "file": failure.file, "message": failure.message} for failure in report.failures]
    session.print_json(
        {
            "path": str(file),
            "valid": report.valid,
            "failures": failures,
            "checked": list(report.checked),
            "jobId": report.job_id,
            "version": report.version,
            "stemMode": report.stem_mode,
            "lufs": report.lufs,
            "truePeakDbtp": report.true_peak_dbtp,
        }
    )
    for failure in report.failures:
        where = f"{failure.file}: " if failure.file else ""
        session.print_text(printable(f"{failure.rule}: {where}{failure.message}", _MAX_CHARACTERS))
    if not report.valid:
        count = "1 check" if len(failures) == 1 else f"{len(failures)} checks"
        session.print_text(f"{file}: {count} failed")
        click.get_current_context().exit(ExitStatus.MISMATCH)
    session.print_text(f"{file}: valid. Checked: {'; '.join(report.checked)}")
