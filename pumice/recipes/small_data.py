"""Classification of a few hundred to some ten thousand images, on a CPU or one GPU."""

from typing import Any

from pumice.train.config import TrainConfig


def classify(
    data: str, model: str, *, pretrained: bool = False, weights: str | None = None, **changes: Any
) -> TrainConfig:
    """The defaults of `pumice train` and `pumice fit`.

    AdamW with a cosine and warm-up needs no tuning per network; rate and decay are timm's for small networks and
    batches (0.002 at 64 images), a quarter of that where trained weights are only adapted.  The moving average and its
    warm-up are timm's too; its decay is Ultralytics' idea of one that a run of a few hundred steps can follow.  Random
    crops keep at least a third of the image, as torchvision's lighter references do: the 8 % of ImageNet training
    would leave small sets without their objects.  Batch norms follow at 0.1 whatever the network's own: TensorFlow's
    0.01 needs thousands of steps.  Digits are neither mirrored nor cropped away: a mirrored 2 is no 2.

    Args:
        data: `digits` or an image folder.
        model: a name of `create_model`.
        pretrained: see TrainConfig.
        weights: see TrainConfig.
        changes: any other field of TrainConfig.
    """
    adapted = pretrained or weights is not None
    fields: dict[str, Any] = {
        "data": data,
        "model": model,
        "pretrained": pretrained,
        "weights": weights,
        "optimizer": "adamw",
        "lr": 0.0005 if adapted else 0.002,
        "weight_decay": 0.02,
        "schedule": "cosine",
        "warmup_epochs": 2.0,
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
        fields |= {"hflip": 0.0, "rrc_scale": (0.7, 1.0), "color_jitter": 0.0, "crop_pct": 1.0}
    return TrainConfig(**(fields | changes))
