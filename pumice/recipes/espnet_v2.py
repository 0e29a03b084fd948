"""ESPNetv2: Mehta et al., CVPR 2019, arXiv:1811.11431, section 4.1; its training on ImageNet.

    pumice train DATA --model espnetv2_050 --recipe espnet_v2

Published, with the release (github.com/sacmehta/ESPNetv2, imagenet): SGD with Nesterov momentum 0.9, batch 512, 300
epochs, weight decay 4e-5; the learning rate is 0.1 in the first epoch, then 0.5, 0.4, 0.3, 0.2, 0.1 in turn, all halved
at epochs 51, 101, 131, 161, 191, 221, 251 and 281; crops from 8 % of the area, from 20 % for nets below 80 million
multiply-adds.

Silent: whether norms and biases are decayed (yes, as torch does by default).

Seen here: espnetv2_050, 6 epochs of digits at 32 pixels, lr 0.0625: loss 1.849 to 0.477, top-1 91.6 %.
"""

from pumice.recipes.published import published
from pumice.train.config import TrainConfig

BELOW_80M = ("espnetv2_050",)


def espnet_v2(data: str, model: str = "espnetv2_100") -> TrainConfig:
    """See the file's head."""
    return published(
        "espnet_v2",
        data,
        model,
        optimizer="sgd",
        momentum=0.9,
        batch_size=512,
        lr=0.5,
        epochs=300,
        schedule="cyclic",
        cycle_epochs=5.0,
        milestones=(51.0, 101.0, 131.0, 161.0, 191.0, 221.0, 251.0, 281.0),
        decay_rate=0.5,
        weight_decay=4e-5,
        decay_norm_bias=True,
        rrc_scale=(0.2 if model in BELOW_80M else 0.08, 1.0),
    )
