"""Files in the authors' own layouts become ours, and our networks then answer what theirs answered."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from official import inputs, sample, weights

from pumice.models.create import create_model
from pumice.models.families import variant
from pumice.models.weights import load_weights

FIXTURES = sorted((Path(__file__).parents[1] / "golden" / "official").glob("*.json"))
TOLERANCE = 1e-6  # of the difference between the outputs of the two inputs


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_our_net_answers_what_theirs_did(path: Path) -> None:
    fixture: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    ours = create_model(fixture["model"], **fixture["options"]).double().eval()
    load_weights(ours, weights(fixture["tensors"], fixture["seed"]), "official")
    with torch.no_grad():
        output = ours(inputs(fixture["seed"], tuple(fixture["size"])))
    output = output[..., :4] if variant(fixture["model"]).task == "detect" else output  # boxes
    assert list(output.shape) == fixture["shape"]
    theirs = torch.tensor(fixture["outputs"], dtype=torch.float64)
    moves = (theirs[0] - theirs[1]).abs().max()
    assert moves > 1e-6 * theirs.abs().max(), "a net that ignores its input shows nothing"
    assert (sample(output) - theirs).abs().max() <= TOLERANCE * moves
