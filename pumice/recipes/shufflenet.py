"""ShuffleNet: Zhang et al., CVPR 2018, arXiv:1707.01083, section 4; ShuffleNetV2: Ma et al., ECCV 2018,
arXiv:1807.11164, section 4, which trains the same way.

    pumice train DATA --model shufflenetv1_g3_050 --recipe shufflenet_v1
    pumice train DATA --model shufflenetv2_050 --recipe shufflenet_v2

Published: 300,000 iterations at batch 1024, which are 240 epochs of ImageNet; learning rate 0.5 falling in a line to 0,
weight decay 4e-5, a milder scale augmentation than usual.  From the release (github.com/megvii-model/ShuffleNet-Series,
train.py of either): SGD with momentum 0.9 (no Nesterov), norms and biases not decayed, label smoothing 0.1, brightness,
contrast and saturation by up to 0.4, pixels as they are, 0 to 255 in the order BGR.

Silent: how mild the scale augmentation is; the release crops 8 to 100 % of the area, as here.

Seen here: shufflenetv1_g3_025, 12 epochs of digits at 32 pixels, lr 0.0312: loss 2.393 to 0.715, top-1 93.9 %.
Seen here: shufflenetv2_050, 12 epochs of digits at 32 pixels, lr 0.0312: loss 2.173 to 0.672, top-1 95.3 %.
"""

from typing import Any

from pumice.recipes.published import epochs_of, published
from pumice.train.config import TrainConfig

# Preprocess counts in units of [0, 1].
PIXELS: dict[str, Any] = {"mean": (0.0, 0.0, 0.0), "std": (1 / 255,) * 3, "channels": "BGR"}
LINEAR: dict[str, Any] = {
    "optimizer": "momentum",
    "momentum": 0.9,
    "batch_size": 1024,
    "lr": 0.5,
    "epochs": epochs_of(300_000, 1024),
    "schedule": "linear",
    "weight_decay": 4e-5,
    "label_smoothing": 0.1,
    "color_jitter": 0.4,
}


def shufflenet_v1(data: str, model: str = "shufflenetv1_g3_100") -> TrainConfig:
    """See the file's head."""
    return published("shufflenet_v1", data, model, **LINEAR, **PIXELS)


def shufflenet_v2(data: str, model: str = "shufflenetv2_100") -> TrainConfig:
    """See the file's head."""
    return published("shufflenet_v2", data, model, **LINEAR, **PIXELS)
