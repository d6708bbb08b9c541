"""The operator's admission hook: it sees each call that creates work before the work is accepted, and can refuse it with a reason.

It gets the resolved brief and who asks, and no credential (protos/sonichaos/admission/v1).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from prometheus_client import Counter

from jobs_service.hook_endpoints import HookEndpoint, HookFailed, open_endpoint
from jobs_service.journal_json import Json, parsed
from servicekit.access.caller import Caller, IdentityMethod, current_caller
from servicekit.delivery.names import StemMode
from servicekit.errors import PermissionDenied, Unavailable
from servicekit.host_settings import HostSettings
from servicekit.journal import NewJob, NewVersion, Version, stems_in_brief
from servicekit.logs import logger
from servicekit.metrics import Metrics
from servicekit.rpc.pools import CallPool, CallPools
from sonichaos.admission.v1 import admission_pb2
from sonichaos.jobs.v1 import brief_pb2

MAX_REASON_CHARACTERS = 500
_RETRY_AFTER_S = 5.0
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_METHODS = {
    IdentityMethod.LOCAL: admission_pb2.IDENTITY_METHOD_LOCAL,
    IdentityMethod.CERTIFICATE: admission_pb2.IDENTITY_METHOD_CERTIFICATE,
    IdentityMethod.JWT: admission_pb2.IDENTITY_METHOD_JWT,
    IdentityMethod.API_KEY: admission_pb2.IDENTITY_METHOD_API_KEY,
}
_log = logger(__name__)


@dataclass(frozen=True, kw_only=True)
class ProposedWork:
    """Work that would be accepted next. ``brief`` is a ResolvedBrief as proto-JSON, ``upload`` as an upload's plan has it."""

    rpc: str
    brief: Json
    audio_seconds: float
    request_id: str = ""
    job_id: str = ""
    upload: Mapping[str, Any] | None = None
    priority: int = 0

    @classmethod
    def of_job(cls, rpc: str, new: NewJob) -> ProposedWork:
        """A new job."""
        return cls(
            rpc=rpc,
            brief=new.brief,
            audio_seconds=new.audio_seconds,
            request_id=new.request.request_id or "",
            job_id=new.job_id or "",
            upload=new.plan.get("upload"),
            priority=new.priority,
        )

    @classmethod
    def of_rerender(cls, rpc: str, new: NewVersion) -> ProposedWork:
        """A job's next version."""
        return cls(
            rpc=rpc,
            brief=new.brief,
            audio_seconds=new.audio_seconds,
            request_id=new.request.request_id or "",
            job_id=new.job_id,
            priority=new.priority,
        )

    @classmethod
    def of_stems(cls, rpc: str, version: Version, mode: StemMode | None, *, priority: int = 0) -> ProposedWork:
        """A version that would get stems. ``mode`` None: as in its brief."""
        brief = {**version.brief, **stems_in_brief(mode or version.stem_mode)}
        return cls._of_version(rpc, version, brief, priority)

    @classmethod
    def of_retry(cls, rpc: str, version: Version, *, priority: int = 0) -> ProposedWork:
        """A failed version that would be queued again."""
        return cls._of_version(rpc, version, version.brief, priority)

    @classmethod
    def _of_version(cls, rpc: str, version: Version, brief: Json, priority: int) -> ProposedWork:
        return cls(
            rpc=rpc,
            brief=brief,
            audio_seconds=version.audio_seconds,
            job_id=version.job_id,
            priority=priority,
        )

    def message(self, caller: Caller) -> admission_pb2.CheckAdmissionRequest:
        """What the hook is asked."""
        return admission_pb2.CheckAdmissionRequest(
            tenant=caller.tenant,
            subject=caller.subject,
            identity_method=_METHODS[caller.method],
            rpc=self.rpc,
            request_id=self.request_id,
            job_id=self.job_id,
            brief=parsed(self.brief, brief_pb2.ResolvedBrief()),
            upload=_upload_message(self.upload),
            audio_seconds=self.audio_seconds,
            priority=self.priority,
        )


@dataclass(frozen=True, kw_only=True)
class AdmissionHook:
    """Asks the operator's hook. Without an ``endpoint`` everything is admitted.

    ``accept_on_failure``: work is accepted if the hook fails or does not answer within ``timeout_s``. ``checks`` counts by result.
    """

    endpoint: HookEndpoint | None = None
    timeout_s: float = 2.0
    accept_on_failure: bool = False
    checks: Counter | None = None

    def pool(self, pools: CallPools, *, without: CallPool) -> CallPool:
        """The pool for calls that ask the hook, so that a slow one holds up no other calls; ``without`` one, their usual pool."""
        return without if self.endpoint is None else pools.hooked

    def check(self, work: ProposedWork) -> None:
        """Ask about work of the current caller.

        Raises PermissionDenied ADMISSION_REFUSED with the hook's reason, and Unavailable ADMISSION_UNAVAILABLE where it fails.
        """
        if self.endpoint is None:
            return
        try:
            response = self.endpoint.ask(work.message(current_caller()), self.timeout_s)
        except HookFailed as error:
            self._fail(work, error)
            return
        self._count("accepted" if response.accepted else "refused")
        if not response.accepted:
            reason = _one_line(response.reason) or "no reason given"
            raise PermissionDenied(
                f"refused by the operator: {reason}", reason="ADMISSION_REFUSED", metadata={"admission_reason": reason}
            )

    def _fail(self, work: ProposedWork, problem: HookFailed) -> None:
        self._count("failed")
        if self.accept_on_failure:
            _log.warning("accepted without the admission hook, which failed", rpc=work.rpc, problem=str(problem))
            return
        _log.warning("refused because the admission hook failed", rpc=work.rpc, problem=str(problem))
        raise Unavailable(
            "the operator's admission hook does not answer; retry",
            reason="ADMISSION_UNAVAILABLE",
            retry_after_s=_RETRY_AFTER_S,
        )

    def _count(self, result: str) -> None:
        if self.checks is not None:
            self.checks.labels(result=result).inc()


NO_HOOK = AdmissionHook()


def open_admission_hook(settings: HostSettings, metrics: Metrics, resources: AsyncExitStack) -> AdmissionHook:
    """The hook that the settings name, usually none. Raises :class:`SettingsError`."""
    if not settings.admission_hook:
        return NO_HOOK
    return AdmissionHook(
        endpoint=open_endpoint(settings.admission_hook, settings.admission_ca, resources),
        timeout_s=settings.admission_timeout_seconds,
        accept_on_failure=settings.admission_on_failure == "accept",
        checks=metrics.admission_checks,
    )


def _upload_message(upload: Mapping[str, Any] | None) -> admission_pb2.Upload | None:
    if upload is None:
        return None
    return admission_pb2.Upload(file_name=upload["fileName"], size_bytes=upload["sizeBytes"], sha256=upload["sha256"])


def _one_line(text: str) -> str:
    return _CONTROL.sub(" ", text).strip()[:MAX_REASON_CHARACTERS]
