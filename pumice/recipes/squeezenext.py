"""SqueezeNext: Gholami et al., "SqueezeNext: Hardware-aware neural network design", CVPRW 2018, arXiv:1803.10615.

    pumice train DATA --model squeezenext_23_100 --recipe squeezenext

From the release (github.com/amirgholami/SqueezeNext, solver): SGD with momentum 0.9, batch 1024 (32 workers with 32
images), learning rate rising from 0.1 to 0.4 over 780 iterations (0.62 epochs), then falling with the square of what
remains of 150,136 iterations, which are 120 epochs; weight decay 1e-4, crops of 227 pixels.

Silent: whether the fall counts from the warm-up's end (from the run's start, as Caffe's "poly" does), the mean (that of
ImageNet, RGB), the images that crops are cut from (256, as SqueezeNet's, and their mirror images).  Caffe decays
everything unless a layer says otherwise.

Seen here: squeezenext_g_23_100, 6 epochs of digits at 32 pixels, lr 0.025: loss 2.300 to 1.444, top-1 61.0 %.
"""

from pumice.recipes.published import IMAGENET, epochs_of, published
from pumice.recipes.squeezenet import CAFFE_CROP
from pumice.train.config import TrainConfig


def squeezenext(data: str, model: str = "squeezenext_23_100") -> TrainConfig:
    """See the file's head."""
    return published(
        "squeezenext",
        data,
        model,
        optimizer="momentum",
        momentum=0.9,
        batch_size=1024,
        lr=0.4,
        epochs=epochs_of(150_136, 1024),
        schedule="polynomial",
        decay_power=2.0,
        warmup_epochs=780 * 1024 / IMAGENET,
        warmup_start=0.1 / 0.4,
        decay_after_warmup=False,
        weight_decay=1e-4,
        decay_norm_bias=True,
        img_size=227,
        rrc_scale=CAFFE_CROP,
        rrc_ratio=(1.0, 1.0),
    )
