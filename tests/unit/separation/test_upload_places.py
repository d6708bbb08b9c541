"""Places for uploads that are being received, which all tenants share."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import pytest

from separation_service.scratch import ScratchFolder
from separation_service.uploads.admission import UploadAdmission, UploadLimits
from servicekit.access.caller import LOCAL_TENANT, Caller, IdentityMethod, acting_as
from servicekit.errors import ResourceExhausted


def caller(tenant: str) -> Caller:
    """A caller of a tenant."""
    return Caller(tenant=tenant, subject="", method=IdentityMethod.API_KEY, scopes=frozenset())


def test_one_tenant_cannot_take_all_places(tmp_path: Path) -> None:
    """Slow uploads shut the others out for hours. The operator may take what is left."""
    unused = cast("Any", None)
    admission = UploadAdmission(
        journal=unused,
        store=unused,
        clock=unused,
        scratch=ScratchFolder(tmp_path),
        pending=unused,
        limits=UploadLimits(max_bytes=100, max_seconds=1.0, queue_limit=1, max_at_once=4),
    )
    with ExitStack() as open_uploads:

        def upload(tenant: str) -> None:
            with acting_as(caller(tenant)):
                open_uploads.enter_context(admission.spool())

        upload("a")
        upload("a")
        with pytest.raises(ResourceExhausted) as refused:
            upload("a")
        assert refused.value.reason == "QUEUE_FULL"
        upload("b")
        upload(LOCAL_TENANT)
        with pytest.raises(ResourceExhausted):
            upload(LOCAL_TENANT)
