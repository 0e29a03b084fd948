"""MicroNet on dense tasks: keypoints of Li et al., ICCV 2021, arXiv:2108.05894, section 5.3, and segmentation of the
first version, 2020, arXiv:2011.12289.

    pumice train COCO --model micronet_m2_keypoints --recipe micronet_keypoints
    pumice train CITYSCAPES --model micronet_m1_mraspp --recipe micronet_segment

Keypoints, published: from random weights, Adam, 250 epochs, learning rate 1e-3, a tenth of it from epoch 210 and again
from 240, persons cut to 256 x 192, turned by up to 45 degrees, scaled by 0.65 to 1.35, mirrored, half bodies; 57,000
images with 150,000 persons; tested with the mean of an image and its mirror image.
Silent: the batch (256, as the usual code of top-down nets on eight GPUs), weight decay (none), the chances of turning
and of half bodies and the width of the heatmaps' peaks (the task's own, which are those of that code too).

Segmentation, published: Cityscapes' 2975 fine images at 1024 x 2048, from random weights, 240 epochs, the learning rate
from 0.2 on a cosine to 1e-4, weight decay 4e-5, the augmentation of DeepLab: scales 0.5 to 2, mirror images.
Silent: the optimiser (SGD with momentum 0.9, as its classifiers), the batch (16), decay of norms and biases (as the
classifiers, all).
"""

from pumice.recipes.published import CITYSCAPES, COCO_PERSONS, published_dense
from pumice.train.config import TrainConfig

DEEPLAB = {"scale": [0.5, 2.0], "ratio": [1.0, 1.0], "hflip": 0.5, "color_jitter": 0.0}


def micronet_keypoints(data: str, model: str = "micronet_m2_keypoints") -> TrainConfig:
    """See the file's head."""
    return published_dense(
        *("micronet_keypoints", data, model, "keypoints"),
        images=COCO_PERSONS,
        task_options={"rotate": 45.0, "scale": 0.35, "hflip": 0.5, "flip_test": True},
        img_size=(256, 192),
        optimizer="adam",
        batch_size=256,
        lr=1e-3,
        epochs=250,
        schedule="multistep",
        milestones=(210.0, 240.0),
        decay_rate=0.1,
        weight_decay=0.0,
    )


def micronet_segment(data: str, model: str = "micronet_m1_mraspp") -> TrainConfig:
    """See the file's head."""
    return published_dense(
        *("micronet_segment", data, model, "segment"),
        images=CITYSCAPES,
        task_options=DEEPLAB,
        img_size=(1024, 2048),
        optimizer="momentum",
        momentum=0.9,
        batch_size=16,
        lr=0.2,
        epochs=240,
        schedule="cosine",
        final_lr=1e-4 / 0.2,
        weight_decay=4e-5,
        decay_norm_bias=True,
    )
