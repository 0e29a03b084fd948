"""`pumice export --bake` and `--format package`, as a user types them."""

from pathlib import Path

import pytest

from pumice.deploy.session import open_session

NET = ["mobilenetv3_small_050", "--input", "3x32x32"]


def test_a_name_becomes_a_package(pumice, tmp_path: Path):
    said = pumice("export", *NET, "--format", "package", "--bake", "--out", tmp_path / "kit", "--json").json
    assert said["format"] == "package"
    assert said["models"] == {"onnxruntime": "model.onnx"}
    assert (tmp_path / "kit" / "run_onnxruntime.py").is_file()
    assert (tmp_path / "kit" / "labels.txt").read_text().split() == [str(i) for i in range(1000)]
    with open_session(tmp_path / "kit") as session:
        assert session.pixels
        assert session.input_size == (3, 32, 32)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--with", "onnx"], "--with is for --format package"),
        (["--format", "package", "--dynamic", "batch"], "leave --dynamic and --no-check out"),
        (["--format", "package", "--no-check"], "leave --dynamic and --no-check out"),
        (["--format", "package", "--with", "aoti"], "no script for 'aoti'"),
        (["--format", "web", "--bake"], "leave --bake out"),
    ],
)
def test_what_does_not_go_together_is_said(pumice, tmp_path: Path, words: list[str], sentence: str):
    said = pumice("export", *NET, *words, "--out", tmp_path / "kit")
    assert said.code == 2
    assert sentence in said.sentence
    assert list(tmp_path.iterdir()) == []


def test_formats_that_are_folders_are_known(pumice):
    assert "did you mean 'package'" in pumice("export", "micronet_m0", "--format", "pakage", "--out", "x").sentence
    said = pumice("export", "micronet_m0", "--format", "coreml", "--out", "x").sentence
    assert "executorch, ncnn, native, c, package, web, auto" in said
