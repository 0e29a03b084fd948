import errno
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import pumice
from pumice.deploy.carried import read_checked, read_manifest, read_metadata
from pumice.deploy.compare import relative_error
from pumice.deploy.export import Exported, export
from pumice.deploy.onnx import INPUT, OPSET, OUTPUT, read_onnx
from pumice.deploy.openvino import OpenVinoSession
from pumice.deploy.session import Session, resolve_runtime
from pumice.errors import BadInput, CheckFailed
from tests.deploy.conftest import SIZE, Case, manifest, small_net


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


def test_a_file_says_what_it_is(case: Case):
    proto = read_onnx(case.onnx.path)
    assert [value.name for value in proto.graph.input] == [INPUT]
    assert [value.name for value in proto.graph.output] == [OUTPUT]
    assert [dim.dim_value for dim in proto.graph.input[0].type.tensor_type.shape.dim] == [1, *SIZE]
    assert [entry.version for entry in proto.opset_import if entry.domain == ""] == [OPSET]
    assert all(tensor.data_location == 0 for tensor in proto.graph.initializer)  # nothing outside the file
    assert "BatchNormalization" not in {node.op_type for node in proto.graph.node}
    for file in (case.onnx, case.xml):
        assert read_manifest(file.path) == case.manifest
        assert read_checked(file.path) == pytest.approx(file.checked)
        assert max(file.checked.values()) < 1e-4
    assert set(case.onnx.checked) == {"onnxruntime", "openvino"}
    assert set(case.xml.checked) == {"openvino"}


def test_no_path_of_the_exporting_machine_is_inside(case: Case):
    for file in (case.onnx.path, case.xml.path):
        assert os.getcwd().encode() not in file.read_bytes()
        assert b".py" not in file.read_bytes()


def test_exported_stands_for_its_path(case: Case):
    assert isinstance(case.onnx, os.PathLike)
    assert Path(case.onnx) == case.onnx.path
    assert case.onnx.bytes == case.onnx.path.stat().st_size
    assert case.xml.bytes == case.xml.path.stat().st_size + case.xml.path.with_suffix(".bin").stat().st_size
    assert left_in(case.onnx.path.parent) == ["net.bin", "net.onnx", "net.xml"]
    assert case.onnx.to_json()["checked"].keys() == case.onnx.checked.keys()


def test_a_folder_holds_the_openvino_pair_and_is_replaced_whole(tmp_path: Path, case: Case):
    for _ in range(2):
        file = export(case.net, tmp_path / "net_openvino", manifest=case.manifest, check=False)
        assert left_in(tmp_path) == ["model.bin", "model.xml", "net_openvino"]
    assert resolve_runtime(file.path) == "openvino"
    assert read_manifest(file) == case.manifest
    assert file.checked == {}
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"")
    with pytest.raises(BadInput, match=r"holds other things \(cat.jpg\)"):
        export(case.net, tmp_path / "photos", manifest=case.manifest)
    assert (tmp_path / "photos" / "cat.jpg").exists()


def test_the_network_is_left_as_it_was(tmp_path: Path):
    net = small_net()
    net.train()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    export(net, tmp_path / "net.onnx", input_size=SIZE, check=False)
    assert net.training
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())
    assert read_manifest(tmp_path / "net.onnx") is None  # a network that says nothing gets no invented manifest


def test_the_manifest_follows_the_input_size(tmp_path: Path, case: Case):
    export(case.net, tmp_path / "net.onnx", manifest=case.manifest, input_size=(3, 32, 32), check=False)
    assert read_manifest(tmp_path / "net.onnx") == case.manifest.at(32, 32)
    with pytest.raises(BadInput, match="reads 3 channels, not 1"):
        export(case.net, tmp_path / "net.onnx", manifest=case.manifest, input_size=(1, 32, 32))


@pytest.mark.parametrize("name", ["net.onnx", "net.xml", "pair"])
def test_a_full_disk_leaves_nothing_and_gives_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: Case, name: str
):
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if name == "net.onnx":
        monkeypatch.setattr(Path, "write_bytes", full)
    else:
        monkeypatch.setattr("pumice.deploy.openvino.save_network", full)
    with pytest.raises(BadInput, match=r"cannot write .*: No space left on device"):
        export(case.net, tmp_path / name, manifest=case.manifest)
    assert left_in(tmp_path) == []


def test_a_full_disk_keeps_the_older_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: Case):
    (tmp_path / "net.onnx").write_bytes(b"older")

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(BadInput):
        export(case.net, tmp_path / "net.onnx", manifest=case.manifest)
    assert left_in(tmp_path) == ["net.onnx"]
    assert (tmp_path / "net.onnx").read_bytes() == b"older"


def wrong(session: type[Session]) -> Callable[..., np.ndarray]:
    def infer(self: Session, x: np.ndarray) -> np.ndarray:
        y = true(self, x).copy()
        y[:, 0] += 1e-3 * np.abs(y).max()
        return y

    true = session.infer
    return infer


def test_a_runtime_that_is_wrong_is_recorded_and_never_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: Case
):
    monkeypatch.setattr(OpenVinoSession, "infer", wrong(OpenVinoSession))
    file = export(case.net, tmp_path / "net.onnx", manifest=case.manifest)
    assert file.right == ("onnxruntime",)
    assert 5e-4 < file.checked["openvino"] < 2e-3
    assert resolve_runtime(file.path) == "onnxruntime"
    with pytest.raises(CheckFailed, match="openvino is off by"):
        export(case.net, tmp_path / "net.xml", manifest=case.manifest)
    assert left_in(tmp_path) == ["net.onnx"]


def test_a_manifest_made_for_a_runtime_opens_in_it(tmp_path: Path, case: Case):
    from dataclasses import replace

    meant = replace(case.manifest, budget={"max_latency_ms": 2.0, "runtime": "openvino"})
    assert resolve_runtime(export(case.net, tmp_path / "net.onnx", manifest=meant).path) == "openvino"


class Unknown(nn.Module):
    """An operator that ONNX does not have."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.special.bessel_j0(x).mean((2, 3))


class Branching(nn.Module):
    """A branch on a tensor's value."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3)) if x.sum() > 0 else x.amax((2, 3))


class Fixed(nn.Module):
    """A linear layer on the whole map."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3 * 40 * 48, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(x.flatten(1))


def test_what_cannot_be_exported_is_named(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
):
    with pytest.raises(BadInput, match=r"cannot export Unknown to ONNX: .*bessel_j0"):
        export(Unknown(), tmp_path / "net.onnx", input_size=SIZE)
    with pytest.raises(BadInput, match=r"cannot export Branching to ONNX: ") as caught:
        export(Branching(), tmp_path / "net.onnx", input_size=SIZE)
    assert "\n" not in str(caught.value)
    with pytest.raises(BadInput, match=r"Fixed cannot read images of shape \(3, 32, 32\)"):
        export(Fixed(), tmp_path / "net.onnx", input_size=SIZE, dynamic="size")
    assert left_in(tmp_path) == []
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")
    assert not [w for w in recwarn if "onnx" in str(w.filename)]


def test_bad_formats_get_one_sentence(tmp_path: Path, case: Case):
    for path, format, message in (
        ("net.onnx", "onx", "did you mean 'onnx'"),
        ("net.onnx", "openvino", "ends in .xml or has no suffix"),
        ("net.xml", "onnx", "ends in .onnx"),
    ):
        with pytest.raises(BadInput, match=message):
            export(case.net, tmp_path / path, format=format, manifest=case.manifest)
    with pytest.raises(BadInput, match="give manifest= or input_size="):
        export(case.net, tmp_path / "net.onnx")
    with pytest.raises(BadInput, match="cannot make the folder"):
        export(case.net, case.onnx.path / "net.onnx", manifest=case.manifest)


def test_a_name_exports_the_same_weights_each_time(tmp_path: Path):
    from pumice.deploy.network import load

    state = torch.random.get_rng_state()
    (one, said), (two, _) = load("squeezenet1_1"), load("squeezenet1_1")
    assert torch.equal(state, torch.random.get_rng_state())
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert relative_error(one(x).numpy(), two(x).numpy()) == 0
    assert said.model.name == "squeezenet1_1"


def test_metadata_of_other_makers(tmp_path: Path, case: Case):
    proto = read_onnx(case.onnx.path)
    del proto.metadata_props[:]
    (tmp_path / "foreign.onnx").write_bytes(proto.SerializeToString())
    assert read_manifest(tmp_path / "foreign.onnx") is None
    assert read_checked(tmp_path / "foreign.onnx") == {}
    proto.metadata_props.add(key="pumice", value="{not json")
    (tmp_path / "damaged.onnx").write_bytes(proto.SerializeToString())
    with pytest.raises(BadInput, match=r"manifest inside .* is damaged"):
        read_manifest(tmp_path / "damaged.onnx")
    (tmp_path / "net.pth").write_bytes(b"")
    with pytest.raises(BadInput, match="no model file"):
        read_metadata(tmp_path / "net.pth")


def test_export_reaches_the_public_name():
    assert pumice.export is export
    assert Exported.__dataclass_params__.frozen
    assert manifest().input_size == SIZE
