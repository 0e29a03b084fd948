"""What .tflite files are like inside, and what a session says of those that it cannot run."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import pumice
from pumice.deploy.carried import read_manifest
from pumice.deploy.compare import relative_error
from pumice.deploy.export import Exported, export
from pumice.deploy.litert import LiteRtSession, write_litert
from pumice.deploy.network import frozen
from pumice.deploy.network_session import disagreement
from pumice.deploy.probes import probe_inputs
from pumice.deploy.session import open_session
from pumice.errors import BadInput
from tests.deploy.conftest import SIZE, manifest, settle, small_net

pytest.importorskip("ai_edge_litert")
pytest.importorskip("litert_torch")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return export(small_net(), tmp_path_factory.mktemp("litert") / "net.tflite", manifest=manifest())


def operators(file: Path) -> Counter[str]:
    """How often a file calls each operator."""
    from ai_edge_litert import schema_py_generated as schema

    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
    model = schema.Model.GetRootAs(file.read_bytes())
    graph = model.Subgraphs(0)
    codes = [model.OperatorCodes(i) for i in range(model.OperatorCodesLength())]
    calls = [codes[graph.Operators(i).OpcodeIndex()] for i in range(graph.OperatorsLength())]
    return Counter(names[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())] for code in calls)


def test_the_image_is_turned_once_and_convolutions_are_the_runtimes_own(written: Exported):
    called = operators(written.path)
    assert called["TRANSPOSE"] == 1
    assert (called["CONV_2D"], called["DEPTHWISE_CONV_2D"], called["FULLY_CONNECTED"]) == (4, 2, 1)
    assert called["HARD_SWISH"] == 2
    assert called["MUL"] == called["CUSTOM"] == called["STABLEHLO_COMPOSITE"] == 0  # norms are folded


def test_input_and_output_are_named(written: Exported):
    from ai_edge_litert.interpreter import Interpreter

    assert Interpreter(str(written.path)).get_signature_list() == {
        "serving_default": {"inputs": ["image"], "outputs": ["logits"]}
    }


def test_writing_and_opening_print_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    write_litert(frozen(small_net()), tmp_path / "net.tflite", SIZE)
    LiteRtSession(tmp_path / "net.tflite").run(np.zeros((1, *SIZE), np.float32))
    print("afterwards")
    assert capfd.readouterr() == ("afterwards\n", "")


def test_a_file_runs_without_torch(written: Exported):
    code = (
        "import sys, numpy as np\n"
        "from pumice.deploy.session import open_session\n"
        f"with open_session({str(written.path)!r}) as session:\n"
        f"    print(session.run(np.ones((1, *{SIZE}), np.float32)).shape, 'torch' in sys.modules)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (run.stdout, run.stderr) == ("(1, 5) False\n", "")


@pytest.mark.parametrize("off", [1, 30, 200])
def test_a_file_cut_short_behind_its_model_is_refused(written: Exported, tmp_path: Path, off: int):
    content = written.path.read_bytes()
    (tmp_path / "cut.tflite").write_bytes(content[:-off])
    with pytest.raises(BadInput, match=r"cut.tflite is cut short, what it says of itself is not whole"):
        open_session(tmp_path / "cut.tflite")


def test_a_file_of_another_maker_opens(written: Exported, tmp_path: Path):
    content = written.path.read_bytes()
    bare = tmp_path / "bare.tflite"
    bare.write_bytes(content[: content.index(b"PK\x03\x04")])
    assert read_manifest(bare) is None
    with open_session(bare) as session, open_session(written) as own:
        x = probe_inputs(2, SIZE, None)
        assert session.manifest is None
        assert np.array_equal(session.run(x), own.run(x))


def test_channels_last_files_are_refused_in_a_sentence(tmp_path: Path):
    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = small_net()

        def forward(self, x: Tensor) -> Tensor:
            return self.net(x.permute(0, 3, 1, 2))

    write_litert(Last().eval(), tmp_path / "last.tflite", (40, 48, 3))
    with pytest.raises(BadInput, match=r"last.tflite reads images with their channels last"):
        open_session(tmp_path / "last.tflite")


def test_what_the_converter_does_not_know_is_named_with_its_layer(tmp_path: Path):
    class Bessel(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.special.bessel_j1(x)

    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sequential(nn.ReLU(), Bessel()), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    sentence = "cannot export Sequential to LiteRT: it does not know the operator aten.special_bessel_j1 of layer 1.1"
    with pytest.raises(BadInput, match=sentence):
        export(net.eval(), tmp_path / "net.tflite", input_size=SIZE)
    assert list(tmp_path.iterdir()) == []


def test_a_quantised_file_says_so(written: Exported, tmp_path: Path):
    quantizer = pytest.importorskip("ai_edge_quantizer")
    worker = quantizer.quantizer.Quantizer(str(written.path))
    worker.load_quantization_recipe(quantizer.recipe.dynamic_wi8_afp32())
    (tmp_path / "int8.tflite").write_bytes(bytes(worker.quantize().quantized_model))
    with open_session(tmp_path / "int8.tflite") as session, open_session(written) as own:
        assert (session.dtype, own.dtype) == ("int8", "float32")
        x = probe_inputs(4, SIZE, None)
        assert relative_error(session.run(x), own.run(x)) < 0.1


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "micronet_m0",  # index_select, Dynamic Shift-Max
        "shufflenetv1_g3_025",
        "channelnet_v1_050",  # CONV_3D
        "condensenet50_cifar",  # selected inputs
        "weightnet_shufflenetv2_050",  # kernels made for each image
        "espnetv2_050",
    ],
)
def test_families_with_operators_of_their_own(name: str, tmp_path: Path):
    torch.manual_seed(0)
    size = (3, 32, 32) if "cifar" in name else (3, 64, 64)
    net = settle(pumice.create_model(name), size)
    write_litert(frozen(net), tmp_path / "net.tflite", size)
    assert disagreement(LiteRtSession(tmp_path / "net.tflite"), net, probe_inputs(4, size, None)) < 1e-4
