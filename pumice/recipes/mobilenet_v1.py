"""MobileNet: Howard et al., "MobileNets: Efficient convolutional neural networks for mobile vision applications", 2017,
arXiv:1704.04861, section 3.2.

    pumice train DATA --model mobilenetv1_025 --recipe mobilenet_v1

Published: RMSprop with asynchronous gradient descent as for Inception V3, without label smoothing and with less
distortion by small crops; very little or no weight decay on depthwise kernels.  TF-slim (nets/mobilenet_v1.py): weight
decay 4e-5 but on depthwise kernels, dropout 0.001, batch norm 0.9997 with eps 0.001, pixels in [-1, 1].

Silent, and filled from Inception V3 (Szegedy et al., "Rethinking the inception architecture", CVPR 2016, section 8):
decay 0.9, momentum 0.9 and eps 1.0, learning rate 0.045 times 0.94 every two epochs, 100 epochs, batches of 32 images
(50 workers, each of which steps by itself), gradients clipped to norm 2.  How much less distortion is not published: no
colour, and crops from 35 % of the area.

Seen here: mobilenetv1_025, 12 epochs of digits at 32 pixels, lr 0.045: loss 2.323 to 1.721, top-1 49.0 %.
"""

from pumice.recipes.mobilenet_v3 import HALF
from pumice.recipes.published import published
from pumice.train.config import TrainConfig


def mobilenet_v1(data: str, model: str = "mobilenetv1_100") -> TrainConfig:
    """See the file's head."""
    return published(
        "mobilenet_v1",
        data,
        model,
        optimizer="rmsprop",
        opt_eps=1.0,
        momentum=0.9,
        batch_size=32,
        lr=0.045,
        epochs=100,
        schedule="step",
        decay_epochs=2.0,
        decay_rate=0.94,
        grad_clip=2.0,
        weight_decay=4e-5,
        decay_depthwise=False,
        drop_rate=0.001,
        bn_momentum=0.0003,
        bn_eps=0.001,
        rrc_scale=(0.35, 1.0),
        mean=HALF,
        std=HALF,
    )
