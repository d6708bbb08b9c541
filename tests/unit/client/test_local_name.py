"""Local names of downloads: the job's id comes from the service and must stay a name."""

from __future__ import annotations

import pytest

from sonichaos_client.download import local_name
from sonichaos_client.enums import FileKind
from sonichaos_client.errors import InternalError


@pytest.mark.parametrize(
    "job_id", ["", "../j-1", "/etc/passwd", "j/1", ".hidden", "j-1\n", "j\\1", "j" * 65, "-rf", "j\0", "j:1"]
)
def test_an_id_that_is_no_plain_name_is_refused(job_id: str) -> None:
    """It would write outside the folder, over another file, or as an option of a command."""
    with pytest.raises(InternalError, match="No file was written"):
        local_name(job_id, 1, FileKind.ZIP)


def test_a_jobs_own_id_is_its_name() -> None:
    """With version and kind."""
    assert local_name("j-01ks4k8000abcdefghjkmnpqrs", 2, FileKind.BOUNCE) == "j-01ks4k8000abcdefghjkmnpqrs-v2.wav"
