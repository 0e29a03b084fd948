"""Scripts that classify pictures in one runtime each.

All come from one text, so that every one prepares an image as `pumice.data.image.read_image` and
`pumice.data.preprocess.Preprocess` do; tests/deploy/test_package.py holds them to that, bit for bit.
"""

from dataclasses import dataclass
from importlib.metadata import packages_distributions, version
from string import Template

from pumice.deploy.formats import FORMATS
from pumice.errors import BadInput, nearest


@dataclass(frozen=True)
class Runner:
    """What is a runtime's own in its script.

    title: the runtime's name for people.
    format: written for it where a network is given.
    packages: that the script imports beside numpy and Pillow.
    opens: lines that import the runtime and open `$model`.
    answers: lines that turn the input `x` into the answer of a first pass, (1, classes).
    """

    title: str
    format: str
    packages: tuple[str, ...]
    opens: str
    answers: str

    @property
    def main(self) -> str:
        """Its file in the folder, of the format that is written for it."""
        return main_of(self.format)


RUNNERS = {
    "onnxruntime": Runner(
        "ONNX Runtime",
        "onnx",
        ("onnxruntime",),
        """os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # asked while it is imported
import onnxruntime

session = onnxruntime.InferenceSession(str(HERE / "$model"), providers=["CPUExecutionProvider"])""",
        "return session.run(None, {session.get_inputs()[0].name: x})[0]",
    ),
    "openvino": Runner(
        "OpenVINO",
        "openvino",
        ("openvino",),
        """import openvino

# Without the hint some processors compute with fewer bits than the file says.
compiled = openvino.Core().compile_model(str(HERE / "$model"), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})""",
        "return compiled(x)[0]",
    ),
    "litert": Runner(
        "LiteRT",
        "litert",
        ("ai_edge_litert",),
        """from ai_edge_litert.interpreter import Interpreter

interpreter = Interpreter(model_path=str(HERE / "$model"))
interpreter.allocate_tensors()""",
        """interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])""",
    ),
    "executorch": Runner(
        "ExecuTorch",
        "executorch",
        ("executorch", "torch"),  # its Python package passes tensors of torch's
        """import torch
from executorch.runtime import Runtime

program = Runtime.get().load_program(HERE / "$model")
method = program.load_method("forward")""",
        "return method.execute([torch.from_numpy(np.ascontiguousarray(x))])[0].numpy()",
    ),
    "ncnn": Runner(
        "ncnn",
        "ncnn",
        ("ncnn",),
        """import ncnn

network = ncnn.Net()
for kind in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_packed", "bf16_storage"):
    if hasattr(network.opt, f"use_{kind}"):
        setattr(network.opt, f"use_{kind}", False)  # the file is float32
network.load_param(str(HERE / "$model"))
network.load_model(str((HERE / "$model").with_suffix(".bin")))""",
        """extractor = network.create_extractor()
    extractor.input("in0", ncnn.Mat(x[0]))
    return np.array(extractor.extract("out0")[1])[None]""",
    ),
}

TEXT = Template('''"""Names what is on pictures, in $title, without Pumice.

    pip install -r requirements-$runtime.txt
    python run_$runtime.py photo.jpg
"""

import json
import os
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

HERE = Path(os.path.realpath(__file__)).parent
FEED = json.loads((HERE / "pumice.json").read_text(encoding="utf-8"))["preprocess"]
LABELS = (HERE / "labels.txt").read_text(encoding="utf-8").split("\\n")[:-1]

$opens


def run(x):
    """What the network answers to the input x: (1, classes), before the softmax."""
    $answers


def read(path):
    """The picture as RGB: upright, transparent parts on white."""
    image = ImageOps.exif_transpose(Image.open(path))
    if image.mode == "I" or image.mode.startswith("I;16"):
        image = Image.fromarray(np.rint(np.asarray(image) / 257.0).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def prepare(image):
    """The input for an RGB image: resized, cropped and, unless the network does that itself, normalised."""
    height, width = FEED["size"]
    resample = Image.Resampling[FEED["interpolation"].upper()]
    if FEED["resize"] == "stretch":
        image = image.resize((width, height), resample)
    else:
        scale = max(height / image.height, width / image.width) / FEED["crop_pct"]
        tall, wide = max(height, round(image.height * scale)), max(width, round(image.width * scale))
        top, left = (tall - height) // 2, (wide - width) // 2
        image = image.resize((wide, tall), resample).crop((left, top, left + width, top + height))
    pixels = np.asarray(image)
    if FEED.get("baked"):
        return pixels[None]
    if FEED["channels"] == "BGR":
        pixels = pixels[..., ::-1]
    planes = np.moveaxis(pixels, -1, 0).astype(np.float32, order="C")
    mean, std = (np.asarray(FEED[key], np.float32)[:, None, None] for key in ("mean", "std"))
    return ((planes / 255.0 - mean) / std)[None]


def classify(path, top=5):
    """(probability, label) of the most probable classes, the best first."""
    answer = run(prepare(read(path)))[0].astype(np.float64)
    powers = np.exp(answer - answer.max())
    probabilities = powers / powers.sum()
    return [(probabilities[i], LABELS[i]) for i in np.argsort(-probabilities, kind="stable")[:top]]


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: python run_$runtime.py PICTURE ...")
    for path in sys.argv[1:]:
        try:
            found = classify(path)
        except OSError as error:
            sys.exit(f"cannot read the picture {path}: {error}")
        print(path)
        for probability, label in found:
            print(f"{probability:8.4f}  {label}")
''')


def main_of(name: str) -> str:
    """Where the file of a format lies in the folder; ncnn's record would take the place of the folder's own."""
    form = FORMATS[name]
    return f"{name}/{form.main}" if name == "ncnn" else form.main or f"model{form.suffix}"


def runtime_named(name: str) -> str:
    """The runtime that a name means, its own or a format's that it reads first.

    Raises:
        BadInput: there is no script for it.
    """
    runtime = name if name in RUNNERS else FORMATS[name].runtimes[0] if name in FORMATS else name
    if runtime not in RUNNERS:
        hint = nearest(name, [*RUNNERS]) or "; choose " + ", ".join(RUNNERS)
        raise BadInput(f"a package has no script for {name!r}{hint}")
    return runtime


def script(runtime: str, model: str) -> str:
    """The text of `run_RUNTIME.py`.

    model: the file, relative to the folder.
    """
    runner = RUNNERS[runtime]
    opens = Template(runner.opens).substitute(model=model)
    return TEXT.substitute(runtime=runtime, title=runner.title, opens=opens, answers=runner.answers)


def requirements(runtime: str) -> str:
    """The text of `requirements-RUNTIME.txt`: the versions that are here, which the files were checked with."""
    known = packages_distributions()
    names = sorted({known[package][0] for package in ("numpy", "PIL", *RUNNERS[runtime].packages)}, key=str.lower)
    # A build for one kind of machine ("+cpu") is not in every index.
    return "".join(f"{name}=={version(name).split('+')[0]}\n" for name in names)
