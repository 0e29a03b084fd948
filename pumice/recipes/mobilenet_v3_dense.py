"""MobileNetV3 to segment: Howard et al., "Searching for MobileNetV3", ICCV 2019, arXiv:1905.02244, section 6.4.

    pumice train CITYSCAPES --model lraspp:mobilenetv3_large_100 --recipe mobilenet_v3_segment --set model.rf2=true

Published: Cityscapes' fine annotations, from random weights, in the manner of DeepLab; the released nets were trained
on crops of 769 x 769.
Ours, for neither paper nor release says it: batch 16, SGD with momentum 0.9, a learning rate of 0.1, DeepLab's line
("poly") to the power 0.9, weight decay 4e-5 without depthwise kernels, norms and biases, 540 epochs (100,000 steps).
DeepLab's augmentation: scales 0.5 to 2, mirror images.
"""

from pumice.recipes.micronet_dense import DEEPLAB
from pumice.recipes.published import CITYSCAPES, published_dense
from pumice.train.config import TrainConfig


def mobilenet_v3_segment(data: str, model: str = "lraspp:mobilenetv3_large_100") -> TrainConfig:
    """See the file's head; pieces of images at their own size, and judged so."""
    return published_dense(
        *("mobilenet_v3_segment", data, model, "segment"),
        images=CITYSCAPES,
        task_options={**DEEPLAB, "tiles": True},
        img_size=(769, 769),
        optimizer="momentum",
        momentum=0.9,
        batch_size=16,
        lr=0.1,
        epochs=540,
        schedule="polynomial",
        decay_power=0.9,
        weight_decay=4e-5,
        decay_depthwise=False,
    )
