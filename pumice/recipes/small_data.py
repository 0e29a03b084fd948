"""Classification of a few hundred to some ten thousand images, on a CPU or one GPU."""

from typing import Any

from pumice.train.config import TrainConfig

# What the digits are spared: a mirrored 2 is no 2.
DIGITS: dict[str, Any] = {"hflip": 0.0, "rrc_scale": (0.7, 1.0), "color_jitter": 0.0, "crop_pct": 1.0}


def classify(
    data: str, model: str, *, pretrained: bool = False, weights: str | None = None, **changes: Any
) -> TrainConfig:
    """The defaults of `pumice train` and `pumice fit`.

    AdamW with a cosine and warm-up, so that few networks need a rate of their own, and gradients clipped to norm 1.
    On digits at 32 pixels in six epochs, a rate of 0.005 gave MicroNet-M0, ShuffleNetV2 0.5 and MobileNetV3-Small 0.5
    93.6, 95.3 and 94.4 %, where 0.002 gave 93.6, 93.0 and 86.4; a tenth of it where trained weights are only adapted.
    (One seed each.)  SqueezeNet, without batch norm, hardly learns above 0.001.  Weight decay is small, as in timm's
    recipes for AdamW.  Random crops keep at least a third of the image: the 8 % of ImageNet training would leave small
    sets without their objects.  Batch norms follow at 0.1 whatever the network's own: TensorFlow's 0.01 needs thousands
    of steps.  Digits are neither mirrored nor cropped much: a mirrored 2 is no 2.

    Args:
        data: `digits` or an image folder.
        model: a name of `create_model`.
        pretrained: see TrainConfig.
        weights: see TrainConfig.
        changes: any other field of TrainConfig.
    """
    adapted = pretrained or weights is not None
    fresh_lr = 0.001 if "squeezenet" in model else 0.005
    fields: dict[str, Any] = {
        "data": data,
        "model": model,
        "pretrained": pretrained,
        "weights": weights,
        "optimizer": "adamw",
        "lr": 0.0005 if adapted else fresh_lr,
        "weight_decay": 0.02,
        "schedule": "cosine",
        "warmup_epochs": 2.0,
        "grad_clip": 1.0,
        "label_smoothing": 0.1,
        "ema_decay": 0.99,
        "bn_momentum": 0.1,
        "epochs": 20 if adapted else 40,
        "batch_size": 64,
        "rrc_scale": (0.35, 1.0),
        "hflip": 0.5,
        "color_jitter": 0.2,
    }
    if data == "digits":
        fields |= DIGITS
    return TrainConfig(**(fields | changes))
