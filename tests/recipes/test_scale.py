"""Published trainings fitted to other data, batches, lengths and sizes."""

import json
import subprocess
import sys
from typing import Any

import pytest

from pumice.cli.train import configured
from pumice.errors import BadInput
from pumice.recipes.names import RECIPES, published_recipe, recipe_of
from pumice.recipes.published import IMAGENET, epochs_of
from pumice.recipes.scale import scaled, sentence
from pumice.train.config import TrainConfig

V3 = "mobilenetv3_small_100"


def fitted(recipe: str, model: str, given: dict[str, Any], images: int, data: str = "photos") -> TrainConfig:
    return scaled(published_recipe(recipe, data, model), given, images)


@pytest.mark.parametrize("recipe", sorted(RECIPES))
def test_on_the_data_of_the_publication_nothing_changes(recipe: str) -> None:
    cifar = recipe.endswith("_cifar")
    published = published_recipe(recipe, "photos", "condensenet50_cifar" if cifar else "mobilenetv2_100")
    assert scaled(published, {}, 50_000 if cifar else IMAGENET) == published


def test_a_small_run_by_hand() -> None:
    config = fitted("mobilenet_v3", V3, {"epochs": 15, "img_size": 64}, 1437)
    assert config.batch_size == 64  # 1437 / 16 = 89
    assert config.lr == 0.1 * 64 / 4096
    assert config.decay_epochs == pytest.approx(3 * 15 / 540, rel=1e-12)
    assert config.rrc_scale == (pytest.approx(0.05 * 224 / 64), 1.0)
    assert config.bn_momentum == 0.1
    # 540 epochs of 312 steps against 15 of 22
    assert config.ema_decay == pytest.approx(1 - 1e-4 * 540 * 312 / 330, rel=1e-12)
    assert (config.weight_decay, config.drop_rate, config.hflip, config.decay_rate) == (1e-5, 0.2, 0.5, 0.99)
    assert sentence(config) == (
        "mobilenet_v3: published for batch 4096 over 540 epochs; here batch 64, lr 0.00156 (linear), 15 epochs (decay "
        "every 0.083 epochs), 64 pixels, crops from 18% of the area, batch-norm momentum 0.1, moving average 0.949"
    )
    assert {k: config.published[k] for k in ("lr", "batch_size", "epochs", "decay_epochs", "ema_decay")} == {
        "lr": 0.1,
        "batch_size": 4096,
        "epochs": 540,
        "decay_epochs": 3.0,
        "ema_decay": 0.9999,
    }
    assert {"weight_decay", "cycle_epochs", "seed", "data"}.isdisjoint(config.published)


def test_the_record_survives_the_file() -> None:
    config = fitted("espnet_v2", "espnetv2_050", {"epochs": 30}, 5000)
    again = TrainConfig.from_json(json.loads(json.dumps(config.to_json())))
    assert (again.recipe, sentence(again)) == ("espnet_v2", sentence(config))
    assert again.published["cycle_epochs"] == 5.0


def test_lengths_keep_their_share_of_the_run() -> None:
    drops = fitted("channelnet", "channelnet_v1", {"epochs": 16}, IMAGENET)
    assert drops.milestones == (9.0, 12.0, 13.0, 14.0, 15.0)
    cyclic = fitted("espnet_v2", "espnetv2_100", {"epochs": 30}, IMAGENET)
    assert (cyclic.cycle_epochs, cyclic.milestones[0]) == (0.5, pytest.approx(5.1))
    warm = fitted("mnasnet", "mnasnet_small", {"epochs": 70}, IMAGENET)
    assert (warm.warmup_epochs, warm.decay_epochs) == (1.0, pytest.approx(0.48))
    ramp = fitted("micronet", "micronet_44m", {"epochs": 60}, IMAGENET)
    assert ramp.mixup_ramp_epochs == 10.0


@pytest.mark.parametrize(("batch", "lr"), [(128, 0.05), (512, 0.2), (2048, 0.8)])
def test_the_rate_follows_the_batch_in_proportion(batch: int, lr: float) -> None:
    config = fitted("micronet", "micronet_m0", {"batch_size": batch}, IMAGENET)
    assert (config.batch_size, config.lr) == (batch, pytest.approx(lr, rel=1e-12))


def test_the_batch_is_that_of_all_devices() -> None:
    alone = fitted("mobilenet_v3", V3, {}, IMAGENET)
    config = fitted("mobilenet_v3", V3, {"devices": 8, "accumulate": 4}, IMAGENET)
    assert (config.batch_size, config.lr) == (alone.batch_size, alone.lr) == (4096, 0.1)
    assert fitted("mobilenet_v3", V3, {"devices": 8, "batch_size": 512}, IMAGENET).lr == pytest.approx(0.1 / 8)


def test_what_the_user_sets_stays() -> None:
    given = {"lr": 0.3, "batch_size": 32, "epochs": 12, "warmup_epochs": 4.0, "rrc_scale": (0.6, 0.9), "img_size": 32}
    config = fitted("mnasnet", "mnasnet_small", given | {"ema_decay": None}, 2000)
    assert {name: getattr(config, name) for name in given} == given
    assert config.ema_decay is None
    assert "lr 0.3 (given), 12 epochs" in sentence(config)
    assert "no moving average" in sentence(config)


@pytest.mark.parametrize(("img_size", "least"), [(224, 0.08), (112, 0.16), (64, 0.28), (32, 0.5), (448, 0.08)])
def test_small_images_are_not_cropped_to_nothing(img_size: int, least: float) -> None:
    config = fitted("micronet", "micronet_m0", {"img_size": img_size}, IMAGENET)
    assert config.rrc_scale == (pytest.approx(least, rel=1e-12), 1.0)
    assert config.lr == 0.2


def test_a_crop_of_fixed_size_and_a_margin_scale_with_the_image() -> None:
    squeezenet = published_recipe("squeezenet", "photos", "squeezenet1_1")
    assert scaled(squeezenet, {"img_size": 64}, IMAGENET).rrc_scale == squeezenet.rrc_scale == ((227 / 256) ** 2,) * 2
    assert fitted("igcv1_cifar", "igcv1_plain8_l24m2_cifar", {"img_size": 64}, 50_000).pad_crop == 8


def test_averages_span_the_same_share_of_the_run() -> None:
    # A tenth of the epochs: ten times the momentum, a tenth of the span.
    config = fitted("mnasnet", "mnasnet_small", {"epochs": 35}, IMAGENET)
    assert config.bn_momentum == pytest.approx(0.1)
    assert config.ema_decay == pytest.approx(0.999)
    assert fitted("mnasnet", "mnasnet_small", {"epochs": 3500}, IMAGENET).ema_decay == 0.9999
    assert fitted("mobilenet_v1", "mobilenetv1_100", {"epochs": 50}, IMAGENET).bn_momentum == pytest.approx(0.0006)


def test_digits_are_neither_mirrored_nor_recoloured() -> None:
    config = fitted("mobilenet_v3", V3, {"img_size": 32}, 1437, data="digits")
    assert (config.hflip, config.color_jitter, config.rrc_scale, config.crop_pct) == (0.0, 0.0, (0.7, 1.0), 1.0)
    assert fitted("mobilenet_v3", V3, {"hflip": 0.5}, 1437, data="digits").hflip == 0.5


def test_trained_weights_keep_their_preprocessing() -> None:
    config = fitted("mobilenet_v3", V3, {"pretrained": True}, 1437)
    assert (config.mean, config.std, config.bn_eps) == (None, None, None)
    own = fitted("mobilenet_v3", V3, {}, 1437)
    assert (own.mean, own.bn_eps) == ((0.5, 0.5, 0.5), 0.001)
    foreign = fitted("mobilenet_v3", "timm:mobilenetv3_small_100", {}, 1437)
    assert (foreign.mean, foreign.bn_eps) == ((0.5, 0.5, 0.5), None)


def test_iterations_as_epochs() -> None:
    assert [epochs_of(*pair) for pair in [(300_000, 1024), (170_000, 512), (150_136, 1024)]] == [240, 68, 120]


@pytest.mark.parametrize(
    ("model", "recipe"),
    [
        ("micronet_m3", "micronet"),
        ("fbnetv2_l1", "fbnet_v2"),
        ("fbnetv3_g", "fbnet_v3"),
        ("igcv3_025", "igcv3"),
        ("igcv1_resnet38_l24m2_cifar", "igcv1_cifar"),
        ("condensenet182_cifar", "condensenet_cifar"),
        ("tv_shufflenetv2_050", "shufflenet_v2"),
        ("ghostnet_130", "ghostnet"),
        ("ghost_resnet56_s2_cifar", None),
        ("timm:mobilenetv3_small_100", None),
    ],
)
def test_the_training_of_a_network(model: str, recipe: str | None) -> None:
    assert recipe_of(model) == recipe


@pytest.mark.parametrize(
    ("recipe", "model", "words"),
    [
        ("mobilenetv3", V3, "there is no recipe 'mobilenetv3'; did you mean 'mobilenet_v3'?"),
        ("smal_data", V3, "did you mean 'small_data'"),
        ("xyzzy", V3, "choose channelnet, "),
        ("auto", "timm:mobilenetv3_small_100", "no training is published for timm:mobilenetv3_small_100"),
        ("auto", "espnet_a_p2_q8", "no training is published for espnet_a_p2_q8; leave --recipe out"),
        ("auto", "micronet_m9", "no network is called"),
    ],
)
def test_an_unknown_recipe_is_one_sentence(recipe: str, model: str, words: str) -> None:
    with pytest.raises(BadInput, match=words.replace("?", r"\?")) as caught:
        published_recipe(recipe, "digits", model)
    assert "\n" not in str(caught.value)


def test_the_command_line_scales_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    pairs = ["optim.weight_decay=1e-3", "train.batch_size=32", "model.width=0.6"]
    config, splits = configured("auto", "digits", "micronet_m0", {"epochs": 6, "img_size": 32, "seed": 1}, pairs)
    assert (config.recipe, config.seed, config.img_size) == ("micronet", 1, 32)
    assert (config.batch_size, config.lr, config.weight_decay) == (32, pytest.approx(0.2 / 16), 1e-3)
    assert config.model_options == {"width": 0.6}
    assert len(splits.train) + len(splits.val) == 1797
    assert capsys.readouterr().err == sentence(config) + "\n"
    plain, _ = configured("small_data", "digits", "micronet_m0", {"epochs": 6}, [])
    assert (plain.recipe, plain.published, plain.optimizer) == (None, {}, "adamw")


def test_recipes_need_no_torch() -> None:
    code = (
        "import sys; from pumice.recipes.names import *; from pumice.recipes.scale import scaled\n"
        "for name in RECIPES: scaled(published_recipe(name, 'digits', 'micronet_m0'), {}, 1437)\n"
        "for name in DENSE_RECIPES: scaled(published_recipe(name, 'photos', 'lraspp:micronet_m0'), {}, 1437)\n"
        "for task in ('segment', 'keypoints'): recipe_of('mobilenetv3_small_100', task)\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
