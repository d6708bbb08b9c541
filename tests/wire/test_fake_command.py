"""The fake as a command and as a pytest fixture."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from sonichaos.testing.v1 import fake_pb2
from sonichaos_client import Client, JobState, ResourceExhaustedError
from sonichaos_client.cli import cli
from sonichaos_client.testing.fake import parse_script
from tests.support.doc_blocks import blocks

PAGE = Path(__file__).resolve().parents[2] / "docs" / "fake.md"
WRONG_OPTION = """

@pytest.mark.sonichaos_fake(pace=3)
def test_an_unknown_option_is_an_error(sonichaos_fake):
    pass
"""


def test_the_fixture_serves_tests_of_an_integration(tmp_path: Path) -> None:
    """The tests of docs/fake.md pass; the marker refuses an option that it does not know."""
    (documented,) = blocks(PAGE, "python")
    (tmp_path / "test_integration.py").write_text(documented.code + WRONG_OPTION, encoding="utf-8")
    plugin = "sonichaos_client.testing.pytest_plugin"
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-W",
        "error::pytest.PytestUnknownMarkWarning",
    ]
    if not _is_installed(plugin):
        command += ["-p", plugin]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert "2 passed, 1 error" in ended.stdout, ended.stdout + ended.stderr
    assert "takes speed, manual_clock, api_keys and script by name, got ['pace']" in ended.stdout


def _is_installed(plugin: str) -> bool:
    """Whether pytest loads the plugin by itself, as where the package was installed from this tree."""
    from importlib.metadata import entry_points

    return any(point.value == plugin for point in entry_points(group="pytest11"))


def test_the_documented_script_is_one_of_the_command() -> None:
    """The script of docs/fake.md is one, and every kind of fault and call of the control service is on the page."""
    (documented,) = blocks(PAGE, "yaml")
    script = parse_script(yaml.safe_load(documented.code))
    assert (script.speeds.render_s, len(script.faults)) == (0.5, 2)
    page = PAGE.read_text(encoding="utf-8")
    kinds = [field.name for field in fake_pb2.Fault.DESCRIPTOR.oneofs_by_name["kind"].fields]
    assert [kind for kind in kinds if f"| `{kind}` |" not in page] == []
    methods = fake_pb2.DESCRIPTOR.services_by_name["FakeControlService"].methods
    assert [method.name for method in methods if f"`{method.name}" not in page] == []


def test_the_command_serves_until_it_is_interrupted(tmp_path: Path) -> None:
    """It prints its addresses, follows its script, and an interrupt ends it at once with status 0."""
    script = tmp_path / "script.yaml"
    script.write_text(
        "render_seconds: 0.2\nfaults:\n  - {kind: queue_full, times: 1, retry_delay: 0.01}\n", encoding="utf-8"
    )
    listen = [part for name in ("render", "separation", "url") for part in (f"--{name}-listen", "127.0.0.1:0")]
    command = [
        sys.executable,
        "-m",
        "sonichaos_client",
        "fake",
        *listen,
        "--script",
        str(script),
        "--speed",
        "20",
        "--json",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            facts = json.loads(process.stdout.readline())
            with Client(facts["renderAddress"], facts["separationAddress"]) as client:
                with pytest.raises(ResourceExhaustedError):
                    client.create_render(prompt="slow", persona_id="neon-drift", seconds=2)
                job = client.create_render(prompt="slow", persona_id="neon-drift", seconds=2)
                assert JobState(job.wait().message.state) is JobState.DONE
                assert client.create_signed_url(job.job_id).url.startswith(facts["urlAddress"])
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--script", "SCRIPT"], "kind must be one of"),
        (["--render-listen", "nowhere"], "must be host:port"),
        (["--certificate", "SCRIPT"], "belong together"),
        (["--api-key", "secret"], "must start with sonichaos_"),
    ],
)
def test_wrong_options_say_what_is_expected(tmp_path: Path, options: list[str], message: str) -> None:
    """Wrong options end the command with status 2 and a message."""
    script = tmp_path / "script.yaml"
    script.write_text("faults: [{kind: explode}]\n", encoding="utf-8")
    given = [str(script) if option == "SCRIPT" else option for option in options]
    ended = CliRunner().invoke(cli, ["fake", "--url-listen", "127.0.0.1:0", *given], terminal_width=400)
    assert ended.exit_code == 2
    assert message in ended.stderr


@pytest.mark.parametrize("option", ["--render-listen", "--separation-listen", "--url-listen"])
def test_an_address_in_use_is_named_with_its_option(option: str) -> None:
    """Whichever of the three it is."""
    names = ("--render-listen", "--separation-listen", "--url-listen")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        listen = [part for name in names for part in (name, address if name == option else "127.0.0.1:0")]
        ran = subprocess.run(
            [sys.executable, "-m", "sonichaos_client", "fake", *listen],
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
    assert ran.returncode == 1
    assert ran.stderr.startswith(f"Error: {address} cannot be listened on: it is in use")
    assert option in ran.stderr


def test_a_socket_in_a_missing_folder_is_named_with_its_option(tmp_path: Path) -> None:
    """It is an error of one line, as an address in use is."""
    address = f"unix:{tmp_path}/missing/render.sock"
    ran = subprocess.run(
        [sys.executable, "-m", "sonichaos_client", "fake", "--url-listen", "127.0.0.1:0", "--render-listen", address],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert ran.returncode == 1
    assert f"Error: {address} cannot be listened on" in ran.stderr
    assert "Traceback" not in ran.stderr
