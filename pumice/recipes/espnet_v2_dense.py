"""ESPNetV2 to segment, in two stages: Mehta et al., CVPR 2019, arXiv:1811.11431, from the code of EdgeNets.

    pumice train DATA --model espnetv2_seg_100 --recipe espnet_v2_segment --out runs/first
    pumice train DATA --model espnetv2_seg_100 --recipe espnet_v2_segment_full --weights runs/first/best.safetensors

Published: SGD with momentum 0.9, weight decay 4e-5, 100 epochs a stage.  The first stage at a low resolution, at a rate
of 0.009; the second at the full one, at 0.005, with batch norms frozen.  The rate is EdgeNets' "hybrid": five times the
named one falls to it in five epochs, again and again, and from epoch 61 on a line falls from it to 0.  Batch 25 or 40.
The decoder learns ten times as fast as the encoder.  Low is 256 x 512 and full 512 x 1024 on Cityscapes, as their
results are listed; 256 and 384 on VOC, with COCO's images.
Here another way: frozen norms keep their statistics, but learn their scales.
Silent: the batch of each stage (40 at the low resolution, 25 at the full one), augmentation (scales 0.5 to 2, mirror
images), weights of classes (none).
"""

from typing import Any

from pumice.recipes.micronet_dense import DEEPLAB
from pumice.recipes.published import CITYSCAPES, published_dense
from pumice.train.config import TrainConfig


def espnet_v2_segment(data: str, model: str = "espnetv2_seg_100") -> TrainConfig:
    """The first stage."""
    return _stage("espnet_v2_segment", data, model, lr=0.009, batch_size=40, img_size=(256, 512))


def espnet_v2_segment_full(data: str, model: str = "espnetv2_seg_100") -> TrainConfig:
    """The second stage."""
    full: dict[str, Any] = {"batch_size": 25, "img_size": (512, 1024), "freeze_norm": True}
    return _stage("espnet_v2_segment_full", data, model, lr=0.005, **full)


def _stage(recipe: str, data: str, model: str, *, lr: float, **fields: Any) -> TrainConfig:
    return published_dense(
        *(recipe, data, model, "segment"),
        images=CITYSCAPES,
        task_options=DEEPLAB,
        optimizer="momentum",
        momentum=0.9,
        lr=5 * lr,
        head_lr=10.0,
        epochs=100,
        schedule="hybrid",
        cycle_epochs=5.0,
        milestones=(61.0,),
        weight_decay=4e-5,
        decay_norm_bias=True,
        **fields,
    )
