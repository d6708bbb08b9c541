"""What `up --web` decides before anything starts: whom it trusts, and where its page may read files from."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from hostctl.installation import (
    RENDER_LISTEN,
    SEPARATION_LISTEN,
    URL_LISTEN,
    WEB_LISTEN,
    host_settings,
    plan_installation,
)
from hostctl.web.plan import WebPlan, plan_web
from tests.support.web_page import require_page

HERE = "ipv4:127.0.0.1:40000"
ELSEWHERE = "ipv4:10.0.0.7:40000"
S3 = {
    "SONICHAOS_STORE": "s3",
    "SONICHAOS_S3_ENDPOINT": "http://minio:9000",
    "SONICHAOS_S3_BUCKET": "takes",
    "SONICHAOS_S3_ACCESS_KEY": "key",
    "SONICHAOS_S3_SECRET_KEY": "secret",
}


def plan(folder: Path, *, insecure: bool = False, web: str = "127.0.0.1:0", **environ: str) -> WebPlan:
    """The plan for an environment."""
    require_page()
    given = {"SONICHAOS_DATA": str(folder), **environ}
    listen = dict.fromkeys((RENDER_LISTEN, SEPARATION_LISTEN, URL_LISTEN), "127.0.0.1:0") | {WEB_LISTEN: web}
    chosen = {name: environ.get(name, address) for name, address in listen.items()}
    installation = plan_installation(given, data=None, chosen={}, listen=chosen, web=True)
    return plan_web(installation, host_settings(given), insecure=insecure)


def test_callers_on_this_machine_are_trusted_and_others_are_not(tmp_path: Path) -> None:
    """As at the services by default."""
    trust = plan(tmp_path).trust
    assert trust.trusts(HERE)
    assert not trust.trusts(ELSEWHERE)


@pytest.mark.parametrize(
    "environ",
    [
        {"SONICHAOS_IDENTIFY_LOCAL_CALLERS": "true"},
        {RENDER_LISTEN: "127.0.0.1:0,0.0.0.0:0"},
        {SEPARATION_LISTEN: "0.0.0.0:0"},
        {"SONICHAOS_SEPARATION_MTLS_LISTEN": "0.0.0.0:50082"},
    ],
)
def test_where_a_service_asks_for_a_credential_the_page_does(tmp_path: Path, environ: dict[str, str]) -> None:
    """Because a setting asks for it, or because others reach one of the services."""
    assert not plan(tmp_path, **environ).trust.trusts(HERE)


def test_an_insecure_installation_trusts_everyone(tmp_path: Path) -> None:
    """As its services do; without it such an address is refused."""
    assert plan(tmp_path, insecure=True, web="0.0.0.0:0").trust.trusts(ELSEWHERE)
    with pytest.raises(click.ClickException, match="needs TLS") as refused:
        plan(tmp_path, web="0.0.0.0:0")
    assert refused.value.exit_code == 2


@pytest.mark.parametrize(
    ("environ", "origin"),
    [
        ({"SONICHAOS_URL_BASE": "https://files.example.com/a"}, "https://files.example.com"),
        (S3, "http://minio:9000"),
        ({**S3, "SONICHAOS_S3_PUBLIC_ENDPOINT": "https://s3.example.com"}, "https://s3.example.com"),
        (
            {**S3, "SONICHAOS_S3_ENDPOINT": "https://s3.eu-west-1.amazonaws.com", "SONICHAOS_S3_REGION": "eu-west-1"},
            "https://takes.s3.eu-west-1.amazonaws.com",
        ),
    ],
)
def test_the_page_may_read_files_from_where_signed_urls_lead(
    tmp_path: Path, environ: dict[str, str], origin: str
) -> None:
    """The folder's base, the S3 server for callers, or the host that Amazon gives a bucket."""
    assert plan(tmp_path, **environ).file_origins == (origin,)


def test_unusable_settings_are_refused(tmp_path: Path) -> None:
    """Before anything starts."""
    with pytest.raises(click.ClickException, match="SONICHAOS_S3_BUCKET"):
        plan(tmp_path, **{**S3, "SONICHAOS_S3_BUCKET": ""})
    with pytest.raises(click.UsageError, match="SONICHAOS_WEB_NAMES"):
        plan(tmp_path, SONICHAOS_WEB_NAMES="https://studio.example.com")
