import io
import json

import numpy as np
import pytest
from PIL import Image, ImageOps

from pumice.data.preprocess import Preprocess
from pumice.report import snippets
from pumice.report.reading import read_run
from pumice.report.records import RunRecords
from pumice.report.tables import card


def test_the_card_says_what_was_measured_and_how(make_run):
    run = read_run(make_run())
    text = card(run)
    assert text.startswith(f"# {run.model} at 3×")
    timing = run.benchmark
    said = f"{timing['runtime']}, cpu, 1 thread, batch 1, float32, 400 repeats; 95 % interval of the p50"
    assert f"| {timing['p50_ms']:.2f} ms | {said}" in text
    assert f"| {run.profile['params']:,} (" in text
    assert "**Within budget: yes.**" in text
    assert f"| latency | 3.00 ms | {timing['ci95'][1]:.2f} ms | yes |" in text
    assert "1. barn owl\n" in text
    assert "published top-1, percent: 67.5" in text
    assert "- note: a note on naming" in text
    assert "Apache License 2.0" in text
    assert "None" not in text.replace("[None]", "").replace("run(None,", "")


def test_a_busy_machine_and_borrowed_weights_are_said(make_run):
    folder = make_run(busy=True)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"weights": "theirs.safetensors"}))
    text = card(read_run(folder))
    assert "The machine was busy" in text
    assert "process CPU time" in text
    assert "Training started from theirs.safetensors, whose licence applies too." in text


def test_a_card_of_little(make_run):
    text = card(RunRecords("young", config={"model": "micronet_m0", "data": "digits"}))
    assert text.startswith("# micronet_m0\n")
    assert "## Numbers" not in text
    assert "None" not in text


def test_names_do_not_break_the_tables(make_run):
    text = card(read_run(make_run(classes=("a|b", "<script>x</script>", "two\nlines"))))
    assert "<script>" not in text
    assert "| a\\|b |" in text
    assert "2. two lines\n" in text


@pytest.mark.parametrize("shape", [(120, 160), (160, 120), (97, 301), (64, 64)])
@pytest.mark.parametrize("crop_pct", [1.0, 0.875])
def test_the_lines_without_pumice_see_what_pumice_sees(shape, crop_pct):
    """The resize and crop of the snippet, on a smooth photo: within half a pixel's worth of grey levels."""
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]]
    waves = [np.sin(x / 17 + c) + np.cos(y / 13 - c) for c in range(3)]
    photo = Image.fromarray(np.uint8(128 + 60 * np.stack(waves, -1)))
    preprocess = Preprocess(size=(64, 64), crop_pct=crop_pct)
    manifest = {"preprocess": preprocess.to_json(), "classes": ["a", "b"]}
    lines = snippets.with_onnxruntime(RunRecords("r", metrics={"file": "model.onnx", "manifest": manifest}))
    got = run_lines(lines, photo)
    assert got.shape == (1, 3, 64, 64)
    assert got.dtype == np.float32
    want = preprocess(photo)[None]
    slope = np.abs(np.diff(want, axis=-1)).max() + np.abs(np.diff(want, axis=-2)).max()
    assert np.abs(got - want).max() <= 0.5 * slope + 0.02
    assert np.abs(got - want).mean() <= 0.02 + 0.1 * slope


def run_lines(lines: str, photo: Image.Image) -> np.ndarray:
    """What the snippet would give to the network; the lines themselves run, only the files are replaced."""
    seen = {}

    class Session:
        def __init__(self, file):
            assert file == "model.onnx"

        def get_modelmeta(self):
            return type("Meta", (), {"custom_metadata_map": {"pumice": json.dumps({"classes": ["a", "b"]})}})

        def get_inputs(self):
            return [type("Input", (), {"name": "images"})]

        def run(self, names, feeds):
            seen.update(feeds)
            return [np.array([[0.0, 1.0]])]

    buffer = io.BytesIO()
    photo.save(buffer, "PNG")
    kept = [line for line in lines.splitlines() if not line.startswith(("import", "from"))]
    fake = type("ort", (), {"InferenceSession": Session})
    opener = type("Opener", (), {"open": lambda name: Image.open(buffer), "Resampling": Image.Resampling})
    printed = []
    names = {
        "json": json,
        "np": np,
        "onnxruntime": fake,
        "Image": opener,
        "ImageOps": ImageOps,
        "print": printed.append,
    }
    exec("\n".join(kept), names)
    assert printed == ["b"]
    return seen["images"]


def test_lines_depend_on_the_file():
    preprocess = Preprocess(channels="BGR").to_json()
    run = RunRecords("r", metrics={"file": "model.onnx", "preprocess": preprocess})
    assert "[..., ::-1]" in snippets.with_onnxruntime(run)
    assert snippets.with_onnxruntime(RunRecords("r", metrics={"file": "model.xml", "preprocess": preprocess})) is None
    assert snippets.with_onnxruntime(RunRecords("r", metrics={"file": "model.onnx"})) is None
    assert '"best.safetensors"' in snippets.with_pumice(RunRecords("r", files={"best.safetensors": 9}))


def test_a_prediction_says_one_figure(make_run):
    folder = make_run()
    timing = json.loads((folder / "benchmark.json").read_text())
    (folder / "benchmark.json").write_text(json.dumps(timing | {"predicted": True, "repeats": 0}))
    text = card(read_run(folder))
    low, high = timing["ci95"]
    assert (
        f"| latency | {timing['p50_ms']:.2f} ms | {timing['runtime']}, cpu, 1 thread, batch 1, float32, predicted, not "
        f"measured; 95 % interval of the prediction {low:.2f} ms to {high:.2f} ms |"
    ) in text
    assert "**Latency is predicted, not measured**, by a lookup table of: Example CPU" in text
    assert "upper 95 % bound of the latency that a table predicts, not measured" in text
    for never in ("latency p90", "process CPU time", "Measured on", "| measured |"):
        assert never not in text
