"""SqueezeNet: Iandola et al., 2016, arXiv:1602.07360.

    pumice train DATA --model squeezenet1_1 --recipe squeezenet

From the release (github.com/forresti/SqueezeNet, solver.prototxt, train_val.prototxt): SGD with momentum 0.9, batch 512
(32 images, 16 times accumulated), learning rate 0.04 falling in a line to 0 over 170,000 iterations, which are 68
epochs, weight decay 2e-4, dropout 0.5, random crops of 227 pixels from images of 256 and their mirror images, pixels
less the mean (104, 117, 123) in the order BGR.

Differs: images are not squeezed to 256 x 256 first; the crop is a square of the same share of the area.  Caffe decays
biases as well unless a layer says otherwise, and no layer does.

Seen here: squeezenet1_1, 30 epochs of digits at 32 pixels, lr 0.005: loss 2.303 to 0.321, top-1 91.4 %.
"""

from pumice.recipes.published import epochs_of, published
from pumice.train.config import TrainConfig

CAFFE_CROP = ((227 / 256) ** 2,) * 2


def squeezenet(data: str, model: str = "squeezenet1_0") -> TrainConfig:
    """See the file's head."""
    return published(
        "squeezenet",
        data,
        model,
        optimizer="momentum",
        momentum=0.9,
        batch_size=512,
        lr=0.04,
        epochs=epochs_of(170_000, 512),
        schedule="linear",
        weight_decay=2e-4,
        decay_norm_bias=True,
        drop_rate=0.5,
        img_size=227,
        rrc_scale=CAFFE_CROP,
        rrc_ratio=(1.0, 1.0),
        mean=(104 / 255, 117 / 255, 123 / 255),
        std=(1 / 255,) * 3,
        channels="BGR",
    )
