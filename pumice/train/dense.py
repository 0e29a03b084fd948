"""What training needs of a dense task: its batches, its loss, its judge."""

from typing import Any

from torch import Tensor, nn
from torch.utils.data import Dataset

from pumice.data.images import Splits
from pumice.data.loaders import judging_loader, training_loader
from pumice.data.memory import GIB, fill, keep_decoded
from pumice.models.checkpoint import manifest_of
from pumice.models.described import preprocess_of
from pumice.tasks.names import OPTIONS, create_task
from pumice.train.config import TrainConfig
from pumice.train.judging import DenseJudging
from pumice.train.net import fed
from pumice.train.objective import Objective
from pumice.train.parts import Parts, Place


class TaskObjective(Objective):
    """The criterion of a dense task."""

    def __init__(self, criterion: nn.Module) -> None:
        super().__init__(0.0)
        self.criterion = criterion

    def forward(self, net: nn.Module, images: Tensor, target: Any) -> dict[str, Tensor]:
        """The loss; outputs in float32, whatever the precision of the network."""
        outputs = net(images)
        return {"network": self.criterion(outputs.float() if isinstance(outputs, Tensor) else outputs, target)}


class Numbered(Dataset[tuple[int, Tensor]]):
    """The samples of another set with their indices."""

    def __init__(self, data: Dataset[Tensor]) -> None:
        self.data = data

    def __len__(self) -> int:
        return len(self.data)  # type: ignore[arg-type]

    def __getitem__(self, index: int) -> tuple[int, Tensor]:
        return index, self.data[index]


def dense_parts(net: nn.Module, splits: Splits, config: TrainConfig, place: Place) -> Parts:
    """The parts of the configuration's task.

    Raises:
        BadInput: fewer samples than the parts of a step, or data that the task cannot learn from.
    """
    task, preprocess = create_task(config.task, config.task_options), fed(config, preprocess_of(net))
    train, val = keep_decoded(splits.train, GIB), keep_decoded(splits.val, GIB // 4)
    if config.workers:
        fill(train)
        fill(val)
    shared: dict[str, Any] = {
        "seed": config.seed,
        "workers": config.workers,
        "pin_memory": place.on_gpu,
        "rank": place.rank,
        "world": place.world,
    }
    learnt = task.training_set(train, preprocess, config.seed)
    batches = training_loader(learnt, config.batch_size, accumulate=config.accumulate, collate=task.collate, **shared)
    judged = judging_loader(Numbered(task.judging_set(val, preprocess)), config.batch_size, **shared)
    return Parts(
        batches,
        judged,
        TaskObjective(task.criterion(net, preprocess)),
        DenseJudging(task, val, preprocess, manifest_of(net).decode),
        getattr(learnt, "samples", train).names,  # it may show fewer than there are
    )


def carried(config: TrainConfig, splits: Splits[Any], decode: dict[str, Any]) -> dict[str, Any]:
    """`Manifest.decode` of a network that is trained so: that of the network, the data's part, the task's options."""
    task = create_task(config.task, config.task_options)
    return {**decode, **task.carried(splits.train), OPTIONS: config.task_options}
