"""MobileNetV2: Sandler et al., "Inverted residuals and linear bottlenecks", CVPR 2018, arXiv:1801.04381, section 6.1.

    pumice train DATA --model mobilenetv2_050 --recipe mobilenet_v2

Published: RMSprop with decay 0.9 and momentum 0.9, learning rate 0.045 times 0.98 after every epoch, weight decay 4e-5,
16 asynchronous workers with 96 images each.  A step of such a worker uses 96 images, so that is the batch of this
learning rate; the release says the same, multiplying the rate by the GPUs (TF-slim, nets/mobilenet/README.md).  From
the release too: dropout 0.2, average of the weights 0.9999, label smoothing 0.1, batch norm 0.997 with eps 0.001, the
preprocessing of Inception (see `mobilenet_v3`), no decay of depthwise kernels, and 5.5 million steps of one GPU, which
are 412 epochs.  The release lowers the rate every 2.5 epochs; the paper, every epoch, as here.

Silent: RMSprop's eps; TF-slim's train_image_classifier.py takes 1.0 unless told otherwise, and the release's command
does not.  How the average begins: as TensorFlow does when it is told the step.

Seen here: mobilenetv2_035, 12 epochs of digits at 32 pixels, lr 0.03: loss 2.465 to 1.213, top-1 84.4 %.
"""

from pumice.recipes.mobilenet_v3 import HALF, INCEPTION_COLOUR, INCEPTION_CROP
from pumice.recipes.published import epochs_of, published
from pumice.train.config import TrainConfig


def mobilenet_v2(data: str, model: str = "mobilenetv2_100") -> TrainConfig:
    """See the file's head."""
    return published(
        "mobilenet_v2",
        data,
        model,
        optimizer="rmsprop",
        opt_eps=1.0,
        momentum=0.9,
        batch_size=96,
        lr=0.045,
        epochs=epochs_of(5_500_000, 96),
        schedule="step",
        decay_epochs=1.0,
        decay_rate=0.98,
        weight_decay=4e-5,
        decay_depthwise=False,
        drop_rate=0.2,
        bn_momentum=0.003,
        bn_eps=0.001,
        label_smoothing=0.1,
        ema_decay=0.9999,
        ema_warmup="tf",
        rrc_scale=INCEPTION_CROP,
        color_jitter=INCEPTION_COLOUR,
        mean=HALF,
        std=HALF,
    )
