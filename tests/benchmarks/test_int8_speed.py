"""8-bit files open and run, and are smaller; nothing more is asked of them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from int8_speed import quantise

from pumice.deploy.direct import write_direct
from pumice.deploy.session import open_session
from pumice.models.create import create_model


@pytest.mark.slow  # nncf alone takes ten seconds to import
@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_quantised_files_run(tmp_path: Path, runtime: str) -> None:
    torch.manual_seed(0)
    file = tmp_path / "model.onnx"
    write_direct(create_model("mobilenetv2_035").eval(), file, (3, 64, 64))
    x = np.random.default_rng(0).standard_normal((1, 3, 64, 64), dtype=np.float32)
    with open_session(quantise(file, runtime, (3, 64, 64)), runtime=runtime) as session:
        out = session.run(x)
        assert out.shape == (1, 1000)
        assert out.std() > 0
        assert session.file_bytes is not None
        assert session.file_bytes < 0.5 * file.stat().st_size
