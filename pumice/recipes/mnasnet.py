"""MnasNet: Tan et al., "MnasNet: Platform-aware neural architecture search for mobile", CVPR 2019, arXiv:1807.11626,
section 5.

    pumice train DATA --model mnasnet_small --recipe mnasnet

Published: RMSprop with decay 0.9 and momentum 0.9, batch 4096, learning rate rising over 5 epochs to 0.256, then times
0.97 every 2.4 epochs, weight decay 1e-5, batch norm 0.99, dropout 0.2 (the network's own: none for the small one).
From the released code (github.com/tensorflow/tpu, models/official/mnasnet and efficientnet): eps 0.001 of RMSprop and
of the norms, average of the weights 0.9999 that begins as TensorFlow's does when it is told the step, label smoothing
0.1, 350 epochs, the learning rate in proportion to the batch, its fall counted from the run's start in stairs.

Differs: the code decays biases, a hundredth of the parameters; here norms and biases are spared.

Seen here: mnasnet_small, 12 epochs of digits at 32 pixels, lr 0.004: loss 2.316 to 0.733, top-1 94.4 %.
"""

from typing import Any

from pumice.recipes.published import published
from pumice.train.config import TrainConfig

TPU: dict[str, Any] = {
    "optimizer": "rmsprop",
    "opt_eps": 0.001,
    "momentum": 0.9,
    "batch_size": 4096,
    "lr": 0.256,
    "epochs": 350,
    "schedule": "step",
    "warmup_epochs": 5.0,
    "decay_after_warmup": False,
    "decay_epochs": 2.4,
    "decay_rate": 0.97,
    "weight_decay": 1e-5,
    "bn_momentum": 0.01,
    "bn_eps": 0.001,
    "label_smoothing": 0.1,
    "ema_decay": 0.9999,
    "ema_warmup": "tf",
}


def mnasnet(data: str, model: str = "semnasnet_100") -> TrainConfig:
    """See the file's head."""
    return published("mnasnet", data, model, **TPU)
