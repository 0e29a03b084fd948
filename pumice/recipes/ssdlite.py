"""Detectors whose training no paper at hand describes; the numbers are ours.

    pumice train COCO --model ssdlite:mobilenetv3_large_100 --recipe ssdlite
    pumice train COCO --model lighthead:shufflenetv2_100 --recipe light_head

ssdlite: as torchvision trains its SSDLite of MobileNetV3-Large: SGD with momentum 0.9, batch 192, learning rate 0.15,
660 epochs, cosine to 0, weight decay 4e-5 without norms and biases, SSD's crops and mirror images, 320 pixels.
light_head: Light-Head R-CNN (Li et al., 2017, arXiv:1711.07264) as it is usually trained: SGD with momentum 0.9, batch
16, learning rate 0.01, a tenth of it after three quarters of 30 epochs, weight decay 1e-4, mirror images.
"""

from pumice.recipes.published import COCO, published_dense
from pumice.train.config import TrainConfig


def ssdlite(data: str, model: str = "ssdlite:mobilenetv3_large_100") -> TrainConfig:
    """See the file's head."""
    return published_dense(
        *("ssdlite", data, model, "detect"),
        images=COCO,
        task_options={"crop": True, "zoom_out_prob": 0.0, "distort": 0.0, "hflip": 0.5},
        img_size=320,
        optimizer="momentum",
        momentum=0.9,
        batch_size=192,
        lr=0.15,
        epochs=660,
        schedule="cosine",
        weight_decay=4e-5,
    )


def light_head(data: str, model: str = "lighthead:shufflenetv2_100") -> TrainConfig:
    """See the file's head."""
    return published_dense(
        *("light_head", data, model, "detect"),
        images=COCO,
        task_options={"crop": False, "zoom_out_prob": 0.0, "distort": 0.0, "hflip": 0.5},
        optimizer="momentum",
        momentum=0.9,
        batch_size=16,
        lr=0.01,
        epochs=30,
        schedule="multistep",
        milestones=(22.5,),
        decay_rate=0.1,
        weight_decay=1e-4,
        warmup_epochs=0.25,
    )
