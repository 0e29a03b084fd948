"""A request goes to a target without torch, and back comes what this machine would have measured itself."""

import ast
import sys
import zipfile
from pathlib import Path

import pytest

from pumice.cost import machine
from pumice.cost.remote import boot, device
from pumice.cost.remote.archive import parts, write_archive
from pumice.cost.remote.runner import Item, time_items
from pumice.errors import BadInput, CheckFailed
from tests.cost.remote.conftest import Shell, Target

HEAVY = {"torch", "onnx", "rich", "PIL", "safetensors", "typer"}


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino", "auto"])
def test_a_file_is_timed_there(shell: Shell, net: Path, runtime: str) -> None:
    (there,) = shell.benchmark([net], runtime=runtime, time_limit_s=0.2)
    (here,) = time_items([Item(str(net), str(net), runtime)], time_limit_s=0.2)
    assert there.p50_ms > 0
    assert there.ci95[0] <= there.p50_ms <= there.ci95[1]
    same = ("name", "runtime", "device", "threads", "batch", "dtype", "input_size", "machine", "runtime_version")
    assert {key: getattr(there, key) for key in same} == {key: getattr(here, key) for key in same}
    assert there.runtime == ("onnxruntime" if runtime == "auto" else runtime)


def test_the_target_imports_neither_torch_nor_anything_heavy(shell: Shell, net: Path) -> None:
    items = [Item("files/0000/" + net.name, "a", "onnxruntime").to_json()]
    answer = shell.run({"job": "benchmark", "items": items, "time_limit_s": 0.1, "debug": True}, [net])
    assert not HEAVY & set(answer["imported"])
    assert {"pumice", "numpy", "onnxruntime"} <= set(answer["imported"])


def test_the_operators_of_a_file_are_timed_there(shell: Shell, net: Path) -> None:
    once, twice = shell.nodes([Item(str(net), "a", "onnxruntime"), Item(str(net), "b", "openvino")], passes=5)
    assert [op.kind for op in once if op.kind.startswith("Conv")] == ["Conv"]
    assert any("Conv" in op.kind for op in twice)
    assert all(op.ms >= 0 for op in once + twice)
    assert sum(op.ms for op in once) > 0


def test_hundreds_of_files_go_in_one_archive(shell: Shell, net: Path) -> None:
    items = [Item(str(net), f"net {i}", "onnxruntime", threads=1, input_size=(3, 32, 32)) for i in range(300)]
    timings = shell.time(items, time_limit_s=0.5, together=100)
    assert [t.name for t in timings] == [item.name for item in items]


def test_combinations_come_in_order(shell: Shell, net: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Item] = []
    monkeypatch.setattr(shell, "time", lambda items, **settings: seen.extend(items))
    shell.benchmark([net], runtime=["onnxruntime", "openvino"], threads=[1, 2], batch=1)
    assert [(i.runtime, i.threads, i.batch) for i in seen] == [
        ("onnxruntime", 1, 1), ("onnxruntime", 2, 1), ("openvino", 1, 1), ("openvino", 2, 1),
    ]  # fmt: skip


def test_the_machine_is_asked_once(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    assert shell.machine == machine.this_machine()
    monkeypatch.setattr(shell, "run", lambda *_: pytest.fail("asked again"))
    assert shell.machine.key == machine.machine_key()


def test_what_the_target_refuses_is_said_with_our_names(shell: Shell, net: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput) as refused:
        shell.benchmark([net], runtime="onnxruntime", batch=4)
    assert str(refused.value) == (f"shell:here: {net} is fixed to batch 1, not 4; export it with dynamic='batch'")
    torn = tmp_path / "torn.onnx"
    torn.write_bytes(net.read_bytes()[:100])
    with pytest.raises(BadInput, match=f"^shell:here: {torn} is not an ONNX model; export it again$"):
        shell.benchmark([torn], runtime="onnxruntime")
    with pytest.raises(BadInput, match="threads cannot run at once"):
        shell.benchmark([net], runtime="onnxruntime", threads=10_000)


def test_what_cannot_work_is_not_sent(shell: Shell, net: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell, "run", lambda *_: pytest.fail("sent"))
    for runtime, words in (
        ("eager", "eager needs torch"),
        ("native", "cannot run code compiled for this machine"),
        ("onnxruntim", "did you mean 'onnxruntime'?"),
    ):
        with pytest.raises(BadInput, match=words):
            shell.benchmark([net], runtime=runtime)
    with pytest.raises(BadInput, match=r"no file absent\.onnx"):
        shell.benchmark(["absent.onnx"])
    with pytest.raises(BadInput, match="nothing to measure"):
        shell.benchmark([])


def test_missing_packages_are_named(target: Target, net: Path) -> None:
    bare = Shell(f"{sys.executable} -S", target.environment)  # without site-packages
    with pytest.raises(BadInput) as refused:
        bare.benchmark([net])
    assert str(refused.value) == (
        "shell:here has no numpy and no onnxruntime; run `pip install numpy onnxruntime` there"
    )
    with pytest.raises(BadInput, match="has no numpy and no openvino;"):
        bare.benchmark([net], runtime="openvino")
    assert target.is_clean()


def test_an_old_python_is_named(target: Target, net: Path, tmp_path: Path) -> None:
    old = tmp_path / "python"
    pretend = "import sys, platform; sys.version_info = (3, 9, 2); platform.python_version = lambda: '3.9.2'; $2"
    old.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{pretend}"\n')
    old.chmod(0o755)
    with pytest.raises(BadInput, match=r"has Python 3\.9\.2, and 3\.11 is needed"):
        Shell(str(old), target.environment).benchmark([net], runtime="onnxruntime")


def test_old_pythons_can_read_the_boot_program() -> None:
    source = Path(boot.__file__).read_text()
    ast.parse(source, feature_version=(3, 6))
    with pytest.raises(SyntaxError):
        ast.parse("if (n := 1): pass", feature_version=(3, 6))  # it does look


def test_a_target_that_says_other_things_too(target: Target, net: Path) -> None:
    """Login scripts print; what they print is neither the answer nor an error."""
    noisy = Shell(f"echo welcome; echo 'last login: never' >&2; {sys.executable}", target.environment)
    assert noisy.machine == machine.this_machine()
    with pytest.raises(CheckFailed, match=r"^3: gone$"):
        Shell("echo gone >&2; exit 3;", target.environment).run({"job": "machine"})
    assert target.is_clean()


def test_the_archive_holds_modules_request_and_whole_models(tmp_path: Path) -> None:
    for name in ("a/net.xml", "a/net.bin", "b/net.onnx", "b/net.onnx.data", "c/net.onnx"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    files = [tmp_path / "a/net.xml", tmp_path / "b/net.onnx", tmp_path / "c/net.onnx"]
    assert [len(parts(file)) for file in files] == [2, 2, 1]
    with (tmp_path / "archive.zip").open("w+b") as file:
        write_archive(file, {"job": "machine"}, files)
        with zipfile.ZipFile(file) as archive:
            names = set(archive.namelist())
            assert archive.read("files/0002/net.onnx") == b"c/net.onnx"
    assert {"files/0000/net.xml", "files/0000/net.bin", "files/0001/net.onnx.data"} <= names
    assert {"request.json", "pumice/__init__.py", "pumice/cost/latency.py", "pumice/cost/remote/runner.py"} <= names
    assert (tmp_path / "archive.zip").stat().st_size < 500_000  # it crosses a slow line for every request


@pytest.mark.parametrize("address", ["pi", "telnet:pi", "ssh", "ssh:", "adb:", "ssh:a b", "ssh:-oProxyCommand=x", ""])
def test_addresses_that_mean_nothing(address: str) -> None:
    with pytest.raises(BadInput, match=r"write ssh:HOST|write adb:SERIAL"):
        device(address)
