"""How an admission hook is asked: real commands and a real gRPC server, those that answer and those that do not."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import AsyncIterator
from concurrent import futures
from contextlib import AsyncExitStack
from pathlib import Path

import grpc
import pytest

from jobs_service.hook_endpoints import HookEndpoint, HookFailed, open_endpoint
from servicekit.rpc.peer_channel import open_peer_channel
from servicekit.settings import SettingsError
from sonichaos.admission.v1 import admission_pb2
from sonichaos.admission.v1.admission_pb2_grpc import AdmissionServiceStub
from sonichaos.jobs.v1 import brief_pb2
from tests.support.admission_hooks import Request, Response, accept, hook_server, refuse, script
from tests.support.certificates import Authority

QUESTION = Request(
    tenant="studio",
    subject="key abc",
    identity_method=admission_pb2.IDENTITY_METHOD_API_KEY,
    rpc="/sonichaos.render.v1.RenderService/CreateRender",
    brief=brief_pb2.ResolvedBrief(prompt="warm tape", seconds=8.0, labels={"album": "one"}),
    audio_seconds=8.0,
)
LONG_S = 30.0
SHORT_S = 0.3


@pytest.fixture
async def resources() -> AsyncIterator[AsyncExitStack]:
    """Closes what a test opens."""
    async with AsyncExitStack() as resources:
        yield resources


def command(folder: Path, text: str, resources: AsyncExitStack) -> HookEndpoint:
    """The endpoint of a shell script."""
    return open_endpoint(script(folder, text), None, resources)


def test_a_command_that_ends_with_0_accepts(tmp_path: Path, resources: AsyncExitStack) -> None:
    """It reads the question as proto-JSON from its standard input."""
    hook = command(tmp_path, f"cat > {tmp_path}/asked", resources)
    assert hook.ask(QUESTION, LONG_S).accepted
    asked = json.loads((tmp_path / "asked").read_text())
    assert (asked["tenant"], asked["identityMethod"]) == ("studio", "IDENTITY_METHOD_API_KEY")
    assert asked["brief"] == {"prompt": "warm tape", "seconds": 8.0, "labels": {"album": "one"}}


def test_a_command_that_ends_with_1_refuses_with_its_first_line(tmp_path: Path, resources: AsyncExitStack) -> None:
    """The rest of its output, and what it writes to standard error, are not the reason."""
    hook = command(tmp_path, "echo 'the budget is spent'; echo more; echo noise >&2; exit 1", resources)
    assert hook.ask(QUESTION, LONG_S) == Response(accepted=False, reason="the budget is spent")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("echo no; exit 2", "status 2"),
        ("kill -9 $$", "status -9"),
        ("head -c 5000 /dev/zero; exit 0", "more than 4096 bytes"),
    ],
)
def test_any_other_end_is_a_failure(tmp_path: Path, resources: AsyncExitStack, text: str, problem: str) -> None:
    """Another status, a crash, and output without end give no answer."""
    with pytest.raises(HookFailed, match=problem):
        command(tmp_path, text, resources).ask(QUESTION, LONG_S)


def test_a_command_that_is_gone_is_a_failure(tmp_path: Path, resources: AsyncExitStack) -> None:
    """It was there when the service started."""
    hook = command(tmp_path, "exit 0", resources)
    (tmp_path / "hook.sh").unlink()
    with pytest.raises(HookFailed, match="cannot be started"):
        hook.ask(QUESTION, LONG_S)


def test_a_command_that_takes_too_long_is_killed_with_what_it_started(
    tmp_path: Path, resources: AsyncExitStack
) -> None:
    """Neither it nor its children are left."""
    hook = command(tmp_path, f"sleep 600 & echo $! > {tmp_path}/child; wait", resources)
    with pytest.raises(HookFailed, match="in time"):
        hook.ask(QUESTION, SHORT_S)
    child = int((tmp_path / "child").read_text())
    _wait_for_end(child)


def test_a_child_that_holds_the_output_open_delays_nothing(tmp_path: Path, resources: AsyncExitStack) -> None:
    """The answer is there when the command itself has ended; the child is ended too."""
    hook = command(tmp_path, f"sleep 600 & echo $! > {tmp_path}/child; exit 0", resources)
    assert hook.ask(QUESTION, LONG_S).accepted
    child = int((tmp_path / "child").read_text())
    _wait_for_end(child)


def test_a_command_need_not_read_the_question(tmp_path: Path, resources: AsyncExitStack) -> None:
    """Though it is larger than a pipe holds."""
    large = Request(brief=brief_pb2.ResolvedBrief(prompt="x" * 200_000))
    assert command(tmp_path, "exit 0", resources).ask(large, LONG_S).accepted


def test_a_command_sees_nothing_of_the_services_environment(
    tmp_path: Path, resources: AsyncExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So it cannot see a secret in it; nor has it the service's folder."""
    monkeypatch.setenv("SONICHAOS_S3_SECRET_KEY", "very-secret")
    hook = command(tmp_path, f"env > {tmp_path}/env; pwd > {tmp_path}/pwd", resources)
    hook.ask(QUESTION, LONG_S)
    seen = dict(line.split("=", 1) for line in (tmp_path / "env").read_text().splitlines())
    assert set(seen) - {"PWD", "OLDPWD", "SHLVL", "_"} == {"PATH", "LANG"}
    assert (tmp_path / "pwd").read_text() == "/\n"


def test_a_service_accepts_and_refuses(resources: AsyncExitStack) -> None:
    """The question arrives whole, and the reason comes back."""
    with hook_server(accept) as server:
        assert open_endpoint(server.address, None, resources).ask(QUESTION, LONG_S).accepted
    assert server.asked == [QUESTION]
    with hook_server(refuse("no")) as server:
        assert open_endpoint(server.address, None, resources).ask(QUESTION, LONG_S) == Response(reason="no")


def test_a_service_on_a_unix_socket_and_one_with_tls(tmp_path: Path, resources: AsyncExitStack) -> None:
    """The certificate is checked with the authority of the setting, and one of another authority is refused."""
    with hook_server(accept, address=f"unix:{tmp_path}/hook.sock") as server:
        assert open_endpoint(f"unix://{tmp_path}/hook.sock", None, resources).ask(QUESTION, LONG_S).accepted
    authority, other = Authority.create(tmp_path), Authority.create(tmp_path, "other")
    own = authority.server()
    credentials = grpc.ssl_server_credentials([(own.key_pem, own.certificate_pem)])
    with hook_server(accept, credentials=credentials) as server:
        address = f"https://{server.address}"
        assert open_endpoint(address, authority.ca, resources).ask(QUESTION, LONG_S).accepted
        with pytest.raises(HookFailed, match="UNAVAILABLE"):
            open_endpoint(address, other.ca, resources).ask(QUESTION, LONG_S)


def test_a_service_that_does_not_answer_is_a_failure(resources: AsyncExitStack) -> None:
    """One that hangs, one that crashes in the call, and one that is not there."""
    leave = threading.Event()

    def hang(_request: Request) -> Response:
        leave.wait()
        return Response(accepted=True)

    def crash(_request: Request) -> Response:
        raise RuntimeError("a bug of the operator's")

    with hook_server(hang) as server:
        with pytest.raises(HookFailed, match="DEADLINE_EXCEEDED"):
            open_endpoint(server.address, None, resources).ask(QUESTION, SHORT_S)
        leave.set()
    with hook_server(crash) as server, pytest.raises(HookFailed, match="UNKNOWN"):
        open_endpoint(server.address, None, resources).ask(QUESTION, LONG_S)
    with pytest.raises(HookFailed, match="UNAVAILABLE"):
        open_endpoint(server.address, None, resources).ask(QUESTION, LONG_S)


def test_garbage_in_place_of_an_answer_is_a_failure(resources: AsyncExitStack) -> None:
    """Bytes that are no CheckAdmissionResponse."""
    method = grpc.unary_unary_rpc_method_handler(lambda _request, _context: b"\xff\xff\xff")
    handler = grpc.method_handlers_generic_handler(
        "sonichaos.admission.v1.AdmissionService", {"CheckAdmission": method}
    )
    server = grpc.server(futures.ThreadPoolExecutor(1), handlers=(handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with pytest.raises(HookFailed, match="INTERNAL"):
        open_endpoint(f"127.0.0.1:{port}", None, resources).ask(QUESTION, LONG_S)
    server.stop(None).wait()


@pytest.mark.parametrize(
    "setting",
    [
        "hook.example.com:443",
        "http://127.0.0.1:80",
        "https://hook.example.com",
        "https://hook.example.com:443/path",
        "192.0.2.1:50080",
        "command:",
        "command:true",
        "command:/no/such/program",
        "command:/bin/sh -c 'unended",
    ],
)
async def test_a_setting_that_cannot_be_used_is_refused_at_the_start(setting: str, resources: AsyncExitStack) -> None:
    """Briefs would go in the clear to another machine, or to nowhere."""
    with pytest.raises(SettingsError, match="SONICHAOS_ADMISSION_HOOK"):
        open_endpoint(setting, None, resources)


def _wait_for_end(pid: int) -> None:
    """Until a process has ended; whoever inherited it need not have waited for it."""
    for _ in range(600):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return
        if state == "Z":
            return
        time.sleep(0.05)
    pytest.fail(f"process {pid} still runs")


def test_a_proxy_of_the_environment_is_not_used_for_this_host(
    resources: AsyncExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It saw every brief in plain text: gRPC sends plain text to loopback there too, for the hook as for the other service."""
    for name in ("http_proxy", "grpc_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with hook_server(accept) as server:
        assert open_endpoint(server.address, None, resources).ask(QUESTION, LONG_S).accepted
        channel = resources.enter_context(open_peer_channel(server.address, None, insecure=False))
        assert AdmissionServiceStub(channel).CheckAdmission(QUESTION, timeout=LONG_S).accepted
