"""Compound scaling: the grid, the bookkeeping of scaled networks, and a search that goes on after a stop."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from pumice.errors import BadInput
from pumice.models.catalogue import entry
from pumice.models.convnet import ConvNet
from pumice.models.create import create_model
from pumice.models.depth import deeper
from pumice.models.efficientnet import SCALES
from pumice.models.families import spec_of
from pumice.models.spaces.space import Choice
from pumice.models.spec import NetSpec
from pumice.search.costs import MAdds, Params
from pumice.search.objective import Called
from pumice.search.scaling import PAPER, Coefficients, Scaled, grid, scaled, scaling
from pumice.train.config import TrainConfig

RELEASED = (5.289, 7.794, 9.110, 12.233, 19.342, 30.390, 43.041, 66.348)  # M parameters of B0 to B7


def chain(name: str, **options: Any) -> NetSpec:
    spec = spec_of(name, options)
    assert isinstance(spec, NetSpec)
    return spec


# ---- depth


@pytest.mark.parametrize("name", ["efficientnet_b0", "mobilenetv2_100"])
@pytest.mark.parametrize("depth", [1.0, 1.1, 1.4, 1.8, 3.1])
def test_depth_for_all_is_the_rule_of_those_who_have_one(name: str, depth: float) -> None:
    assert deeper(chain(name), depth).rows == chain(name, depth=depth).rows


def test_depth_of_families_without_a_rule() -> None:
    strides = [row.stride for row in chain("mobilenetv1_100", depth=1.5).rows]
    # table 1's stages have 1, 2, 2, 6 and 2 units
    assert strides == [2, 1, 1, 2, 1, 1, 2, 1, 1, 2, *[1] * 8, 2, 1, 1]
    rows = chain("shufflenetv2_100", depth=1.5).rows
    assert [row.stride for row in rows] == [2, 2, 2, *[1] * 5, 2, *[1] * 11, 2, *[1] * 5, 1]
    for name in ("micronet_m2", "shufflenetv1_g3_100"):
        deep, plain = chain(name, depth=1.6), chain(name)
        assert len(deep.rows) > len(plain.rows), name
        assert deep.reductions()[-1] == plain.reductions()[-1], name
        assert deeper(plain, 1.0).rows == plain.rows, name
        with torch.device("meta"):
            net = ConvNet(deep).eval()
            assert net(torch.zeros(1, 3, 224, 224)).shape == (1, 1000), name


@pytest.mark.parametrize(
    ("name", "depth", "words"),
    [
        ("peleenet", 1.5, "no rows that can stand twice"),
        ("mobilenetv1_100_full", 1.5, "no rows that can stand twice"),
        ("espnet_c_p2_q3", 1.5, "depth must be left out, as this net is no chain of rows"),
        ("mobilenetv1_100", 0, "depth must be a number above 0"),
    ],
)
def test_nets_without_depth_say_so(name: str, depth: float, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        create_model(name, depth=depth)


# ---- the grid and the bookkeeping


def test_the_grid_holds_what_doubles_the_cost() -> None:
    found = grid()
    assert len(found) == len(set(found)) == 75
    assert PAPER in found
    assert all(1 <= min(c.at(1)) <= max(c.at(1)) <= 1.4 for c in found)
    assert all(abs(c.alpha * c.beta**2 * c.gamma**2 - 2) < 0.1 + 1e-6 for c in found)
    assert not [c for c in found if c == Coefficients(1.0, 1.0, 1.35)], "1.82 is too little"
    with pytest.raises(BadInput, match="give steps such as"):
        grid(0.5)
    with pytest.raises(BadInput, match="give finer steps"):
        grid(0.3)


def test_scaled_nets_cost_what_their_rounded_sizes_ask_for() -> None:
    """B0 has stages of 1 to 4 blocks, whose repeats round up: at phi = 1 it has 23 blocks for 16, not 1.2 times 16."""
    rows = scaled("efficientnet_b0", (0, 1, 2))
    assert [row.side for row in rows] == [224, 258, 296]
    assert [round(row.width, 3) for row in rows] == [1.0, 1.1, 1.21]
    assert [row.rows - 2 for row in rows] == [16, 23, 26]
    assert (rows[0].madds, rows[0].growth, rows[0].params) == (entry("efficientnet_b0").madds, 1.0, 5_288_548)
    for row in rows:
        assert row.growth == pytest.approx((row.rows - 2) / 16 * (1.1**2 * 1.15**2) ** row.phi, rel=0.14)
        assert row.asked == 2**row.phi <= row.growth * 1.0001


@pytest.mark.parametrize("i", range(8))
def test_released_efficientnets(i: int) -> None:
    """The released coefficients are rounded by hand; under them B0 becomes the released nets."""
    width, depth, size, _ = SCALES[f"b{i}"]
    as_b0, listed = Scaled("efficientnet_b0", [Coefficients(depth, width, size / 224)]), entry(f"efficientnet_b{i}")
    assert Params(as_b0).of((0,)) == listed.params == pytest.approx(RELEASED[i] * 1e6, abs=500)
    assert MAdds(as_b0).of((0,)) == listed.madds
    assert as_b0.image_of((0,)) == (size, size)


def test_what_rounds_to_one_net_is_tried_once() -> None:
    space = Scaled("mobilenetv2_100", grid(), side=32)
    specs = [(space.spec((i,)), space.image_of((i,))) for i in range(len(space.coefficients))]
    assert len(set(specs)) == len(specs) <= 75
    name, options = space.network((3,))
    with torch.device("meta"):
        net = create_model(name, **options)
    assert sum(p.numel() for p in net.parameters()) == Params(space).of((3,))


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("timm:resnet18", "no classifier made of rows"),
        ("espnetv2_100", "no classifier made of rows"),
        ("squeezenet1_1", "no option width"),
        ("mobilnetv2_100", "did you mean"),
    ],
)
def test_what_cannot_be_scaled(model: str, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        Scaled(model, [PAPER])


# ---- the search


def toy(asked: list[Choice], stop: int | None = None) -> Called:
    """Best for the widest of the nets; stops like a killed process."""
    space = Scaled("mobilenetv2_035", grid(0.2), side=32)

    def accuracy(choice: Choice) -> float:
        if stop is not None and len(asked) == stop:
            raise KeyboardInterrupt
        asked.append(choice)
        return space.coefficients[choice[0]].beta / 2

    return Called(accuracy)


def test_a_search_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    config = TrainConfig(img_size=32)
    settings: dict[str, Any] = {"phi": (1, 2), "step": 0.2, "num_classes": 10}
    first: list[Choice] = []
    with pytest.raises(KeyboardInterrupt):
        scaling("mobilenetv2_035", config, out=tmp_path / "a", objective=toy(first, stop=2), **settings)
    rest: list[Choice] = []
    resumed = scaling("mobilenetv2_035", config, out=tmp_path / "a", objective=toy(rest), **settings)
    whole: list[Choice] = []
    record = scaling("mobilenetv2_035", config, out=tmp_path / "b", objective=toy(whole), **settings)
    assert [*first, *rest] == whole == [(i,) for i in range(len(whole))]
    plain = [{k: v for k, v in row.items() if k != "seconds"} for row in record["trials"]]
    assert plain == [{k: v for k, v in row.items() if k != "seconds"} for row in resumed["trials"]]
    assert record == json.loads((tmp_path / "b" / "scaling.json").read_text())
    widest = max(row["beta"] for row in record["trials"])
    assert record["best"]["beta"] == widest
    cheapest = min((r for r in record["trials"] if r["beta"] == widest), key=lambda r: r["madds"])
    assert record["best"]["gamma"] == cheapest["gamma"], "of equal accuracies the cheapest"
    for row in record["scaled"]:
        file = json.loads((tmp_path / "b" / f"phi-{row['phi']}.json").read_text())
        assert (file["model"], file["num_classes"], file["input_size"][1]) == ("mobilenetv2_035", 10, row["side"])
        net = create_model(str(tmp_path / "b" / f"phi-{row['phi']}.json"))
        assert sum(p.numel() for p in net.parameters()) == row["params"]
    with pytest.raises(BadInput, match="a search with other settings"):
        scaling("mobilenetv2_035", config, out=tmp_path / "b", seed=1, objective=toy([]), **settings)


def test_real_short_trainings(tmp_path: Path) -> None:
    fields: dict[str, Any] = {"epochs": 1, "batch_size": 64, "warmup_epochs": 0.0, "img_size": 16, "crop_pct": 1.0}
    config = TrainConfig(**fields, model_options={"width": 0.125}, bn_momentum=0.1)
    said: list[str] = []
    record = scaling("mobilenetv1_025", config, phi=(1,), out=tmp_path, step=0.4, images=300, said=said.append)
    assert len(record["trials"]) == len(said) == 2
    assert all(0 < row["accuracy"] < 1 for row in record["trials"])
    (row,) = record["scaled"]
    assert row["madds"] in [trial["madds"] for trial in record["trials"]]
