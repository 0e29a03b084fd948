"""Over a real ssh server on localhost: what comes back, what is left behind, and what people read when it fails."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pumice.cli.main import main
from pumice.cost import machine
from pumice.cost.database import lookup, measurement_key
from pumice.cost.remote import device
from pumice.cost.remote.runner import Item
from pumice.cost.remote.ssh import OPTIONS, Ssh
from pumice.errors import BadInput, CheckFailed
from pumice.models.manifest import ModelConfig
from tests.cost.remote.conftest import Server, Target, wait_for


@pytest.fixture
def client(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """This process's ssh knows the server."""
    monkeypatch.setenv("PUMICE_SSH", f"ssh -F {server.config}")
    monkeypatch.setenv("PUMICE_REMOTE_PYTHON", sys.executable)
    return server


def pumice(*args: object) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own."""
    command = [sys.executable, "-m", "pumice.cli.main", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.usefixtures("client")
def test_a_file_is_timed_over_ssh(net: Path, target: Target) -> None:
    done = pumice("benchmark", net, "--runtime", "onnxruntime", "--on", "ssh:target", "--time", "0.3s", "--json")
    assert done.returncode == 0, done.stderr
    (timing,) = json.loads(done.stdout)
    assert (timing["name"], timing["runtime"], timing["input_size"]) == (str(net), "onnxruntime", [3, 32, 32])
    assert timing["p50_ms"] > 0
    assert timing["machine"] == machine.describe()
    assert done.stderr == ""
    assert target.is_clean()


@pytest.mark.usefixtures("client")
def test_neither_side_imports_torch(net: Path) -> None:
    """Nor could the target: its stand-ins for torch and the like raise."""
    code = (
        "import sys\nfrom pumice.cost.remote import device\nfrom pumice.cost.remote.runner import Item\n"
        f"item = Item('files/0000/' + {net.name!r}, 'a', 'openvino').to_json()\n"
        "from pathlib import Path\n"
        "request = {'job': 'benchmark', 'items': [item], 'time_limit_s': 0.1, 'debug': True}\n"
        f"answer = device('ssh:target').run(request, [Path({str(net)!r})])\n"
        "print(*answer['imported'])\nprint('torch' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    there, here = done.stdout.splitlines()
    assert here == "False"
    assert {"numpy", "openvino", "pumice"} <= set(there.split())
    assert not {"torch", "onnx", "rich"} & set(there.split())


@pytest.mark.usefixtures("client")
def test_a_name_is_exported_here_and_remembered_under_the_target(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path, target: Target
) -> None:
    """In this process, which most likely has imported torch already."""
    monkeypatch.setenv("PUMICE_CACHE", str(tmp_path))
    name, size = "micronet_m0", (3, 64, 64)
    options = ("--runtime", "onnxruntime", "--input", "3x64x64", "--time", "0.5s")
    monkeypatch.setattr("sys.argv", ["pumice", "benchmark", name, *options, "--on", "ssh:target"])
    with pytest.raises(SystemExit) as end:
        main()
    said = capfd.readouterr()
    assert end.value.code in (None, 0), said.err
    assert name in said.out
    assert machine.describe() in said.out
    where = device("ssh:target").machine
    key = measurement_key(ModelConfig(name), runtime="onnxruntime", input_size=size, where=where)
    found = lookup(key, allow_busy=True)
    assert found is not None
    assert found.name == name
    elsewhere = measurement_key(
        ModelConfig(name), runtime="onnxruntime", input_size=size, where=machine.Machine("other", "", 4, where.versions)
    )
    assert lookup(elsewhere, allow_busy=True) is None
    assert target.is_clean()


def begin(net: Path) -> subprocess.Popen[str]:
    """A process that measures on the target for a minute."""
    code = (
        "import signal\nfrom pumice.cost.remote import device\nfrom pumice.cost.remote.runner import Item\n"
        # What a shell starts in the background ignores the interrupt.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"item = Item({str(net)!r}, 'a', 'onnxruntime')\n"
        "device('ssh:target').time([item], time_limit_s=60, precision=0.0)\n"
    )
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_command_leaves_nothing_there(net: Path, target: Target, stop: signal.Signals) -> None:
    process = begin(net)
    assert wait_for(lambda: list(target.temporary.glob(f"*/files/0000/{net.name}")))
    process.send_signal(stop)
    assert process.wait(20) != 0
    assert target.is_clean()
    process.communicate()


@pytest.mark.usefixtures("client")
def test_a_broken_connection_is_one_sentence(net: Path, target: Target) -> None:
    process = begin(net)
    assert wait_for(lambda: list(target.temporary.glob(f"*/files/0000/{net.name}")))
    (ssh,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(ssh), signal.SIGKILL)
    _, said = process.communicate(timeout=20)
    assert "CheckFailed: the connection to ssh:target was lost before the answer came" in said.splitlines()[-1]
    assert target.is_clean()


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("refusing", "it refuses your key; add it there with `ssh-copy-id`"),
        ("unseen", "its host key is not known yet; run ssh once by hand"),
        ("localhost:1", "no ssh server answers there"),
    ],
)
def test_refusals_are_one_sentence(net: Path, host: str, words: str) -> None:
    done = pumice("benchmark", net, "--on", f"ssh:{host}")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(f"pumice: ssh:{host}: ")
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.usefixtures("client")
def test_no_python_there(net: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUMICE_REMOTE_PYTHON", "/no/such/python3")
    with pytest.raises(BadInput, match=r"^ssh:target has no /no/such/python3; install Python 3\.11 or newer there"):
        device("ssh:target").benchmark([net], runtime="onnxruntime")


def test_what_ssh_says_becomes_a_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Ssh("pi")
    said = "ssh: Could not resolve hostname pi: Name or service not known"
    assert str(host.trouble(255, said)) == (
        "ssh:pi: there is no host of this name; check its spelling, or name it in ~/.ssh/config"
    )
    slow = host.trouble(255, "ssh: connect to host pi port 22: Connection timed out")
    assert isinstance(slow, BadInput)
    assert "check that it is on" in str(slow)
    for code, words in ((255, "client_loop: send disconnect: Broken pipe"), (1, "MemoryError"), (-9, "")):
        lost = host.trouble(code, words)
        assert isinstance(lost, CheckFailed)
        assert (words or "exit status -9") in str(lost)
    monkeypatch.setenv("PUMICE_SSH", "no-such-ssh")
    with pytest.raises(BadInput, match="needs the program no-such-ssh, which is not installed here"):
        host.run({"job": "machine"})


@pytest.mark.parametrize(
    ("address", "ends"),
    [
        ("pi", ["--", "pi"]),
        ("me@pi:2222", ["-p", "2222", "--", "me@pi"]),
        ("me@[fe80::1%eth0]:22", ["-p", "22", "--", "me@fe80::1%eth0"]),
    ],
)
def test_addresses(address: str, ends: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUMICE_SSH", "ssh -i 'my key'")
    command = Ssh(address).command("true")
    assert command[:3] == ["ssh", "-i", "my key"]
    assert command[-len(ends) - 1 :] == [*ends, "true"]
    assert all(option in command for option in OPTIONS)


def test_items_survive_json() -> None:
    item = Item("a.onnx", "a", "openvino", 2, 4, (3, 8, 9))
    assert Item.from_json(json.loads(json.dumps(item.to_json()))) == item
