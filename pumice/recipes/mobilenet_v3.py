"""MobileNetV3: Howard et al., "Searching for MobileNetV3", ICCV 2019, arXiv:1905.02244, section 6.1.1.

    pumice train DATA --model mobilenetv3_small_100 --recipe mobilenet_v3

Published: RMSprop with momentum 0.9, batch 4096, learning rate 0.1 with a decay rate of 0.01 every 3 epochs, dropout
0.8 (kept), L2 1e-5, average of the weights 0.9999, batch norm 0.99, the preprocessing of Inception.

"Decay rate of 0.01 every 3 epochs" reads two ways.  Subtracting 0.01 every 3 epochs would end the training after 30
epochs, which no MobileNet converges in.  Here it is a factor: the rate loses 1 % every 3 epochs.

Inception's preprocessing is TF-slim's (preprocessing/inception_preprocessing.py, its fast mode, the default): crops of
5 to 100 % of the area, mirror images, brightness by up to 32/255 and saturation by up to a half, pixels in [-1, 1].
Slim adds to the brightness; here, as torchvision does, it is multiplied.

Silent: the epochs (540, after which the rate is 0.016), RMSprop's decay and eps (0.9 and 0.001 inside the root, as the
same laboratory's MnasNet), how the average begins (as TensorFlow does when it is told the step), the norm's eps (0.001,
slim's nets/mobilenet), label smoothing and warm-up (none).  Slim decays no depthwise kernel, no norm and no bias.

Seen here: mobilenetv3_small_035, 12 epochs of digits at 32 pixels, lr 0.00156: loss 2.301 to 0.575, top-1 88.6 %.
"""

from pumice.recipes.published import published
from pumice.train.config import TrainConfig

HALF = (0.5, 0.5, 0.5)
INCEPTION_CROP = (0.05, 1.0)
INCEPTION_COLOUR = (32 / 255, 0.0, 0.5)


def mobilenet_v3(data: str, model: str = "mobilenetv3_large_100") -> TrainConfig:
    """See the file's head."""
    return published(
        "mobilenet_v3",
        data,
        model,
        optimizer="rmsprop",
        opt_eps=0.001,
        momentum=0.9,
        batch_size=4096,
        lr=0.1,
        epochs=540,
        schedule="step",
        decay_epochs=3.0,
        decay_rate=0.99,
        weight_decay=1e-5,
        decay_depthwise=False,
        drop_rate=0.2,
        bn_momentum=0.01,
        bn_eps=0.001,
        ema_decay=0.9999,
        ema_warmup="tf",
        rrc_scale=INCEPTION_CROP,
        color_jitter=INCEPTION_COLOUR,
        mean=HALF,
        std=HALF,
    )
