"""What the processes of `test_distributed.py` do.

several.py FOLDER NAME...    train these RUNS, each into a folder of its name
several.py train DATA ...    `pumice train`, of a Tiny whatever the model; MISHAP=WHAT:STEP:RANK lets something happen
"""

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pumice.data.digits import open_digits
from pumice.data.images import Splits
from pumice.errors import BadInput
from pumice.train.config import TrainConfig
from pumice.train.module import Learner
from tests.train.conftest import Tiny, tiny_config

EXACT = {"freeze_norm": True, "optimizer": "sgd", "lr": 0.2, "mixup": 0.0, "img_size": 32}
RUNS: dict[str, dict[str, Any]] = {
    "plain": {**EXACT, "grad_clip": 0.5},
    "accumulated": {**EXACT, "grad_clip": 0.5, "accumulate": 2},
    "fsdp": {**EXACT, "grad_clip": 0.5, "strategy": "fsdp"},
    "fsdp_adamw": {**EXACT, "optimizer": "adamw", "lr": 0.01, "strategy": "fsdp"},
    "backbone": {**EXACT, "freeze": "backbone"},
    "sync_bn": {**EXACT, "freeze_norm": False, "drop_rate": 0.0, "sync_bn": True, "accelerator": "cuda"},
}


def config_of(name: str, **changes: Any) -> TrainConfig:
    """Two epochs in steps of 32 images."""
    return tiny_config(**(RUNS[name] | changes))


def odd_digits() -> Splits:
    """201 and 61 of the digits; neither is shared evenly by two processes."""
    digits = open_digits()
    return Splits("digits", digits.train.subset(range(201)), digits.val.subset(range(61)))


def build(config: TrainConfig, classes: tuple[str, ...]) -> nn.Module:
    """A Tiny; without dropout if its norms are frozen or `drop_rate` is 0."""
    torch.manual_seed(config.seed)
    net = Tiny(len(classes))
    if config.freeze_norm or config.drop_rate == 0:
        net.dropout.p = 0.0
    if config.freeze_norm:
        for module in net.modules():  # without norms that follow, it would hardly learn from torch's own start
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    return net


def arrange(what: str, step: int, rank: int) -> None:
    """Let something happen in the first part of a step, counted from 0, of one process."""
    untouched = Learner.training_step

    def training_step(self: Learner, batch: Any, batch_idx: int) -> Tensor:
        loss = untouched(self, batch, batch_idx)
        if (self.steps_done, self.global_rank) != (step, rank) or not self.mid_step(batch_idx):
            return loss
        if what == "bad image":
            raise BadInput("photo 7 cannot be read")
        if what == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if what in ("term self", "term launcher"):
            os.kill(os.getpid() if what == "term self" else os.getppid(), signal.SIGTERM)
            time.sleep(1)  # until the launcher has told the others
        return loss

    losses_of = Learner.losses_of

    def infinite(self: Learner, batch: Any) -> dict[str, Tensor]:
        losses = losses_of(self, batch)
        if (self.steps_done, self.global_rank) == (step, rank):
            losses["network"] = losses["network"] / 0
        return losses

    Learner.training_step = training_step  # type: ignore[method-assign]
    if what == "infinite":
        Learner.losses_of = infinite  # type: ignore[method-assign]


if __name__ == "__main__":
    import pumice.train.net
    from pumice.cli.main import main
    from pumice.train.run import train

    pumice.train.net.build_net = build
    torch.set_num_threads(1)
    if "MISHAP" in os.environ:
        what, step, rank = os.environ["MISHAP"].split(":")
        arrange(what, int(step), int(rank))
    if sys.argv[1] == "train":
        main()
    for name in sys.argv[2:]:
        train(config_of(name, devices=2), Path(sys.argv[1]) / name, splits=odd_digits())
