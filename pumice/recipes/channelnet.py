"""ChannelNets: Gao et al., "ChannelNets: Compact and efficient convolutional neural networks via channel-wise
convolutions", NeurIPS 2018, arXiv:1809.01330.

    pumice train DATA --model channelnet_v3 --recipe channelnet

Published: SGD with Nesterov momentum 0.9, batch 512 (four GPUs), 80 epochs, learning rate 0.1 divided by 10 at epochs
45, 60, 65, 70 and 75.  From the released code (github.com/HongyangGao/ChannelNets): weight decay 4e-5 on convolution
and linear weights alone, label smoothing 0.1, crops of 224 pixels from images of 256, mirror images, the mean and
deviation of ImageNet in the order BGR.

Left out: dropout of 0.0001 after 1x1 convolutions, which the network leaves out as well.

Seen here: channelnet_v1_050, 6 epochs of digits at 32 pixels, lr 0.0125: loss 1.993 to 0.704, top-1 91.1 %.
"""

from pumice.data.preprocess import IMAGENET_MEAN, IMAGENET_STD
from pumice.recipes.published import published
from pumice.train.config import TrainConfig


def channelnet(data: str, model: str = "channelnet_v1") -> TrainConfig:
    """See the file's head."""
    return published(
        "channelnet",
        data,
        model,
        optimizer="sgd",
        momentum=0.9,
        batch_size=512,
        lr=0.1,
        epochs=80,
        schedule="multistep",
        milestones=(45.0, 60.0, 65.0, 70.0, 75.0),
        decay_rate=0.1,
        weight_decay=4e-5,
        label_smoothing=0.1,
        rrc_scale=((224 / 256) ** 2,) * 2,
        rrc_ratio=(1.0, 1.0),
        mean=IMAGENET_MEAN[::-1],
        std=IMAGENET_STD[::-1],
        channels="BGR",
    )
