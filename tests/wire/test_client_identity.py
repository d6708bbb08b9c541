"""The Python clients and the command over TLS, with each kind of credentials, against scripted services."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from click.testing import CliRunner, Result

from sonichaos.jobs.v1 import job_pb2
from sonichaos.render.v1 import render_pb2_grpc
from sonichaos_client import AsyncClient, CallOptions, Client, Credentials, RetryPolicy, errors
from sonichaos_client.cli import cli
from tests.support.certificates import Authority, self_signed
from tests.support.client_command import RENDER
from tests.support.scripted_file_server import ScriptedFileServer
from tests.support.scripted_service import ZIP, ScriptedService
from tests.support.scripted_services import Renders, ScriptedPair, scripted_pair, serving

API_KEY = "sonichaos_abcdefghij23_" + "s" * 43
TOKEN = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl"
QUICK = CallOptions(
    timeout_s=10,
    retry=RetryPolicy(initial_backoff_s=0.01, max_backoff_s=0.02, max_elapsed_s=0.3),
    rng=random.Random(1),  # noqa: S311  draws need no secrecy
)


@dataclass(frozen=True)
class Site:
    """A pair with certificates of its own authority."""

    authority: Authority
    pair: ScriptedPair

    def client(self, credentials: Credentials) -> Client:
        """A blocking client."""
        return Client(self.pair.render_address, self.pair.separation_address, credentials=credentials, options=QUICK)

    def authorizations(self) -> set[tuple[str, ...]]:
        """What all calls to both services carried."""
        return {caller.authorization for one in (self.pair.render, self.pair.separation) for caller in one.callers}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority that no system trusts."""
    return Authority.create(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def site(authority: Authority) -> Iterator[Site]:
    """Both services and the signed URLs over TLS."""
    with scripted_pair(authority.server()) as pair:
        yield Site(authority, pair)


def wav_in(folder: Path) -> Path:
    """A file to upload."""
    path = folder / "a.wav"
    path.write_bytes(b"RIFF1234")
    return path


def use_blocking(site: Site, credentials: Credentials, folder: Path) -> None:
    """Each kind of call: unary, upload, stream, download."""
    with site.client(credentials) as client:
        job = client.create_render(prompt="a", persona_id="ember", stems=True)
        client.wait(job.job_id)
        assert client.download(job.job_id, folder).path.read_bytes() == ZIP
        client.separate_file(wav_in(folder))


def use_async(site: Site, credentials: Credentials, folder: Path) -> None:
    """The same calls with asyncio."""

    async def use() -> None:
        pair = site.pair
        async with AsyncClient(
            pair.render_address, pair.separation_address, credentials=credentials, options=QUICK
        ) as client:
            job = await client.create_render(prompt="a", persona_id="ember", stems=True)
            await client.wait(job.job_id)
            saved = await client.download(job.job_id, folder)
            assert saved.path.read_bytes() == ZIP
            await client.separate_file(wav_in(folder))

    asyncio.run(use())


@pytest.mark.parametrize("use", [use_blocking, use_async])
@pytest.mark.parametrize("kind", ["api key", "token", "function"])
def test_every_call_carries_the_key_or_token_and_no_download_does(
    site: Site, tmp_path: Path, use: Callable[[Site, Credentials, Path], None], kind: str
) -> None:
    """Unary calls, uploads and streams of both clients over TLS; the store of the signed URLs never sees it."""
    ca = site.authority.ca
    credentials = {
        "api key": Credentials(ca=ca, api_key=API_KEY),
        "token": Credentials(ca=site.authority.ca_pem, token=TOKEN),
        "function": Credentials(ca=str(ca), token=lambda: TOKEN),
    }[kind]
    use(site, credentials, tmp_path)
    assert site.authorizations() == {(f"Bearer {API_KEY if kind == 'api key' else TOKEN}",)}
    assert site.pair.files.authorizations == [""]


def test_a_new_key_or_token_is_used_by_the_next_call(site: Site, tmp_path: Path) -> None:
    """A file is read again and a function asked again, without a new client."""
    path = tmp_path / "token"
    numbers = iter(range(10))
    for token in (path, lambda: f"{TOKEN}{next(numbers)}"):
        with site.client(Credentials(ca=site.authority.ca, token=token)) as client:
            for number in range(2):
                path.write_text(f"{TOKEN}{number}\n")
                client.get_render_model()
    sent = [caller.authorization[0].removeprefix(f"Bearer {TOKEN}") for caller in site.pair.render.callers]
    assert sent == ["0", "1", "0", "1"]


def test_a_watch_continues_with_a_new_token(site: Site) -> None:
    """A stream that ends because the token expired is opened again with the next one; each event comes once."""
    numbers = iter(range(100))
    site.pair.render.disconnects = [3]
    site.pair.render.disconnect_code = grpc.StatusCode.UNAUTHENTICATED
    with site.client(Credentials(ca=site.authority.ca, token=lambda: f"{TOKEN}{next(numbers)}")) as client:
        job = client.create_render(prompt="a", persona_id="ember")
        assert [event.sequence for event in client.watch(job)] == [1, 2, 3, 4, 5, 6, 7]
        site.pair.render.disconnects = [2, 0]
        watched = client.watch(job)
        assert [next(watched).sequence for _ in range(2)] == [1, 2]
        with pytest.raises(errors.UnauthenticatedError):
            next(watched)
    assert site.pair.render.disconnects == []


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("unknown authority", r"is not trusted \(unable to get local issuer certificate\).*--ca FILE"),
        ("no ca", r"is not trusted \(unable to get local issuer certificate\).*--ca FILE"),
        ("self-signed", r"is not trusted \(self signed certificate\).*--ca FILE"),
        ("other host", r"is not trusted \(hostname mismatch\).*connect to a name that is in the certificate"),
        ("expired", r"is not trusted \(certificate has expired\).*has to renew"),
    ],
)
def test_a_server_that_is_not_trusted_gets_nothing(
    authority: Authority, tmp_path: Path, kind: str, message: str
) -> None:
    """The first call fails at once, says why and what to do, and is no request to try again later."""
    certificate = {
        "self-signed": lambda: self_signed(tmp_path),
        "other host": lambda: authority.server("elsewhere", hosts=["elsewhere.example.com"]),
        "expired": lambda: authority.server("expired", days=-1),
    }.get(kind, authority.server)()
    other = Authority.create(tmp_path, "other")
    ca = {"unknown authority": other.ca, "no ca": None}.get(kind, authority.ca)
    with scripted_pair(certificate) as pair:
        credentials = Credentials(ca=ca, api_key=API_KEY)
        with (
            Client(pair.render_address, pair.separation_address, credentials=credentials) as client,
            pytest.raises(errors.UntrustedServerError, match=message),
        ):
            list(client.list_personas())
        result = command(pair, "personas", SONICHAOS_CA=str(ca or ""), SONICHAOS_API_KEY=API_KEY)
        assert result.exit_code == 1
        assert f"The certificate of render_service at {pair.render_address} is not trusted" in result.stderr
        assert pair.render.calls == []


def test_a_store_that_is_not_trusted_is_an_error_at_once(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A download over HTTPS checks the store's certificate; nothing is tried again and no file remains."""
    with (
        scripted_pair(authority.server()) as pair,
        ScriptedFileServer(self_signed(tmp_path)) as other,
        Client(pair.render_address, pair.separation_address, credentials=Credentials(ca=authority.ca)) as client,
    ):
        job = client.create_render(prompt="a", persona_id="ember", stems=True)
        client.wait(job)
        monkeypatch.setattr(pair.render, "files", other)
        with pytest.raises(errors.UntrustedServerError, match=r"certificate of 127\.0\.0\.1:\d+ is not trusted"):
            client.download(job.job_id, tmp_path / "out")
        assert other.ranges == []
        assert list((tmp_path / "out").iterdir()) == []


def test_a_redirect_does_not_leave_https(authority: Authority, tmp_path: Path) -> None:
    """What was to come over TLS does not come in plain text."""
    with (
        scripted_pair(authority.server()) as pair,
        ScriptedFileServer() as plain,
        Client(pair.render_address, pair.separation_address, credentials=Credentials(ca=authority.ca)) as client,
    ):
        job = client.create_render(prompt="a", persona_id="ember", stems=True)
        client.wait(job)
        pair.render.files.redirect_to = plain.base_url
        with pytest.raises(errors.DownloadError, match="answered with HTTP status 302"):
            client.download(job.job_id, tmp_path / "out")
        assert plain.ranges == []
        assert list((tmp_path / "out").iterdir()) == []


def test_a_client_certificate_identifies_the_caller(authority: Authority, tmp_path: Path) -> None:
    """Where the server requires one; without it, or with one of another authority, the message says what is missing."""
    mine, foreign = authority.client("mixer"), Authority.create(tmp_path, "other").client()
    with scripted_pair(authority.server(), authority.ca_pem) as pair:
        site = Site(authority, pair)
        with site.client(
            Credentials(ca=authority.ca, certificate=mine.certificate, private_key=mine.key_pem)
        ) as client:
            client.get_render_model()
            client.get_separation_model()
        named = {caller.common_name for one in (pair.render, pair.separation) for caller in one.callers}
        assert named == {"mixer"}
        for refused in (
            Credentials(ca=authority.ca),
            Credentials(ca=authority.ca, certificate=foreign.certificate, private_key=foreign.key),
        ):
            with (
                site.client(refused) as client,
                pytest.raises(errors.ConnectionFailedError, match=r"requires a client certificate.*--certificate-key"),
            ):
                client.get_render_model()
        mixed = Credentials(ca=authority.ca, certificate=mine.certificate, private_key=foreign.key)
        with (
            site.client(mixed) as client,
            pytest.raises(errors.ConnectionSettingsError, match="key must belong to the certificate"),
        ):
            client.get_render_model()


def test_plain_text_and_tls_that_meet_say_so(authority: Authority) -> None:
    """The message names the address that would fit."""
    with scripted_pair() as plain, scripted_pair(authority.server()) as encrypted:
        with (
            Client(f"https://{plain.render_address}", options=QUICK) as client,
            pytest.raises(
                errors.ConnectionFailedError, match="does not use TLS there: write the address without https"
            ),
        ):
            client.get_render_model()
        with (
            Client(encrypted.render_address.removeprefix("https://"), options=QUICK) as client,
            pytest.raises(errors.ConnectionFailedError, match=f"uses TLS there, write {encrypted.render_address}"),
        ):
            client.get_render_model()


def test_a_unix_socket_carries_a_key(tmp_path: Path) -> None:
    """Plain text that cannot leave the machine."""
    address = f"unix://{tmp_path / 'r.sock'}"
    with ExitStack() as opened:
        files = opened.enter_context(ScriptedFileServer())
        scripted = ScriptedService(job_pb2.OWNING_SERVICE_RENDER, files)
        add = render_pb2_grpc.add_RenderServiceServicer_to_server
        opened.enter_context(serving((add, Renders(scripted)), address=address))
        client = opened.enter_context(Client(address, credentials=Credentials(api_key=API_KEY)))
        client.get_render_model()
    assert [caller.authorization for caller in scripted.callers] == [(f"Bearer {API_KEY}",)]


def test_a_client_takes_addresses_and_credentials_from_the_environment(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless they are passed; metadata goes with every call beside them."""
    for name, value in {
        **site.pair.environment,
        "SONICHAOS_CA": str(site.authority.ca),
        "SONICHAOS_API_KEY": API_KEY,
    }.items():
        monkeypatch.setenv(name, value)
    with Client(metadata=[("traceparent", "00-1-2-00")]) as client:
        client.get_render_model()
        client.get_separation_model()
    called = site.pair.render.callers + site.pair.separation.callers
    assert {(caller.authorization, caller.traceparent) for caller in called} == {
        ((f"Bearer {API_KEY}",), ("00-1-2-00",))
    }
    with Client(credentials=Credentials(ca=site.authority.ca)) as client:
        client.get_render_model()
    assert site.pair.render.callers[-1].authorization == ()


def command(pair: ScriptedPair, *arguments: str, **environment: str) -> Result:
    """Run the command with credentials in its environment."""
    return CliRunner().invoke(cli, arguments, env={**pair.environment, **environment}, prog_name="sonichaos")


def test_the_command_takes_credentials_from_files_and_the_environment(site: Site, tmp_path: Path) -> None:
    """An option replaces what the environment names, before or after the command; the ZIP comes over HTTPS."""
    key_file, token_file = tmp_path / "key", tmp_path / "token"
    key_file.write_text(API_KEY)
    token_file.write_text(TOKEN)
    ca = {"SONICHAOS_CA": str(site.authority.ca)}
    runs: list[tuple[tuple[str, ...], dict[str, str], str]] = [
        (("personas",), {"SONICHAOS_API_KEY": API_KEY, **ca}, API_KEY),
        (("personas",), {"SONICHAOS_TOKEN_FILE": str(token_file), **ca}, TOKEN),
        (("personas", "--token-file", str(token_file)), {"SONICHAOS_API_KEY": API_KEY, **ca}, TOKEN),
        (("--ca", str(site.authority.ca), "--api-key-file", str(key_file), "personas"), {}, API_KEY),
        (
            (*RENDER, "--stems", "--out", str(tmp_path / "out")),
            {"SONICHAOS_API_KEY_FILE": str(key_file), **ca},
            API_KEY,
        ),
    ]
    for arguments, environment, sent in runs:
        site.pair.render.callers.clear()
        result = command(site.pair, *arguments, **environment)
        assert result.exit_code == 0, result.stderr
        assert site.authorizations() == {(f"Bearer {sent}",)}
    assert [path.read_bytes() for path in (tmp_path / "out").iterdir()] == [ZIP]


def test_the_command_refuses_credentials_that_it_cannot_use(tmp_path: Path) -> None:
    """Exit status 2, and a message without the secret."""
    for arguments, environment, message in [
        (("jobs",), {"SONICHAOS_API_KEY": API_KEY, "SONICHAOS_API_KEY_FILE": "k"}, "Unset all but one"),
        (("jobs", "--render-address", "studio.example.com:1"), {"SONICHAOS_API_KEY": API_KEY}, "is plain text"),
        (("jobs", "--api-key-file", str(tmp_path / "no")), {}, "Cannot read the API key file"),
        (("jobs", "--certificate", "c.pem"), {}, "got a certificate without a private key"),
    ]:
        result = CliRunner().invoke(cli, arguments, env=environment, prog_name="sonichaos")
        assert result.exit_code == 2, result.output
        assert message in result.stderr
        assert API_KEY not in result.output
