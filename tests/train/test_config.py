"""The configuration: JSON, overrides, and what it refuses."""

import json
import subprocess
import sys
from dataclasses import FrozenInstanceError, fields

import pytest

from pumice.errors import BadInput
from pumice.train.config import TrainConfig
from pumice.train.settings import SECTIONS, settings


def test_json_round_trip() -> None:
    config = TrainConfig(model_options={"width": 0.6}, freeze=2, rrc_scale=(0.5, 1.0), ema_decay=0.99)
    again = TrainConfig.from_json(json.loads(json.dumps(config.to_json())))
    assert again == config
    assert isinstance(again.rrc_scale, tuple)


def test_it_is_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        TrainConfig().lr = 1.0  # type: ignore[misc]


def test_every_field_is_in_one_section() -> None:
    members = [name for section in SECTIONS.values() for name in section]
    assert len(members) == len(set(members))
    assert set(members) == {f.name for f in fields(TrainConfig)} - {
        "model_options",
        "task_options",
        "recipe",
        "published",
    }


def test_overrides_set_fields_by_section_and_pass_options_to_the_network() -> None:
    got = TrainConfig(model_options={"a": 1}).with_overrides(
        [
            "train.lr=0.1",
            "optim.momentum=0",
            "model.width=0.6",
            "model.name=micronet_m0",
            "epochs=3",
            "augment.rrc_scale=[0.5,1]",
            "train.precision=32",
            "model.freeze=none",
            "optim.grad_clip=none",
            "augment.auto_augment=rand-m7",
            "strict=true",
            "train.devices=auto",
            "optim.milestones=[1,2.5,3]",
            "augment.color_jitter=[0.1,0,0.5]",
            "data.mean=none",
        ]
    )
    assert (got.lr, got.momentum, got.model, got.epochs) == (0.1, 0.0, "micronet_m0", 3)
    assert got.model_options == {"a": 1, "width": 0.6}
    assert (got.rrc_scale, got.precision, got.freeze, got.grad_clip) == ((0.5, 1.0), "32", "none", None)
    assert (got.milestones, got.color_jitter, got.mean) == ((1.0, 2.5, 3.0), (0.1, 0.0, 0.5), None)
    assert (got.auto_augment, got.strict, got.devices) == ("rand-m7", True, "auto")


def test_the_input_may_be_no_square() -> None:
    sizes = [TrainConfig().with_overrides([f"img_size={text}"]).size for text in ("96", "[64,96]", "64x96", "none")]
    assert sizes == [(96, 96), (64, 96), (64, 96), None]


@pytest.mark.parametrize(
    ("pair", "words"),
    [
        ("train.lrr=0.1", "did you mean 'train.lr'"),
        ("epoch=3", "did you mean 'epochs'"),
        ("lr", "lr=VALUE"),
        ("lr=fast", "not a number"),
        ("epochs=2.5", "not a whole number"),
        ("epochs=true", "not a whole number"),
        ("schedule=cosin", "cosine or step or constant"),
        ("strict=3", "true or false"),
        ("epochs=0", "at least 1"),
        ("batch_size=1", "at least 2"),
        ("lr=-1", "above 0"),
        ("lr=NaN", "not a number"),
        ("rrc_scale=[1,0.5]", "rising"),
        ("label_smoothing=1", r"in \[0, 1\)"),
        ("freeze=all", "none or backbone or a whole number"),
        ("precision=8", "bf16-mixed"),
        ("hflip=2", r"in \[0, 1\]"),
        ("mean=[0.5,0.5]", "three numbers"),
        ("std=[1,1,0]", "three above 0"),
        ("milestones=[3,1]", "rising epochs"),
        ("milestones=3", "a list of numbers"),
        ("color_jitter=[0.1,0.2]", "three or four"),
        ("color_jitter=-1", "0 or more"),
        ("warmup_start=2", r"in \[0, 1\]"),
        ("ema_warmup=tensorflow", "sqrt or tf or none"),
        ("recipe=micronet", "no setting 'recipe'"),
        ("img_size=[64,64,64]", "a whole number or a list of numbers"),
        ("img_size=64x4", "at least 8"),
        ("task=detekt", "classify or detect"),
        ("task.hflip=0", "is an option of dense tasks"),
    ],
)
def test_a_wrong_override_is_one_sentence(pair: str, words: str) -> None:
    with pytest.raises(BadInput, match=words) as caught:
        TrainConfig().with_overrides([pair])
    assert "\n" not in str(caught.value)


def test_an_unknown_field_in_a_file_is_named() -> None:
    with pytest.raises(BadInput, match="'epoch'; did you mean 'epochs'"):
        TrainConfig.from_json({"epoch": 3})


def test_every_setting_can_be_set_to_its_own_default() -> None:
    config = TrainConfig()
    for name, member in settings().items():
        text = json.dumps(config.to_json()[member]).strip('"')
        assert config.with_overrides([f"{name}={text}"]) == config


def test_the_configuration_needs_no_torch() -> None:
    modules = "pumice.train.config, pumice.train.run, pumice.recipes.small_data"
    code = f"import sys, {modules}; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
