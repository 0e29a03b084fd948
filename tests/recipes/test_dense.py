"""Recipes of dense tasks: found by network and task, options that their tasks take, scaled to other data."""

import math
from importlib import import_module

import pytest
import torch

from pumice.errors import BadInput
from pumice.models.checkpoint import manifest_of
from pumice.models.create import create_model
from pumice.recipes.names import DENSE_RECIPES, published_recipe, recipe_of
from pumice.recipes.scale import scaled
from pumice.tasks.names import create_task

MODELS = {
    "espnet": "espnet_p2_q8",
    "espnet_c": "espnet_c_p2_q8",
    "espnet_v2_segment": "espnetv2_seg_050",
    "espnet_v2_segment_full": "espnetv2_seg_050",
    "light_head": "lighthead:shufflenetv2_100",
    "micronet_keypoints": "micronet_m2_keypoints",
    "micronet_segment": "micronet_m1_mraspp",
    "mobilenet_v3_segment": "lraspp:mobilenetv3_small_100",
    "pelee_coco": "pelee_coco",
    "pelee_voc": "pelee_voc",
    "ssdlite": "ssdlite:mobilenetv2_100",
}


@pytest.mark.parametrize("name", DENSE_RECIPES)
def test_the_task_takes_its_options(name: str) -> None:
    config = published_recipe(name, "photos", MODELS[name])
    options = create_task(config.task, config.task_options).options
    for key, value in config.task_options.items():
        found = getattr(options, key)
        assert (list(found) if isinstance(found, tuple) else found) == value


@pytest.mark.parametrize("name", DENSE_RECIPES)
def test_its_own_network_exists_and_is_for_the_task(name: str) -> None:
    make = getattr(import_module(f"pumice.recipes.{DENSE_RECIPES[name]}"), name)
    config = make("photos")
    with torch.device("meta"):
        net = create_model(config.model)
    assert manifest_of(net).task == config.task
    if config.size is not None:
        assert net.sides.allow(*config.size)


@pytest.mark.parametrize(
    ("model", "task", "recipe"),
    [
        ("espnet_p2_q3", None, "espnet"),
        ("espnet_c_p2_q3", "segment", "espnet_c"),
        ("espnet_a_p2_q8", None, None),
        ("espnetv2_seg_200", None, "espnet_v2_segment"),
        ("micronet_m3_mraspp", None, "micronet_segment"),
        ("mraspp:micronet_44m", None, "micronet_segment"),
        ("lraspp:mobilenetv3_large_100", None, "mobilenet_v3_segment"),
        ("mobilenetv3_large_100", "segment", "mobilenet_v3_segment"),
        ("mobilenetv3_large_100", None, "mobilenet_v3"),
        ("mobilenetv3_large_100", "classify", "mobilenet_v3"),
        ("mobilenetv3_small_100", "keypoints", "micronet_keypoints"),
        ("micro_heatmap:micronet_m3", "keypoints", "micronet_keypoints"),
        ("micronet_m0_keypoints", None, "micronet_keypoints"),
        ("pelee_voc", "detect", "pelee_voc"),
        ("pelee_coco", None, "pelee_coco"),
        ("espnetv2_ssd_200_voc", None, None),
        ("ssdlite:mobilenetv2_100", None, None),
        ("mobilenetv2_100", "detect", None),
        ("lraspp:squeezenet1_1", "segment", None),
        ("timm:resnet18", "segment", None),
    ],
)
def test_a_network_and_a_task_find_their_training(model: str, task: str | None, recipe: str | None) -> None:
    assert recipe_of(model, task) == recipe
    if recipe is not None:
        assert published_recipe("auto", "photos", model, task).recipe == recipe
        return
    with pytest.raises(BadInput, match=f"is published for {model}; leave --recipe out"):
        published_recipe("auto", "photos", model, task)


def test_scaling_keeps_shares_of_the_run() -> None:
    published = published_recipe("pelee_voc", "photos", "pelee_voc")
    config = scaled(published, {"epochs": 29}, 205)
    assert (config.batch_size, config.lr) == (8, 0.005 / 4)
    assert [m / 29 for m in config.milestones] == pytest.approx([m / 232 for m in published.milestones])
    assert config.task_options == published.task_options
    hybrid = scaled(published_recipe("espnet_v2_segment", "photos", "espnetv2_seg_050"), {"epochs": 50}, 367)
    assert (hybrid.cycle_epochs, hybrid.milestones) == (2.5, (30.5,))
    assert math.isclose(hybrid.lr, 0.045 * hybrid.batch_size / 40)
