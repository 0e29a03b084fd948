"""IGCV1: Zhang et al., "Interleaved group convolutions", ICCV 2017, arXiv:1707.02725; IGCV3: Sun
et al., BMVC 2018, arXiv:1806.00178.

    pumice train DATA --model igcv1_plain8_l24m2_cifar --recipe igcv1_cifar
    pumice train DATA --model igcv1_resnet18_l100m2 --recipe igcv1
    pumice train DATA --model igcv3_025 --recipe igcv3

igcv1_cifar: SGD with Nesterov momentum 0.9, batch 64, 400 epochs, learning rate 0.1 divided by 10 at 1/2, 3/4 and 7/8
of them, weight decay 1e-4, images shifted by up to 4 pixels and mirrored.  igcv1, from the released files: learning
rate 0.1 divided by 10 every 30 epochs, batch 256, 95 epochs, crops of random scale and aspect, colour.  igcv3: SGD with
momentum 0.9, batch 96 on four GPUs together, 480 epochs, learning rate 0.045 times 0.98 after every epoch, weight decay
4e-5, pixels less the mean, not divided by a deviation.

Silent: igcv1's optimiser and decay (as for CIFAR) and how strong its changes of colour are (0.4, and 0.1 of the hue);
the normalisation for CIFAR (mean and deviation of ImageNet for its own); whether igcv3's momentum is Nesterov's (no).
MXNet decays norms' scales and spares their shifts; here both are spared.

Seen here: igcv1_plain8_l24m2_cifar, 6 epochs of digits at 32 pixels, lr 0.1: loss 2.270 to 0.515, top-1 85.5 %.
Seen here: igcv1_resnet18_l100m2, 3 epochs of digits at 32 pixels, lr 0.025: loss 6.716 to 0.487, top-1 93.9 %.
Seen here: igcv3_025, 12 epochs of digits at 32 pixels, lr 0.03: loss 2.492 to 1.179, top-1 69.1 %.
"""

from typing import Any

from pumice.recipes.published import CIFAR, published
from pumice.train.config import TrainConfig

NESTEROV: dict[str, Any] = {
    "optimizer": "sgd",
    "momentum": 0.9,
    "lr": 0.1,
    "schedule": "multistep",
    "decay_rate": 0.1,
    "weight_decay": 1e-4,
}


def igcv1_cifar(data: str, model: str = "igcv1_plain20_l24m2_cifar") -> TrainConfig:
    """For images of 32 pixels; the plain nets' norms follow at 0.01 (MXNet's 0.99), the residual ones' at 0.1."""
    return published(
        "igcv1_cifar",
        data,
        model,
        images=CIFAR,
        batch_size=64,
        epochs=400,
        milestones=(200.0, 300.0, 350.0),
        pad_crop=4,
        bn_momentum=0.01 if "_plain" in model else 0.1,
        **NESTEROV,
    )


def igcv1(data: str, model: str = "igcv1_resnet18_l100m2") -> TrainConfig:
    """For ImageNet."""
    return published(
        "igcv1",
        data,
        model,
        batch_size=256,
        epochs=95,
        milestones=(30.0, 60.0, 90.0),
        color_jitter=(0.4, 0.4, 0.4, 0.1),
        **NESTEROV,
    )


def igcv3(data: str, model: str = "igcv3_100") -> TrainConfig:
    """See the file's head."""
    return published(
        "igcv3",
        data,
        model,
        optimizer="momentum",
        momentum=0.9,
        batch_size=96,
        lr=0.045,
        epochs=480,
        schedule="step",
        decay_epochs=1.0,
        decay_rate=0.98,
        weight_decay=4e-5,
        mean=(123.68 / 255, 116.779 / 255, 103.939 / 255),
        std=(1 / 255,) * 3,
    )
