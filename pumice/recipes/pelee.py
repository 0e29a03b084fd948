"""Pelee, the detector: Wang et al., NeurIPS 2018, arXiv:1804.06882, from the released script of Caffe.

    pumice train VOC --model pelee_voc --recipe pelee_voc
    pumice train COCO --model pelee_coco --recipe pelee_coco

SGD with momentum 0.9, weight decay 5e-4, from PeleeNet trained on ImageNet (`--weights`); smooth L1 and softmax, three
negatives for each matched box, mined; boxes match at an IoU of 0.5; norms of the backbone keep learning.

              VOC 2007 and 2012                COCO
learning rate 0.005                            0.01
batch         32                               128
a tenth from  80,000 and 100,000 steps on      70,000 and 90,000
ends at       120,000                          100,000
augmentation  SSD's crops, mirror images       the same, colours, zooming out by up to 4

Steps become epochs of 16,551 and 118,287 images.  Crops cover sides of 0.3 to 1 at aspects of 0.5 to 2 and have an IoU
of at least 0.1, 0.3, 0.5, 0.7 or 0.9 with some object, found in 50 draws.  Pixels are BGR less 103.94, 116.78, 123.68,
times 0.017.
Here another way: Caffe's biases of plain convolutions learn twice as fast, and norms of the added layers are not
decayed; here all of them learn alike and are decayed, as the backbone's are.
"""

from typing import Any

from pumice.recipes.published import COCO, VOC_0712, published_dense
from pumice.train.config import TrainConfig

FED: dict[str, Any] = {
    "channels": "BGR",
    "mean": (103.94 / 255, 116.78 / 255, 123.68 / 255),
    "std": (1 / (0.017 * 255),) * 3,
}
CROPS = {"crop": True, "overlaps": [0.1, 0.3, 0.5, 0.7, 0.9], "crop_scale": [0.3, 1.0], "crop_ratio": [0.5, 2.0]}
SSD = {**CROPS, "trials": 50, "hflip": 0.5, "match": 0.5, "negatives": 3.0, "box_weight": 1.0}


def pelee_voc(data: str, model: str = "pelee_voc") -> TrainConfig:
    """See the file's head."""
    options = {**SSD, "distort": 0.0, "zoom_out_prob": 0.0}
    return _pelee("pelee_voc", data, model, VOC_0712, options, 0.005, 32, (80_000, 100_000), 120_000)


def pelee_coco(data: str, model: str = "pelee_coco") -> TrainConfig:
    """See the file's head."""
    options = {**SSD, "distort": 0.5, "zoom_out": 4.0, "zoom_out_prob": 0.5}
    return _pelee("pelee_coco", data, model, COCO, options, 0.01, 128, (70_000, 90_000), 100_000)


def _pelee(
    recipe: str,
    data: str,
    model: str,
    images: int,
    options: dict[str, Any],
    lr: float,
    batch: int,
    drops: tuple[int, ...],
    steps: int,
) -> TrainConfig:
    return published_dense(
        *(recipe, data, model, "detect"),
        images=images,
        task_options=options,
        optimizer="momentum",
        momentum=0.9,
        batch_size=batch,
        lr=lr,
        epochs=round(steps * batch / images),
        schedule="multistep",
        milestones=tuple(step * batch / images for step in drops),
        decay_rate=0.1,
        weight_decay=5e-4,
        decay_norm_bias=True,
        bn_momentum=0.001,
        bn_eps=1e-3,
        **FED,
    )
