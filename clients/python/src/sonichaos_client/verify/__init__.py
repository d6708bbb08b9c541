"""Checks a ZIP of stems against the product contract, independently of the code that wrote it.

Requires the extra ``sonichaos-client[verify]`` (numpy, jsonschema).

report = verify_zip("j-...-v1.zip")
for failure in report.failures: ...
"""

from sonichaos_client.verify.archive import verify_zip
from sonichaos_client.verify.report import CheckFailure, VerifyReport

__all__ = ["CheckFailure", "VerifyReport", "verify_zip"]
