"""What every task promises, so that training, `val`, `predict` and reports need to know none of them.

A task is made from its options; it opens nothing and imports torch only in the methods that need it, so that exported
files are judged without.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from pumice.data.preprocess import Preprocess

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor, nn
    from torch.utils.data import Dataset


Run = Callable[[NDArray[np.float32]], NDArray[np.float32]]


class Samples(Protocol):
    """What data of every task have in common: `ImageSet`, `BoxSet`, `MaskSet`, `PoseSet`.

    classes: names, in order; of keypoints the joints.  names: of the samples.
    """

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""

    @property
    def names(self) -> tuple[str, ...]:
        """A name per sample."""

    def __len__(self) -> int: ...

    def image(self, index: int) -> "Image.Image":
        """The whole image of sample `index`, RGB."""

    def subset(self, indices: Sequence[int]) -> "Samples":
        """The samples at these indices, in that order; no image is copied or read."""


class TaskScores(ABC):
    """How well a network does on one set.

    main: the figure that decides which epoch is best, greater is better.  count: samples.
    """

    main: float
    count: int

    @abstractmethod
    def columns(self) -> dict[str, float]:
        """Columns of metrics.csv, the task's `columns` in order."""

    @abstractmethod
    def sentence(self) -> str:
        """The main figures in words: "AP50 81.2 %, AP 50.3 %"."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """JSON values; the subclass's constructor takes them back by keyword."""


class Judge(ABC):
    """Collects what a network answers, batch by batch in any order, and scores it at the end.  In numpy alone."""

    @abstractmethod
    def add(self, indices: Sequence[int], outputs: NDArray[np.float32]) -> None:
        """Take the outputs (N, ...) for the samples at these indices; one that comes again is ignored."""

    @abstractmethod
    def answers(self) -> list[Any]:
        """What is kept of each sample so far, as JSON values, by sample; what `take` of another judge accepts."""

    @abstractmethod
    def take(self, answers: list[Any]) -> None:
        """Add what another process's judge has collected."""

    @abstractmethod
    def scores(self) -> TaskScores:
        """Score everything that was added.

        Raises:
            BadInput: nothing was added.
            CheckFailed: an output was no finite number.
        """


class Task(ABC):
    """What a network is trained and judged for.

    name: as `--task` has it.  columns: of the scores in metrics.csv, without the prefix `val_`.  Options: a frozen
    dataclass of JSON values with defaults, augmentation and loss together, set with `--set task.NAME=VALUE`.  Scores:
    what its judge gives.
    """

    name: ClassVar[str]
    columns: ClassVar[tuple[str, ...]]
    Options: ClassVar[type]
    Scores: ClassVar[type[TaskScores]]

    def __init__(self, options: Any = None) -> None:
        self.options = self.Options() if options is None else options

    @abstractmethod
    def outputs(self, classes: tuple[str, ...]) -> int:
        """`num_classes` of a network for these classes; a detector has one for the background."""

    def carried(self, samples: Any) -> dict[str, Any]:
        """What reading a network's outputs needs of the data, JSON values that join its `Manifest.decode`."""
        return {}

    @abstractmethod
    def training_set(self, samples: Any, preprocess: Preprocess, seed: int) -> "Dataset[Any]":
        """Augmented samples for the keys (epoch, index) of an EpochSampler; each a function of seed, epoch and index.

        Item: (input (C, H, W) float32, target); `collate` makes a batch of them.
        """

    @abstractmethod
    def judging_set(self, samples: Any, preprocess: Preprocess) -> "Dataset[Tensor]":
        """The network input (C, H, W) float32 of each sample, without any randomness."""

    def collate(self, items: list[Any]) -> tuple["Tensor", Any]:
        """A batch: inputs (N, C, H, W), and targets as `criterion` takes them."""
        from torch.utils.data import default_collate

        inputs, targets = default_collate(items)
        return inputs, targets

    @abstractmethod
    def criterion(self, net: "nn.Module", preprocess: Preprocess) -> "nn.Module":
        """The loss: forward(outputs of the net (N, ...), targets of the batch) -> mean loss, a scalar."""

    def answering(self, run: Run, samples: Any) -> Run:
        """`run`, a batch (N, C, H, W) -> the network's outputs, as it is judged: a flip test runs it twice."""
        return run

    @abstractmethod
    def judge(self, samples: Any, preprocess: Preprocess, decode: Mapping[str, Any]) -> Judge:
        """A judge of the outputs for `judging_set`.

        decode: how outputs are read, `Manifest.decode`.
        """
