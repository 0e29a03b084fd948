"""EfficientNet: Tan and Le, "EfficientNet: Rethinking model scaling", ICML 2019, arXiv:1905.11946, section 5.2.

    pumice train DATA --model efficientnet_b0 --recipe efficientnet

Published: RMSprop with decay 0.9 and momentum 0.9, batch norm 0.99, weight decay 1e-5, learning rate 0.256 times 0.97
every 2.4 epochs, AutoAugment, stochastic depth with survival 0.8, dropout from 0.2 (B0) to 0.5 (B7), which is the
network's own.  From the released code (github.com/tensorflow/tpu, models/official/efficientnet): see `mnasnet`, whose
schedule and optimiser these are; 0.256 is 0.016 for every 256 images of a batch of 4096.

Silent: the lite nets' training (the same; their pixels are (x - 127) / 128).  The paper also held 25,022 images out and
took the checkpoint that did best on them; a run here keeps its best epoch on `val_fraction` of the data.

Seen here: efficientnet_b0, 12 epochs of digits at 32 pixels, lr 0.004: loss 2.343 to 1.178, top-1 95.5 %.
"""

from pumice.recipes.mnasnet import TPU
from pumice.recipes.published import published
from pumice.train.config import TrainConfig

LITE_MEAN, LITE_STD = (127 / 255,) * 3, (128 / 255,) * 3


def efficientnet(data: str, model: str = "efficientnet_b0") -> TrainConfig:
    """See the file's head; "v0" is what timm calls the code's policy of AutoAugment."""
    lite = "_lite" in model
    return published(
        "efficientnet",
        data,
        model,
        drop_path_rate=0.2,
        auto_augment="v0",
        mean=LITE_MEAN if lite else None,
        std=LITE_STD if lite else None,
        **TPU,
    )
