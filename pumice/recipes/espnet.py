"""ESPNet in two stages: Mehta et al., ECCV 2018, arXiv:1803.06815, from the released script for Cityscapes.

    pumice train CITYSCAPES --model espnet_c_p2_q8 --recipe espnet_c --out runs/first
    pumice train CITYSCAPES --model espnet_p2_q8 --recipe espnet --weights runs/first/best.safetensors

The first stage trains ESPNet-C, against labels of an eighth of the size; the second puts the decoder on it and trains
everything.  Adam (0.9, 0.999, eps 1e-8) at 5e-4, weight decay 5e-4, half the rate every 100 epochs, 300 epochs, batch
12, with the decoder 6.  An epoch of theirs passes five times over the set: at 1536 x 768, 1280 x 720, 512 x 256,
768 x 384 and 1024 x 512 pixels.  Cross-entropy weighted by 1 / ln(1.10 + frequency) of the class; crops and mirror
images.

Here another way: five passes are five epochs, so 1500 in all, and each image is scaled by 0.5 to 1.5 of 1024 x 512 at
random; their crops are part of that.  Pixels are BGR, normalised by Cityscapes' mean and deviation and divided by 255
once more, as theirs.  What their script calls a horizontal flip is a vertical one; here it is horizontal.
"""

from typing import Any

from pumice.recipes.published import CITYSCAPES, published_dense
from pumice.train.config import TrainConfig

PASSES = 5
FED: dict[str, Any] = {
    "channels": "BGR",
    "mean": (72.3923111 / 255, 82.90893555 / 255, 73.15840149 / 255),
    "std": (45.3192215, 46.15289307, 44.91483307),
}
CHANGES = {"scale": [0.5, 1.5], "ratio": [1.0, 1.0], "hflip": 0.5, "color_jitter": 0.0}


def espnet_c(data: str, model: str = "espnet_c_p2_q8") -> TrainConfig:
    """The first stage."""
    return _stage("espnet_c", data, model, 12)


def espnet(data: str, model: str = "espnet_p2_q8") -> TrainConfig:
    """The second stage."""
    return _stage("espnet", data, model, 6)


def _stage(recipe: str, data: str, model: str, batch: int) -> TrainConfig:
    return published_dense(
        *(recipe, data, model, "segment"),
        images=CITYSCAPES,
        task_options={**CHANGES, "weights": "enet", "enet_c": 1.10},
        img_size=(512, 1024),
        optimizer="adam",
        opt_eps=1e-8,
        batch_size=batch,
        lr=5e-4,
        epochs=300 * PASSES,
        schedule="step",
        decay_epochs=100.0 * PASSES,
        decay_rate=0.5,
        weight_decay=5e-4,
        decay_norm_bias=True,
        **FED,
    )
