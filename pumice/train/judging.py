"""What validation makes of the networks' answers, and which epoch is the best: of a classifier, of a dense task."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pumice.data.images import ImageSet
from pumice.data.preprocess import Preprocess
from pumice.tasks.classify import Scores, score, top_k
from pumice.tasks.predictions import answers, answers_text
from pumice.tasks.task import Judge, Samples, Task, TaskScores
from pumice.train.together import Together

PARTNER = "partner_top1"  # a column more where there is a partner


class Judging(ABC):
    """Validation, epoch by epoch.  Every process calls the same methods.

    scores: of the last one; None before the first.
    """

    scores: TaskScores | None = None

    @abstractmethod
    def begin(self) -> None:
        """Forget what was taken."""

    @abstractmethod
    def take(self, net: nn.Module, partner: nn.Module | None, batch: Any) -> None:
        """Keep what the networks, in evaluation mode, answer to one batch."""

    @abstractmethod
    def end(self, together: Together) -> dict[str, float]:
        """Score all samples of all processes, each once: the columns of metrics.csv."""

    @abstractmethod
    def place(self) -> dict[str, float]:
        """The figures by which epochs are compared."""

    @abstractmethod
    def better(self, best: Mapping[str, Any]) -> bool:
        """Whether the last scores are above `place()` of another epoch."""

    @abstractmethod
    def line(self, row: Mapping[str, Any]) -> str:
        """An epoch's row for the console."""

    def files(self) -> dict[str, bytes]:
        """Files of the run folder that say what the best weights answer."""
        return {}


class ClassJudging(Judging):
    """Accuracy, then loss.  A batch is (images (N, C, H, W), classes (N,))."""

    scores: Scores | None = None

    def __init__(self, val: ImageSet) -> None:
        self.val = val
        self._logits: NDArray[np.float32] | None = None
        self.begin()

    def begin(self) -> None:
        """No outputs."""
        self._outputs: list[tuple[Tensor, Tensor]] = []

    def take(self, net: nn.Module, partner: nn.Module | None, batch: tuple[Tensor, Tensor]) -> None:
        """Keep the logits, (N, nets, classes): the network's, then the partner's."""
        images, target = batch
        nets = [net] if partner is None else [net, partner]
        self._outputs.append((torch.stack([each(images).float() for each in nets], 1).cpu(), target.cpu()))

    def end(self, together: Together) -> dict[str, float]:
        """Loss, top-1, top-5 and balanced accuracy; the partner's top-1."""
        every = (together.in_turn(torch.cat(part)) for part in zip(*self._outputs, strict=True))
        logits, labels = (part[: len(self.val)].numpy() for part in every)  # the rest are images judged twice
        self._outputs.clear()
        self.scores, self._logits = score(logits[:, 0], labels, self.val.classes), logits[:, 0]
        columns = {f"val_{name}": value for name, value in self.scores.columns().items()}
        return columns if logits.shape[1] == 1 else {**columns, PARTNER: top_k(logits[:, 1], labels, 1)}

    def place(self) -> dict[str, float]:
        """Accuracy and loss."""
        assert self.scores is not None
        return {"top1": self.scores.top1, "loss": self.scores.loss}

    def better(self, best: Mapping[str, Any]) -> bool:
        """By accuracy, then by loss."""
        assert self.scores is not None
        return (self.scores.top1, -self.scores.loss) > (best["top1"], -best["loss"])

    def line(self, row: Mapping[str, Any]) -> str:
        """Loss and accuracy."""
        partner = f"  partner {row[PARTNER]:.1%}" if PARTNER in row else ""
        return f"val loss {row['val_loss']:.3f}  top-1 {row['val_top1']:.1%}{partner}"

    def files(self) -> dict[str, bytes]:
        """predictions.csv."""
        assert self._logits is not None
        return {"predictions.csv": answers_text(answers(self.val, self._logits)).encode()}


class DenseJudging(Judging):
    """A task's judge, by its main figure.  A batch is (indices (N,), inputs (N, C, H, W)).

    decode: see `Task.judge`.
    """

    def __init__(self, task: Task, val: Samples, preprocess: Preprocess, decode: Mapping[str, Any]) -> None:
        self.task, self.val, self.preprocess, self.decode = task, val, preprocess, decode
        self.begin()

    def begin(self) -> None:
        """A new judge."""
        self._judge: Judge = self.task.judge(self.val, self.preprocess, self.decode)

    def take(self, net: nn.Module, partner: nn.Module | None, batch: tuple[Tensor, Tensor]) -> None:
        """Hand the outputs to the judge."""
        indices, inputs = batch

        def once(array: NDArray[np.float32]) -> NDArray[np.float32]:
            return net(torch.from_numpy(array).to(inputs.device)).float().cpu().numpy()

        run = self.task.answering(once, self.val)
        # Where the task asks once, the inputs stay where they are.
        outputs = net(inputs).float().cpu().numpy() if run is once else run(inputs.cpu().numpy())
        self._judge.add(indices.tolist(), outputs)

    def end(self, together: Together) -> dict[str, float]:
        """The task's columns."""
        if together.world > 1:
            for answered in together.everyones(self._judge.answers()):
                self._judge.take(answered)
        self.scores = self._judge.scores()
        return {f"val_{name}": value for name, value in self.scores.columns().items()}

    def place(self) -> dict[str, float]:
        """The main figure."""
        assert self.scores is not None
        return {"main": self.scores.main}

    def better(self, best: Mapping[str, Any]) -> bool:
        """By the main figure."""
        assert self.scores is not None
        return self.scores.main > float(best["main"])

    def line(self, row: Mapping[str, Any]) -> str:
        """The scores in words."""
        assert self.scores is not None
        return self.scores.sentence()
