"""Writes docs/api.md and docs/errors.md from the protos: ``.venv/bin/python scripts/api_doc.py``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
API_PAGE = ROOT / "docs" / "api.md"
ERRORS_PAGE = ROOT / "docs" / "errors.md"

_GATE = "WARMING DRAINING"
_HOOK = "ADMISSION_REFUSED ADMISSION_UNAVAILABLE"
_JOB = "JOB_NOT_FOUND"
# The reasons a call itself may fail with, besides those of any call. How a job fails later is in the job.
RPC_REASONS = {
    "AdmissionService.CheckAdmission": "",
    "RenderService.CreateRender": "INVALID_FIELD PERSONA_NOT_FOUND UNSUPPORTED_BY_RENDERER REQUEST_ID_REUSED QUEUE_FULL "
    f"{_HOOK} {_GATE}",
    "RenderService.RerenderStem": f"INVALID_FIELD {_JOB} VERSION_NOT_FOUND WRONG_STATE SWITCHED_OFF PERSONA_NOT_FOUND "
    f"UNSUPPORTED_BY_RENDERER INPUT_MISSING DIGEST_MISMATCH REQUEST_ID_REUSED QUEUE_FULL {_HOOK} {_GATE}",
    "RenderService.ListPersonas": "INVALID_FIELD INVALID_TOKEN",
    "RenderService.GetPersona": "PERSONA_NOT_FOUND",
    "RenderService.AnalyzePrompt": "INVALID_FIELD QUEUE_FULL",
    "RenderService.EstimateRender": "INVALID_FIELD",
    "RenderService.DownloadPersonaClip": "PERSONA_NOT_FOUND FILE_NOT_FOUND DIGEST_MISMATCH QUEUE_FULL",
    "RenderService.CreatePersona": f"INVALID_FIELD INVALID_AUDIO PERSONA_EXISTS TOO_LARGE {_GATE}",
    "RenderService.DeletePersona": "PERSONA_NOT_FOUND WRONG_STATE",
    "RenderService.ListAuditRows": "INVALID_FIELD INVALID_TOKEN",
    "RenderService.VerifyAuditChain": "",
    "RenderService.ErasePrompt": f"{_JOB} WRONG_STATE",
    "RenderService.GetDriftReport": "INVALID_FIELD",
    "RenderService.ReplayTake": f"{_JOB} VERSION_NOT_FOUND INPUT_MISSING DIGEST_MISMATCH SEPARATION_UNAVAILABLE {_GATE}",
    "RenderService.GetModelInfo": "",
    "SeparationService.SeparateTensor": "INVALID_FIELD LEASE_LOST INVALID_TENSOR DIGEST_MISMATCH QUEUE_FULL NOT_FINITE "
    f"OUT_OF_MEMORY {_GATE}",
    "SeparationService.CreateSeparation": "INVALID_FIELD INVALID_AUDIO TOO_LARGE FILE_NOT_FOUND REQUEST_ID_REUSED QUEUE_FULL "
    f"EXPIRED {_HOOK} {_GATE}",
    "SeparationService.ReplaceStem": "INVALID_FIELD LEASE_LOST INVALID_TENSOR DIGEST_MISMATCH FILE_NOT_FOUND STEM_SILENT "
    f"DRIFT_EXCEEDED QUEUE_FULL NOT_FINITE OUT_OF_MEMORY {_GATE}",
    "SeparationService.AnalyzeAudio": f"INVALID_FIELD INVALID_AUDIO TOO_LARGE FILE_NOT_FOUND QUEUE_FULL EXPIRED {_GATE}",
    "SeparationService.GetModelInfo": "",
    "JobsService.GetJob": _JOB,
    "JobsService.ListJobs": "INVALID_FIELD INVALID_TOKEN",
    "JobsService.WatchJob": f"{_JOB} VERSION_NOT_FOUND",
    "JobsService.WatchJobs": "INVALID_TOKEN",
    "JobsService.CancelJob": f"{_JOB} VERSION_NOT_FOUND",
    "JobsService.DeleteJob": f"{_JOB} WRONG_STATE",
    "JobsService.DeleteVersion": f"INVALID_FIELD {_JOB} VERSION_NOT_FOUND WRONG_STATE",
    "JobsService.EraseJob": f"{_JOB} WRONG_STATE",
    "JobsService.AddStems": f"INVALID_FIELD {_JOB} VERSION_NOT_FOUND WRONG_STATE QUEUE_FULL {_HOOK} {_GATE}",
    "JobsService.RetryVersion": f"INVALID_FIELD {_JOB} VERSION_NOT_FOUND WRONG_STATE QUEUE_FULL {_HOOK} {_GATE}",
    "JobsService.GetUsage": "",
    "JobsService.GetWaveforms": f"INVALID_FIELD {_JOB} VERSION_NOT_FOUND FILE_NOT_FOUND DIGEST_MISMATCH QUEUE_FULL",
    "JobsService.CreateSignedUrl": f"INVALID_FIELD {_JOB} VERSION_NOT_FOUND FILE_NOT_FOUND",
    "OperationsService.EraseTenant": "INVALID_FIELD",
    "OperationsService.Drain": "INVALID_FIELD",
    "FakeControlService.SkipTime": "INVALID_FIELD",
    "FakeControlService.AddFault": "INVALID_FIELD",
    "FakeControlService.ClearFaults": "",
    "FakeControlService.Reset": "",
    "WebhooksService.CreateWebhook": f"INVALID_FIELD {_JOB} REQUEST_ID_REUSED TENANT_LIMIT",
    "WebhooksService.ListWebhooks": "INVALID_FIELD INVALID_TOKEN",
    "WebhooksService.DeleteWebhook": "WEBHOOK_NOT_FOUND",
    "WebhooksService.ListWebhookDeliveries": "INVALID_FIELD INVALID_TOKEN WEBHOOK_NOT_FOUND",
    "WebhooksService.RetryWebhookDelivery": "WEBHOOK_DELIVERY_NOT_FOUND WEBHOOK_DISABLED",
    "HandoffService.WithdrawTensor": "",
    "HandoffService.SendTensor": f"INVALID_TENSOR LOANS_EXHAUSTED TOO_LARGE OUT_OF_MEMORY {_GATE}",
}
ANY_CALL = (
    "STORE_UNAVAILABLE",
    "DISK_FULL",
    "INTERNAL",
    "CREDENTIALS_MISSING",
    "CREDENTIALS_INVALID",
    "CREDENTIALS_EXPIRED",
    "ISSUER_UNAVAILABLE",
    "SCOPE_MISSING",
    "FAILED_LOGINS",
    "TENANT_LIMIT",
)

_API = """# The API

*Written by `scripts/api_doc.py` from the protos; change those, not this page.*

gRPC; the comments in [protos/](../protos/sonichaos) describe every field. Server reflection and the standard health service are
on. render_service listens on `127.0.0.1:50071`, separation_service on `127.0.0.1:50072`. Both serve `JobsService`, each for the
jobs it owns. The last column has the [reasons](errors.md) a call may fail with; any call may also fail with {any_call}."""
_ERRORS = """# Errors

*Written by `scripts/api_doc.py` from [error_reason.proto](../protos/sonichaos/jobs/v1/error_reason.proto); change that, not this
page.*

Retry only errors that carry `RetryInfo`, after its `retry_delay` ([retries.md](retries.md) says how clients do it). Resume a watch
after the last event you have if it ended with `RetryInfo` or with UNAVAILABLE, or without a reason and with ABORTED, CANCELLED,
INTERNAL or UNKNOWN: so proxies, HTTP/2 libraries and dying processes end streams. One that ends with UNAUTHENTICATED after its
first message needs a new token to be resumed. The clients of this project do so.

Every error is a gRPC status with a `google.rpc.ErrorInfo`: domain `sonichaos.ai`, one of the reasons below, and metadata.
`INVALID_FIELD` also carries a `BadRequest` that names the first ten fields. An error with its details is below 4 KiB. A failed
version has the same status in its `error`, with the stage in the metadata; files stored before the failure stay.

The Python client raises a `SonichaosError` with `reason`, `metadata`, `violations` and `retry_after_s`. The command maps it to an
[exit status](cli.md#exit-status)."""

_SERVICE = re.compile(r"((?:^//[^\n]*\n)+)service (\w+) \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_RPC = re.compile(r"((?:^  //[^\n]*\n)+)  rpc (\w+)\((stream )?(\w+)\) returns \((stream )?(\w+)\)", re.MULTILINE)
_REASON = re.compile(r"((?:^  //[^\n]*\n)+)  ERROR_REASON_(\w+) = \d+;", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Rpc:
    """One method, as its proto describes it."""

    name: str
    service: str
    file: Path
    comment: str
    kind: str


@dataclass(frozen=True, kw_only=True)
class Reason:
    """One value of ErrorReason: ``text`` is its comment without the example."""

    name: str
    text: str
    example: str


def rpcs() -> Iterator[Rpc]:
    """Every method of every service, in the protos' order."""
    for file in sorted(PROTOS.rglob("*.proto")):
        for _, service, body in _SERVICE.findall(file.read_text(encoding="utf-8")):
            for comment, name, sends, _request, gets, _response in _RPC.findall(body):
                kind = {(False, False): "one, one", (True, False): "stream, one", (False, True): "one, stream"}
                yield Rpc(
                    name=name,
                    service=service,
                    file=file.relative_to(ROOT),
                    comment=_words(comment),
                    kind=kind[bool(sends), bool(gets)],
                )


def reasons() -> Iterator[Reason]:
    """Every reason that is sent."""
    text = (PROTOS / "sonichaos" / "jobs" / "v1" / "error_reason.proto").read_text(encoding="utf-8")
    for comment, name in _REASON.findall(text):
        if name != "UNSPECIFIED":
            words, _, example = _words(comment).partition("Example:")
            yield Reason(name=name, text=words.strip(), example=example.strip())


def api_page() -> str:
    """docs/api.md."""
    parts = [_API.format(any_call=", ".join(f"`{reason}`" for reason in ANY_CALL))]
    by_service: dict[str, list[Rpc]] = {}
    for rpc in rpcs():
        by_service.setdefault(rpc.service, []).append(rpc)
    for service, methods in by_service.items():
        link = f"[{methods[0].file.name}](../{methods[0].file.as_posix()})"
        rows = [f"| `{r.name}` | {r.kind} | {r.comment} | {_reasons_cell(r)} |" for r in methods]
        head = ["| call | request, response | what it does | may fail with |", "| --- | --- | --- | --- |"]
        parts += [f"## {service}", link, "\n".join([*head, *rows])]
    return "\n\n".join(parts) + "\n"


def errors_page() -> str:
    """docs/errors.md."""
    rows = [f"| `{reason.name}` | {reason.text} | {reason.example} |" for reason in reasons()]
    head = ["| reason | status, meaning, metadata | example |", "| --- | --- | --- |"]
    return f"{_ERRORS}\n\n" + "\n".join([*head, *rows]) + "\n"


def _reasons_cell(rpc: Rpc) -> str:
    return " ".join(f"`{reason}`" for reason in RPC_REASONS[f"{rpc.service}.{rpc.name}"].split()) or "-"


def _words(comment: str) -> str:
    return " ".join(line.strip().removeprefix("//").strip() for line in comment.splitlines() if line.strip())


if __name__ == "__main__":
    API_PAGE.write_text(api_page(), encoding="utf-8")
    ERRORS_PAGE.write_text(errors_page(), encoding="utf-8")
