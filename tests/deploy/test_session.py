import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import pumice.deploy
from pumice.deploy.carried import CHECKED, dump_checked
from pumice.deploy.compare import relative_error, variation
from pumice.deploy.export import export
from pumice.deploy.onnx import read_onnx, set_property
from pumice.deploy.probes import probe_inputs
from pumice.deploy.session import Session, open_session, resolve_runtime
from pumice.errors import BadInput, CheckFailed
from tests.deploy.conftest import SIZE, Case, manifest, settle, small_net

TOLERANCE = 1e-4


def outputs(net: nn.Module, x: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return net(torch.from_numpy(x)).numpy()


def opened(case: Case, runtime: str, **options) -> Session:
    source = {"eager": case.net, "onnxruntime": case.onnx.path, "openvino": case.xml.path}[runtime]
    own = {"manifest": case.manifest} if runtime == "eager" else {}
    return open_session(source, runtime=runtime, **own, **options)


@pytest.mark.parametrize("runtime", ["eager", "onnxruntime", "openvino"])
def test_every_runtime_computes_what_the_network_computes(case: Case, runtime: str):
    x = probe_inputs(8, SIZE, case.manifest.preprocess)
    want = outputs(case.net, x)
    assert variation(want) > 0.1  # a network that ignored its input would pass anything
    with opened(case, runtime) as session:
        assert relative_error(session.run(x), want) < TOLERANCE
        assert (session.runtime, session.input_size, session.batch, session.dtype) == (runtime, SIZE, 1, "float32")
        assert session.manifest == case.manifest
        assert (session.file_bytes is None) == (runtime == "eager")


@pytest.mark.slow  # tests/benchmarks/test_formats.py holds a network of every family against its files
@pytest.mark.parametrize("name", ["shufflenetv2_050", "micronet_m0", "mobilenetv3_small_050"])
def test_networks_of_the_survey_agree_in_every_runtime(tmp_path: Path, name: str):
    from pumice.models.create import create_model

    torch.manual_seed(0)
    size = (3, 64, 64)
    net = settle(create_model(name, num_classes=10), size)
    x = probe_inputs(6, size, None, seed=5)
    want = outputs(net, x)
    assert variation(want) > 0.02
    file = export(net, tmp_path / "net.onnx", input_size=size)
    assert set(file.right) == {"onnxruntime", "openvino"}
    for source, runtime in ((net, "eager"), (file.path, "onnxruntime"), (file.path, "openvino")):
        with open_session(source, runtime=runtime, input_size=size) as session:
            assert relative_error(session.run(x), want) < TOLERANCE, runtime


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_a_network_opens_through_a_temporary_file(runtime: str):
    net = small_net()
    x = probe_inputs(5, SIZE, None)
    with open_session(net, runtime=runtime, batch=2, input_size=SIZE) as session:
        assert relative_error(session.run(x), outputs(net, x)) < TOLERANCE  # 5 images in passes of 2
        assert session.file_bytes > 4 * sum(p.numel() for p in net.parameters()) * 0.9


def test_a_dynamic_file_opens_at_any_size_and_batch(tmp_path: Path, case: Case):
    file = export(case.net, tmp_path / "net.onnx", manifest=case.manifest, dynamic="both")
    for runtime in ("onnxruntime", "openvino"):
        for size, batch in (((3, 32, 64), 1), ((3, 56, 40), 3)):
            x = probe_inputs(3, size, None)
            with open_session(file.path, runtime=runtime, input_size=size, batch=batch) as session:
                assert relative_error(session.run(x), outputs(case.net, x)) < TOLERANCE
        with open_session(file.path, runtime=runtime) as session:
            assert session.input_size == SIZE


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_a_static_file_refuses_other_sizes_and_batches(case: Case, runtime: str):
    with pytest.raises(BadInput, match=r"fixed to input size \(3, 40, 48\), not \(3, 32, 32\)"):
        opened(case, runtime, input_size=(3, 32, 32))
    with pytest.raises(BadInput, match="fixed to batch 1, not 4"):
        opened(case, runtime, batch=4)
    with opened(case, runtime) as session, pytest.raises(BadInput, match=r"reads float32 of shape \(1, 3, 40, 48\)"):
        session.run(np.zeros((1, 3, 32, 32), np.float32))


def test_eager_threads_hold_inside_the_network_and_are_put_back(case: Case):
    seen = []

    class Watch(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append(torch.get_num_threads())
            return x.mean((2, 3))

    before = torch.get_num_threads()
    for threads in (1, 2, 3):
        seen.clear()
        open_session(Watch(), threads=threads, input_size=SIZE).run(np.zeros((1, *SIZE), np.float32))
        assert seen[-1] == threads
        assert torch.get_num_threads() == before


@pytest.mark.parametrize("threads", [1, 2])
def test_runtimes_are_told_the_threads(case: Case, threads: int):
    ort, vino = opened(case, "onnxruntime", threads=threads), opened(case, "openvino", threads=threads)
    options = ort._session.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (threads, 1)
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    assert vino._compiled.get_property("INFERENCE_NUM_THREADS") == threads
    assert vino._compiled.get_property("NUM_STREAMS") == 1
    assert vino._compiled.get_property("ENABLE_CPU_PINNING") is False
    assert str(vino._compiled.get_property("INFERENCE_PRECISION_HINT").to_string()) == "f32"


@pytest.mark.parametrize("runtime", ["eager", "onnxruntime", "openvino"])
def test_one_thread_uses_one_core(runtime: str):
    torch.manual_seed(0)
    net = nn.Sequential(
        *(nn.Conv2d(64 if i else 3, 64, 3, padding=1) for i in range(4)), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    x = np.zeros((1, 3, 96, 96), np.float32)
    with open_session(net, runtime=runtime, threads=1, input_size=(3, 96, 96)) as session:
        session.run(x)
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(15):
            session.run(x)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    # A second thread at work, or spinning, would near 2; the clock's own error is far below a fifth.
    assert cpu / wall < 1.2


def test_onnxruntime_does_not_report_to_its_makers(tmp_path: Path, case: Case):
    code = f"from pumice.deploy.session import open_session; open_session({str(case.onnx.path)!r})"
    environment = {key: value for key, value in os.environ.items() if key != "ORT_DISABLE_TELEMETRY"}
    subprocess.run([sys.executable, "-c", code], env={**environment, "TMPDIR": str(tmp_path)}, check=True)
    assert list(tmp_path.iterdir()) == []  # it notes its session there


def test_auto_passes_over_a_runtime_that_disagreed(tmp_path: Path, case: Case):
    def recorded(**checked: float) -> Path:
        proto = read_onnx(case.onnx.path)
        set_property(proto, CHECKED, dump_checked(checked))
        file = tmp_path / "recorded.onnx"
        file.write_bytes(proto.SerializeToString())
        return file

    assert resolve_runtime(case.onnx.path) == "onnxruntime"
    assert resolve_runtime(case.xml.path) == "openvino"
    assert resolve_runtime(case.net) == "eager"
    assert resolve_runtime(recorded(onnxruntime=1e-6, openvino=0.3)) == "onnxruntime"
    assert resolve_runtime(recorded(onnxruntime=0.3, openvino=1e-6)) == "openvino"
    assert resolve_runtime(recorded(onnxruntime=float("inf"), openvino=1e-6)) == "openvino"
    with pytest.raises(CheckFailed, match="disagreed with the network"):
        resolve_runtime(recorded(onnxruntime=0.3, openvino=0.3))


def test_bad_sources_get_one_sentence(tmp_path: Path, case: Case):
    text = tmp_path / "notes.onnx"
    text.write_text("these are notes, not a network\n" * 20)
    xml = tmp_path / "notes.xml"
    xml.write_text("<html><body>hello</body></html>")
    empty = tmp_path / "empty.onnx"
    empty.write_bytes(b"")
    lone = tmp_path / "lone.xml"
    lone.write_bytes(case.xml.path.read_bytes())
    torn = tmp_path / "torn.onnx"
    torn.write_bytes(case.onnx.path.read_bytes()[:2000])
    for source, message in (
        (text, "notes.onnx is not an ONNX model"),
        (empty, "empty.onnx is not an ONNX model"),
        (torn, "torn.onnx is not an ONNX model"),
        (xml, "notes.xml is not an OpenVINO model"),
        (lone, "no lone.bin beside it"),
        (tmp_path / "absent.onnx", "no file .*absent.onnx"),
        ("mobilenetv3_smal_100", "did you mean"),
    ):
        with pytest.raises(BadInput, match=message):
            open_session(source)
    with pytest.raises(BadInput, match="did you mean 'onnxruntime'"):
        open_session(case.onnx.path, runtime="onnxruntim")
    with pytest.raises(BadInput, match="openvino"):
        open_session(case.xml.path, runtime="onnxruntime")
    with pytest.raises(BadInput, match="eager runs networks"):
        open_session(case.onnx.path, runtime="eager")
    with pytest.raises(BadInput, match="at least 1"):
        open_session(case.onnx.path, threads=0)
    with pytest.raises(BadInput, match="input size of Sequential is unknown"):
        open_session(case.net)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, case: Case):
    monkeypatch.setattr("pumice.deploy.session.find_spec", lambda name: None)
    with pytest.raises(BadInput, match=r"pip install 'pumice\[deploy\]'"):
        open_session(case.onnx.path)
    with pytest.raises(BadInput, match=r"openvino is not installed; run `pip install 'pumice\[deploy\]'`"):
        open_session(case.xml.path, runtime="openvino")


def test_a_run_folder_opens_its_file_and_else_its_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from pumice.models.checkpoint import manifest_of, save_checkpoint
    from pumice.models.create import create_model

    torch.manual_seed(0)
    net = settle(create_model("squeezenet1_1", num_classes=5), (3, 64, 64))
    save_checkpoint(tmp_path / "best.safetensors", net, manifest_of(net, classes=manifest().classes).at(64, 64))
    with open_session(tmp_path) as session:
        assert (session.runtime, session.input_size, session.manifest.classes[1]) == ("eager", (3, 64, 64), "bee")
    export(tmp_path, tmp_path / "model.onnx")
    x = probe_inputs(2, (3, 64, 64), None)
    with open_session(tmp_path) as session:
        assert session.runtime == "onnxruntime"
        carried = session.manifest
    for runtime in ("eager", "onnxruntime", "openvino"):
        with open_session(tmp_path, runtime=runtime) as session:
            assert (session.runtime, session.manifest) == (runtime, carried)
            assert relative_error(session.run(x), outputs(net, x)) < TOLERANCE
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(BadInput, match="torch finds no CUDA device"):  # there, auto is eager: the weights
        open_session(tmp_path, device="cuda")
    with pytest.raises(BadInput, match=r"eager runs networks and checkpoints, not model\.onnx"):
        open_session(tmp_path / "model.onnx", device="cuda")


def test_the_floor_imports_torch_and_no_runtime():
    modules = [path.stem for path in Path(pumice.deploy.__path__[0]).glob("[a-z]*.py")]
    assert len(modules) > 10
    code = "import sys\n" + "".join(f"import pumice.deploy.{name}\n" for name in modules)
    code += "print(*{name.split('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "torch" in loaded
    assert not {"onnx", "onnxscript", "onnxruntime", "openvino", "torchvision", "timm", "lightning"} & set(loaded)
