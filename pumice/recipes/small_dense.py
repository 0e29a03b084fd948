"""Dense tasks on a few hundred to some thousand images, on a CPU or one GPU.  The numbers are ours."""

from typing import Any

from pumice.train.config import TrainConfig

OF_TASK: dict[str, dict[str, Any]] = {
    "detect": {"lr": 0.001, "batch_size": 16, "epochs": 60, "grad_clip": 10.0},
    "segment": {"lr": 0.001, "batch_size": 8, "epochs": 60, "grad_clip": 1.0},
    "keypoints": {"lr": 0.001, "batch_size": 32, "epochs": 60, "grad_clip": 1.0},
}


def dense(
    task: str, data: str, model: str, *, pretrained: bool = False, weights: str | None = None, **changes: Any
) -> TrainConfig:
    """The defaults of `pumice train --task`: AdamW, warm-up, cosine, an average of the weights.

    Args:
        task: "detect", "segment" or "keypoints".
        data: a folder.
        model: a backbone, HEAD:BACKBONE or a network for the task.
        pretrained: see TrainConfig.
        weights: see TrainConfig.
        changes: any other field of TrainConfig.
    """
    fields: dict[str, Any] = {
        "data": data,
        "model": model,
        "task": task,
        "pretrained": pretrained,
        "weights": weights,
        "optimizer": "adamw",
        "weight_decay": 0.02,
        "schedule": "cosine",
        "warmup_epochs": 1.0,
        "ema_decay": 0.99,
        "bn_momentum": 0.1,
        **OF_TASK[task],
    }
    return TrainConfig(**(fields | changes))
