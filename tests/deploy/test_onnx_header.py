"""The header of an .onnx file, against what the onnx package reads from the same bytes."""

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from pumice.deploy.onnx_header import Header, Input, read_header
from pumice.errors import BadInput
from tests.deploy.conftest import Case


def write(path: Path, shape: list[int | str | None], metadata: dict[str, str], *, old: bool = False) -> onnx.ModelProto:
    """A graph that adds a weight to its input; `old` lists the weight among the inputs, as exporters once did."""
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)
    weight = helper.make_tensor("weight", TensorProto.FLOAT, [1], [2.5])
    listed = [helper.make_tensor_value_info("weight", TensorProto.FLOAT, [1]), image] if old else [image]
    node = helper.make_node("Add", ["image", "weight"], ["sum"])
    out = helper.make_tensor_value_info("sum", TensorProto.FLOAT, shape)
    model = helper.make_model(helper.make_graph([node], "graph", listed, [out], [weight]))
    helper.set_model_props(model, metadata)
    onnx.save(model, str(path))
    return model


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("shape", [[1, 3, 224, 224], ["batch", 3, "height", "width"], [None, 3, 300, 1], [7], []])
def test_inputs_and_properties(tmp_path: Path, shape: list[int | str | None], old: bool) -> None:
    metadata = {"pumice": '{"long": "' + "é" * 300 + '"}', "empty": ""}
    write(tmp_path / "net.onnx", shape, metadata, old=old)
    dims = tuple("" if dim is None else dim for dim in shape)
    assert read_header(tmp_path / "net.onnx") == Header((Input("image", dims),), tuple(metadata.items()))


def test_a_file_of_ours_says_what_onnx_reads(case: Case) -> None:
    proto = onnx.load(str(case.onnx.path))
    header = read_header(case.onnx.path)
    assert dict(header.metadata) == {entry.key: entry.value for entry in proto.metadata_props}
    assert {"pumice", "pumice_checked"} <= dict(header.metadata).keys()
    assert header.inputs == (Input("image", (1, 3, 40, 48)),)


def refused(file: Path) -> bool:
    try:
        read_header(file)
    except BadInput:
        return True
    return False


def test_no_part_of_a_file_passes_for_one(tmp_path: Path) -> None:
    whole = write(tmp_path / "net.onnx", [1, 3, 8, 8], {}).SerializeToString()
    torn = tmp_path / "torn.onnx"
    for length in range(len(whole)):
        torn.write_bytes(whole[:length])
        assert refused(torn), length
    torn.write_bytes(whole)
    assert not refused(torn)


def test_other_bytes_are_refused(tmp_path: Path) -> None:
    for number, data in enumerate((b"", b"\xff" * 40, b"\x08\x07", b"<html>", b"\x3a\x00\x42\x02\x10\x14")):
        file = tmp_path / f"{number}.onnx"
        file.write_bytes(data)
        with pytest.raises(BadInput, match="is not an ONNX model; export it again"):
            read_header(file)
