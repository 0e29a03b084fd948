"""FBNetV3's joint space: a published network is one of its choices, and a recipe is fields of TrainConfig."""

from dataclasses import replace

import numpy as np
import torch

from pumice.models.convnet import ConvNet
from pumice.models.fbnet_blocks import IR
from pumice.models.fbnet_v3 import A
from pumice.models.spaces.fbnet_v3 import DECISIONS, RECIPE, FBNetV3Space
from pumice.models.spaces.recipe import PREFIX
from pumice.train.config import TrainConfig

# kernel, channels, depth, further kernel, expansion, further expansion
NET_A = {
    "side": 224,
    "stem channels": 16,
    "stage 1": (3, 16, 2),
    "stage 2": (5, 24, 4, 5, 4, 2),
    "stage 3": (5, 40, 5, 5, 5, 3),
    "stage 4": (5, 72, 5, 3, 5, 3),
    "stage 5": (3, 120, 6, 5, 5, 3),
    "stage 6": (3, 184, 6, 5, 6, 4),
    "stage 7": (5, 224),
}
NAMES = ("kernel", "channels", "depth", "further kernel", "expansion", "further expansion")


def choice_of_a() -> tuple[int, ...]:
    values = {}
    for name, value in NET_A.items():
        if isinstance(value, int):
            values[name] = value
        else:
            values |= {f"{name} {of}": v for of, v in zip(NAMES, value, strict=False)}
    assert values.keys() == DECISIONS.keys()
    return (*(DECISIONS[name].index(values[name]) for name in DECISIONS), *(0 for _ in RECIPE))


def test_fbnet_v3_a_is_a_choice() -> None:
    """But for its odd paddings."""
    even = tuple(replace(row, padding=None) if isinstance(row, IR) else row for row in A)
    assert FBNetV3Space().spec(choice_of_a()).rows == even


def test_random_choices_run_at_their_size() -> None:
    space, rng = FBNetV3Space(width=0.25), np.random.default_rng(0)
    sides = set()
    for choice in (space.random(rng) for _ in range(2)):
        height, width = space.image_of(choice)
        sides.add(height)
        net = ConvNet(space.spec(choice), num_classes=5).eval()
        with torch.no_grad():
            assert net(torch.zeros(1, 3, height, width)).shape == (1, 5)
    assert len(sides) > 1


def test_recipes_are_fields_of_a_training() -> None:
    space, rng = FBNetV3Space(), np.random.default_rng(1)
    last = tuple(len(position.options) - 1 for position in space.positions)
    assert space.recipe(last) == {
        "lr": 0.03,
        "optimizer": "sgd",
        "ema_decay": 0.99985,
        "drop_rate": 0.4,
        "drop_path_rate": 0.31,
        "mixup": 0.41,
        "weight_decay": 21e-6,
    }
    for choice in (space.random(rng) for _ in range(20)):
        TrainConfig(**space.recipe(choice))
    assert [p.name for p in space.positions[-len(RECIPE) :]] == [PREFIX + setting.field for setting in RECIPE]
    assert 1e6 < np.prod([len(setting.values) for setting in RECIPE]) < 1e8  # the paper says about 10^7
