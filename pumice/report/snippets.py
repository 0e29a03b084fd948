"""How to load the file of a run: with Pumice, and with ONNX Runtime, numpy and Pillow alone; how to train it again."""

import json
import shlex
from collections.abc import Sequence

from pumice.report.records import RunRecords
from pumice.report.units import plain

METADATA_KEY = "pumice"
"""Where an exported file keeps its manifest (`pumice.deploy.carried`, which needs torch to be imported)."""


def with_pumice(run: RunRecords) -> str:
    """Lines for someone who has Pumice; the file itself carries preprocessing and classes."""
    if run.dense:
        return (
            "from pumice.data.open import open_images\n"
            "from pumice.deploy.session import open_session\n"
            "from pumice.tasks.predict import predict\n"
            "\n"
            f"with open_session({json.dumps(run.file or 'model.onnx')}) as session:\n"
            '    for answer in predict(session, open_images("photo.jpg")):\n'
            "        print(answer.found.to_json())\n"
            '        answer.found.drawn(answer.image).save("found.jpg")\n'
        )
    return (
        "from pumice.data.image import read_image\n"
        "from pumice.deploy.session import open_session\n"
        "\n"
        f"session = open_session({json.dumps(run.file or 'model.onnx')})\n"
        'x = session.manifest.preprocess(read_image("photo.jpg"))[None]\n'
        "print(session.manifest.classes[session.run(x).argmax()])\n"
    )


def commands(run: RunRecords, prompt: str = "") -> str:
    """The verbs that read the file, a line each."""
    file = shlex.quote(run.file or "model.onnx")
    lines = [f"pumice predict photos/ --model {file}" + (" --out found/" if run.dense else "")]
    lines += [f"pumice val {file} {shlex.quote(run.data)}"] if run.data else []
    lines += ["pumice export . --out model.onnx"] if file.endswith(".safetensors") else []
    return "".join(f"{prompt}{line}\n" for line in lines)


def train_again() -> str:
    """Lines that train again with the settings of a run folder."""
    return (
        "import json\n"
        "from pathlib import Path\n"
        "from pumice.train.config import TrainConfig\n"
        "from pumice.train.run import train\n"
        "\n"
        'settings = json.loads(Path("config.json").read_text(encoding="utf-8"))\n'
        'train(TrainConfig.from_json(settings), "again")\n'
    )


def with_onnxruntime(run: RunRecords) -> str | None:
    """Lines for someone who has not; None when the file is no ONNX file or its preprocessing was not recorded.

    `ImageOps.fit` with a bleed is the resize and centre crop of `Preprocess`, up to the rounding of the resized size.
    """
    p = run.preprocess
    if run.dense or not (run.file or "").endswith(".onnx") or not all(p.get(key) for key in ("size", "mean", "std")):
        return None
    height, width = p["size"]
    bleed = (1 - p.get("crop_pct", 1)) / 2
    filters = str(p.get("interpolation", "bicubic")).upper()
    swap = "[..., ::-1]" if p.get("channels") == "BGR" else ""
    return (
        "import json, numpy as np, onnxruntime\n"
        "from PIL import Image, ImageOps\n"
        f"session = onnxruntime.InferenceSession({json.dumps(run.file)})\n"
        f'classes = json.loads(session.get_modelmeta().custom_metadata_map[{json.dumps(METADATA_KEY)}])["classes"]\n'
        f"mean, std = {_floats(p['mean'])}, {_floats(p['std'])}\n"
        "\n"
        'photo = ImageOps.exif_transpose(Image.open("photo.jpg")).convert("RGB")\n'
        f"photo = ImageOps.fit(photo, ({width}, {height}), Image.Resampling.{filters}, bleed={plain(bleed)})\n"
        f"x = ((np.float32(photo){swap} / 255 - mean) / std).transpose(2, 0, 1)[None]\n"
        "print(classes[session.run(None, {session.get_inputs()[0].name: x})[0].argmax()])\n"
    )


def _floats(values: Sequence[float]) -> str:
    return f"np.float32([{', '.join(plain(v) for v in values)}])"
