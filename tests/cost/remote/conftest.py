"""Targets on this machine: a plain shell, and an ssh server on a port of localhost with keys of its own."""

import getpass
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from pumice.cost.remote.transport import Device
from pumice.errors import BadInput, CheckFailed

SSHD = shutil.which("sshd") or shutil.which("/usr/sbin/sshd")


class Shell(Device):
    """A shell of this machine, with the environment that it is given."""

    def __init__(self, python: str, environment: dict[str, str]) -> None:
        super().__init__("shell:here", python)
        self.environment = environment

    def command(self, program: str) -> list[str]:
        """Nothing of this process's environment comes along but the PATH."""
        given = [f"{key}={value}" for key, value in self.environment.items()]
        return ["env", "-i", f"PATH={os.environ['PATH']}", *given, "sh", "-c", program]

    def trouble(self, code: int, said: str) -> BadInput | CheckFailed:
        """As it is."""
        return CheckFailed(f"{code}: {said}")


@dataclass(frozen=True)
class Target:
    """A target's own places: temporary: its folder for temporary files.  stubs: modules that it must not import."""

    temporary: Path
    stubs: Path

    @property
    def environment(self) -> dict[str, str]:
        """Of its processes."""
        return {"TMPDIR": str(self.temporary), "PYTHONPATH": str(self.stubs)}

    def is_clean(self, within_s: float = 20) -> bool:
        """Whether its folder for temporary files is empty, or becomes so."""
        return wait_for(lambda: not list(self.temporary.iterdir()), within_s)


def wait_for(what, within_s: float = 20) -> bool:  # type: ignore[no-untyped-def]
    """Whether something became true."""
    end = time.monotonic() + within_s
    while not what():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture(scope="session")
def target(tmp_path_factory: pytest.TempPathFactory) -> Target:
    """A target whose Python refuses what a small device does not have."""
    made = Target(tmp_path_factory.mktemp("temporary"), tmp_path_factory.mktemp("stubs"))
    for name in ("torch", "onnx", "rich", "PIL", "safetensors", "typer", "huggingface_hub"):
        (made.stubs / f"{name}.py").write_text(f"raise ImportError('no {name} here')\n")
    return made


@pytest.fixture
def shell(target: Target) -> Iterator[Shell]:
    """A shell on that target; every test leaves it clean."""
    yield Shell(sys.executable, target.environment)
    assert target.is_clean()


@pytest.fixture(scope="session")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of one convolution, (1, 3, 32, 32) -> (1, 4, 30, 30), in a folder whose name needs quotes."""
    weight = helper.make_tensor("weight", TensorProto.FLOAT, [4, 3, 3, 3], [0.1 * i for i in range(108)])
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 32, 32])
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 4, 30, 30])
    graph = helper.make_graph([helper.make_node("Conv", ["image", "weight"], ["out"])], "net", [image], [out], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = tmp_path_factory.mktemp("a 'folder' of; models") / "my $net.onnx"
    onnx.save(model, str(path))
    return path


@dataclass(frozen=True)
class Server:
    """An ssh server.  config: a client's configuration that knows it as `target`, and as hosts that it refuses."""

    port: int
    config: Path


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, target: Target) -> Iterator[Server]:
    """Debian's openssh-server on a free port of localhost, ended with the tests."""
    if SSHD is None or shutil.which("ssh-keygen") is None:
        pytest.skip("sshd is not installed (Debian's openssh-server)")
    folder = tmp_path_factory.mktemp("ssh")
    for name in ("host", "user", "stranger"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "known").write_text(f"[127.0.0.1]:{port} {(folder / 'host.pub').read_text()}")
    shutil.copy(folder / "user.pub", folder / "authorized")
    settings = [f"{key}={value}" for key, value in target.environment.items()]
    (folder / "sshd_config").write_text(
        f"ListenAddress 127.0.0.1\nPort {port}\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/authorized\n"
        f"StrictModes no\nUsePAM no\nPidFile none\nPasswordAuthentication no\nPermitRootLogin prohibit-password\n"
        f"SetEnv {' '.join(settings)}\n"
    )
    usual = f"HostName 127.0.0.1\n Port {port}\n User {getpass.getuser()}\n IdentitiesOnly yes\n IdentityAgent none\n"
    hosts = {"target": ("user", "known"), "refusing": ("stranger", "known"), "unseen": ("user", "none")}
    (folder / "config").write_text(
        "".join(
            f"Host {host}\n {usual} IdentityFile {folder}/{key}\n UserKnownHostsFile {folder}/{known}\n"
            " GlobalKnownHostsFile none\n StrictHostKeyChecking yes\n"
            for host, (key, known) in hosts.items()
        )
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # where the server's unprivileged half lives
    said = folder / "log"
    with said.open("w") as log:
        process = subprocess.Popen([SSHD, "-D", "-e", "-f", folder / "sshd_config"], stderr=log)
    try:
        if not wait_for(lambda: "listening" in said.read_text() or process.poll() is not None) or process.poll():
            pytest.skip(f"sshd does not start here: {said.read_text().strip()[:300]}")
        yield Server(port, folder / "config")
    finally:
        process.terminate()
        process.wait()
