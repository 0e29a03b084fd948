"""CondenseNet: Huang et al., "CondenseNet: An efficient DenseNet using learned group convolutions", CVPR 2018,
arXiv:1711.09224, section 4.

    pumice train DATA --model condensenet50_cifar --recipe condensenet_cifar
    pumice train DATA --model condensenet74_c8_g8 --recipe condensenet

Published, with the released script (github.com/ShichenLiu/CondenseNet, main.py): SGD with Nesterov momentum 0.9,
learning rate 0.1, cosine to 0 at every iteration, weight decay 1e-4 on everything.  ImageNet: batch 256, 120 epochs,
group lasso 1e-5, random crops and mirror images.  CIFAR: batch 64, 300 epochs (600 for the 182-layer net), no group
lasso, images shifted by up to 4 pixels and mirrored.  The prunings of the condensing stages fall into the first half of
the run; they follow from the epochs (`pumice.train.condense`).

Recalled, not read again: dropout 0.1 before the learned group convolutions of nets above 3 million parameters; the
authors confirm that the 182-layer net needs it.  Silent: the normalisation for CIFAR (mean and deviation of ImageNet).

Seen here: condensenet50_cifar, 3 epochs of digits at 32 pixels, lr 0.1: loss 2.153 to 1.219, top-1 54.3 %.
Seen here: condensenet74_c8_g8, 3 epochs of digits at 32 pixels, lr 0.025: loss 1.957 to 0.411, top-1 75.2 %.
"""

from typing import Any

from pumice.recipes.published import CIFAR, published
from pumice.train.config import TrainConfig

COSINE: dict[str, Any] = {
    "optimizer": "sgd",
    "momentum": 0.9,
    "lr": 0.1,
    "schedule": "cosine",
    "weight_decay": 1e-4,
    "decay_norm_bias": True,
}
LARGE = ("condensenet74_c4_g4", "condensenet182_cifar", "condensenet_light160_cifar")


def condensenet(data: str, model: str = "condensenet74_c8_g8") -> TrainConfig:
    """For ImageNet.  A net that does not learn its groups has no group lasso."""
    return published(
        "condensenet",
        data,
        model,
        batch_size=256,
        epochs=120,
        group_lasso=1e-5 if model.startswith("condensenet") else 0.0,
        model_options={"dropout": 0.1} if model in LARGE else {},
        **COSINE,
    )


def condensenet_cifar(data: str, model: str = "condensenet86_cifar") -> TrainConfig:
    """For images of 32 pixels."""
    return published(
        "condensenet_cifar",
        data,
        model,
        images=CIFAR,
        batch_size=64,
        epochs=600 if model == "condensenet182_cifar" else 300,
        pad_crop=4,
        model_options={"dropout": 0.1} if model in LARGE else {},
        **COSINE,
    )
