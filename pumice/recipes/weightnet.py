"""WeightNet: Ma et al., "WeightNet: Revisiting the design space of weight networks", ECCV 2020, arXiv:2007.11823.

    pumice train DATA --model weightnet_shufflenetv2_050 --recipe weightnet

From the release (github.com/megvii-model/WeightNet, train.py): that of ShuffleNet (see `shufflenet`): SGD with momentum
0.9, learning rate 0.5 at batch 1024 (0.0625 for each of 8 GPUs with 128 images) falling in a line to 0 over 300,000
steps, which are 240 epochs, weight decay 4e-5 on weights of more than one dimension, label smoothing 0.1, colour by up
to 0.4, pixels 0 to 255 in the order BGR.

Silent: the training of its ResNet-50 (the same here).

Seen here: weightnet_shufflenetv2_050, 6 epochs of digits at 32 pixels, lr 0.0312: loss 2.121 to 0.811, top-1 95.3 %.
"""

from pumice.recipes.published import published
from pumice.recipes.shufflenet import LINEAR, PIXELS
from pumice.train.config import TrainConfig


def weightnet(data: str, model: str = "weightnet_shufflenetv2_100") -> TrainConfig:
    """See the file's head."""
    return published("weightnet", data, model, **LINEAR, **PIXELS)
