"""Short trainings that judge choices: the same ones every time, on images held out of the training images."""

from typing import Any

import pytest
import torch

from pumice.data.digits import open_digits
from pumice.data.images import Splits
from pumice.errors import BadInput
from pumice.models.create import create_model
from pumice.models.fbnet_blocks import IR, Skip
from pumice.models.heads import PoolLinear
from pumice.models.rows import Conv
from pumice.models.spaces import names
from pumice.models.spaces.space import Choice, Position, Space
from pumice.models.spec import NetSpec
from pumice.search.proxy import ProxyTraining, of_classes
from pumice.tasks.classify import evaluate
from pumice.train.config import TrainConfig


class Mini(Space):
    """Two layers, and a learning rate."""

    name = "mini"
    image = (16, 16)
    num_classes = 10
    positions = (
        Position("layer 1", ("skip", "e2")),
        Position("layer 2", ("e2", "e4")),
        Position("recipe lr", ("0.02", "0", "1e30")),
    )

    def __init__(self, width: float = 1.0) -> None:
        self.width = width

    def spec(self, choice: Choice) -> NetSpec:
        out = round(16 * self.width)
        first = (Skip(out, 2), IR(3, out, 2, 2))[choice[0]]
        return NetSpec((Conv(3, out, 2, "RE"), first, IR(3, 2 * out, 2, (2, 4)[choice[1]])), PoolLinear())

    def recipe(self, choice: Choice) -> dict[str, Any]:
        return {"lr": (0.02, 0.0001, 1e30)[choice[2]]}


@pytest.fixture(autouse=True)
def _mini(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(names.SPACES, "mini", f"{__name__}:Mini")
    monkeypatch.setattr(names, "import_module", lambda name: __import__("types").SimpleNamespace(Mini=Mini))
    torch.set_num_threads(1)


def proxy(seed: int = 0, space: Space | None = None, **given: Any) -> ProxyTraining:
    settings = {"epochs": 2, "batch_size": 64, "warmup_epochs": 0.0, "hflip": 0.0, "rrc_scale": (0.7, 1.0)}
    config = TrainConfig(**{**settings, "crop_pct": 1.0, "color_jitter": 0.0, **given.pop("config", {})})
    return ProxyTraining(space or Mini(), config, seed=seed, **{"images": 700, **given})


def never(epoch: int, accuracy: float) -> bool:
    return False


def test_an_accuracy_is_a_function_of_seed_and_choice() -> None:
    first = proxy()
    told: list[tuple[int, float]] = []
    torch.manual_seed(1)
    one = first.accuracy((1, 0, 0), lambda *seen: bool(told.append(seen)))
    torch.manual_seed(2)
    other = first.accuracy((0, 0, 0), never)
    again = proxy().accuracy((1, 0, 0), never)
    assert one == again == told[-1][1] > 0.3, "it learns: one in ten would be chance"
    assert [epoch for epoch, _ in told] == [1, 2]
    configs = [p.config_of(c) for p, c in ((first, (1, 0, 0)), (first, (0, 0, 0)), (proxy(seed=1), (1, 0, 0)))]
    assert len({config.seed for config in configs}) == 3
    assert other != one


def test_it_is_judged_on_held_out_training_images() -> None:
    objective = proxy(images=None)
    whole, splits = open_digits(seed=0), objective.splits
    assert not {*splits.val.names} & {*splits.train.names}
    assert {*splits.val.names, *splits.train.names} == {*whole.train.names}
    assert len(splits.val) == pytest.approx(0.2 * len(whole.train), abs=5)
    assert {*splits.val.labels} == set(range(10))
    objective = proxy()
    net, top1 = objective.trained((1, 1, 0), never)
    judged = evaluate(net, net.preprocess, objective.splits.val)  # type: ignore[arg-type]
    assert judged.top1 == pytest.approx(top1, abs=1e-9)


def test_part_of_the_images_and_classes() -> None:
    splits = proxy(images=300, classes=3, seed=5).splits
    assert len(splits.train) + len(splits.val) == pytest.approx(300, abs=3)
    assert len(splits.classes) == 3
    whole = open_digits(seed=5).train
    of = dict(zip(whole.names, whole.labels, strict=True))
    for name, label in zip(splits.val.names, splits.val.labels, strict=True):
        assert whole.classes[of[name]] == splits.classes[label]
    two = of_classes(whole, [7, 2])
    assert two.classes == ("7", "2")
    assert {of[name] for name, label in zip(two.names, two.labels, strict=True) if label == 0} == {7}
    with pytest.raises(BadInput, match="11 classes is impossible"):
        _ = proxy(classes=11).splits
    with pytest.raises(BadInput, match="too few to hold some out"):
        _ = proxy(splits=Splits("x", whole.subset([0]), whole.subset([1]))).splits


def test_a_report_may_stop_it() -> None:
    told = []

    def stop(epoch: int, accuracy: float) -> bool:
        told.append(accuracy)
        return True

    assert proxy(config={"epochs": 4}).accuracy((1, 0, 0), stop) == told[0]
    assert len(told) == 1


def test_a_choice_sets_its_recipe_and_its_options() -> None:
    objective = proxy(space=Mini(width=0.5))
    config = objective.config_of((1, 0, 1))
    assert (config.lr, config.img_size, config.model) == (0.0001, 16, "space:mini")
    assert config.model_options == {"width": 0.5, "choice": [1, 0, 1]}
    assert proxy(config={"img_size": 24}).config_of((1, 0, 1)).img_size == 24
    net, slow = objective.trained((1, 0, 1), never)
    assert net.state_dict().keys() == create_model("space:mini", **config.model_options).state_dict().keys()
    assert slow < objective.accuracy((1, 0, 0), never)


def test_a_training_that_diverges_is_worth_nothing() -> None:
    assert proxy().accuracy((1, 0, 2), never) == 0.0
