"""FBNet: Wu et al., CVPR 2019, arXiv:1812.03443; FBNetV2: Wan et al., CVPR 2020, arXiv:2004.05565; FBNetV3: Dai et al.,
CVPR 2021, arXiv:2006.02049.

    pumice train DATA --model fbnet_a --recipe fbnet
    pumice train DATA --model fbnetv2_f1 --recipe fbnet_v2
    pumice train DATA --model fbnetv3_a --recipe fbnet_v3

None of the three releases its training, and the first paper's numbers are recalled, not read again.

fbnet: SGD with momentum 0.9, batch 256, 360 epochs, learning rate 0.1 with drops, weight decay 4e-5, the augmentation
usual for ResNets.  Silent: where it drops (to a tenth at a quarter, a half and three quarters of the run), whether
norms and biases are decayed (yes, as torch does by default), Nesterov (no).

fbnet_v2: not published; fbnet's.

fbnet_v3: published are 400 epochs, RMSprop, label smoothing, AutoAugment, mixup, dropout, stochastic depth, an average
of the weights, and a recipe searched for each net, which is not released.  Its numbers are those that the same group
gives for its ResNets ("VT-ResNet"): learning rate 0.01 to 0.16 in 5 epochs, then times 0.9875 after every epoch, batch
2048, survival 0.9, dropout 0.2, average 0.99985.  Silent: mixup's alpha (0.2), label smoothing (0.1), RMSprop's eps
(0.001), weight decay (1e-5), how the average begins (as TensorFlow does when it is told the step).  Distillation from
the largest net, which the later version adds, is left out: its accuracies are not to be expected.

Seen here: fbnet_96, 12 epochs of digits at 32 pixels, lr 0.025: loss 2.120 to 0.270, top-1 96.4 %.
Seen here: fbnetv2_f0, 12 epochs of digits at 32 pixels, lr 0.025: loss 1.974 to 0.223, top-1 95.3 %.
Seen here: fbnetv3_a0, 12 epochs of digits at 32 pixels, lr 0.005: loss 2.297 to 1.113, top-1 96.9 %.
"""

from typing import Any

from pumice.recipes.published import published
from pumice.train.config import TrainConfig

RESNET: dict[str, Any] = {
    "optimizer": "momentum",
    "momentum": 0.9,
    "batch_size": 256,
    "lr": 0.1,
    "epochs": 360,
    "schedule": "multistep",
    "milestones": (90.0, 180.0, 270.0),
    "decay_rate": 0.1,
    "weight_decay": 4e-5,
    "decay_norm_bias": True,
}


def fbnet(data: str, model: str = "fbnet_a") -> TrainConfig:
    """FBNet-A, B, C and the nets searched for phones."""
    return published("fbnet", data, model, **RESNET)


def fbnet_v2(data: str, model: str = "fbnetv2_f1") -> TrainConfig:
    """Not published: that of FBNet."""
    return published("fbnet_v2", data, model, **RESNET)


def fbnet_v3(data: str, model: str = "fbnetv3_a") -> TrainConfig:
    """See the file's head."""
    return published(
        "fbnet_v3",
        data,
        model,
        optimizer="rmsprop",
        opt_eps=0.001,
        momentum=0.9,
        batch_size=2048,
        lr=0.16,
        epochs=400,
        schedule="step",
        warmup_epochs=5.0,
        warmup_start=0.01 / 0.16,
        decay_epochs=1.0,
        decay_rate=0.9875,
        weight_decay=1e-5,
        drop_rate=0.2,
        drop_path_rate=0.1,
        label_smoothing=0.1,
        mixup=0.2,
        auto_augment="original",
        ema_decay=0.99985,
        ema_warmup="tf",
    )
