"""Training on a stream, killed in the middle of an epoch, ends with the weights of a run that was never stopped."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from pumice.data.image import ImageBytes
from pumice.data.images import ImageSet, Splits
from pumice.data.stream import Encoded, ImageStream
from pumice.errors import BadInput
from pumice.train.config import TrainConfig
from pumice.train.open import open_for
from pumice.train.run import resume, train
from pumice.train.state import read_state
from tests.train.conftest import tiny_config
from tests.train.test_run import Killed, kill_at


@dataclass(frozen=True)
class Part:
    """A shard of encoded digits; `read` counts how often any was opened."""

    images: tuple[tuple[bytes, int], ...]
    read: list[int]

    def __call__(self) -> Iterator[Encoded]:
        self.read[0] += 1
        for i, (data, label) in enumerate(self.images):
            yield Encoded(ImageBytes(data, str(i)), label)


def streamed(digits: Splits, read: list[int], damaged: int | None = None) -> Splits:
    """200 digits in eight shards."""
    encoded = []
    for i in range(200):
        file = io.BytesIO()
        digits.train.image(i).save(file, "PNG")
        encoded.append((b"" if i == damaged else file.getvalue(), digits.train.labels[i]))
    shards = tuple(Part(tuple(encoded[start : start + 25]), read) for start in range(0, 200, 25))
    stream = ImageStream(digits.classes, 200, shards, buffer=10, strict=True)
    return Splits("stream", ImageSet(digits.classes, (), (), ()), digits.val.subset(range(60)), (), stream)


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_a_killed_run_ends_with_the_same_weights(
    workers: int, few_digits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = [0]
    data = streamed(few_digits, read)
    config = tiny_config(save_every_s=0.0, workers=workers)
    train(config, tmp_path / "whole", splits=data)
    with monkeypatch.context() as patch:
        kill_at(patch, 9)  # the fourth of six steps of the second epoch
        with pytest.raises(Killed):
            train(config, tmp_path / "killed", splits=data)
    state = read_state(tmp_path / "killed" / "resume.pt")
    assert (state["step"], state["stream"]["epoch"], state["stream"]["batch"]) == (9, 1, 3)
    read[0] = 0
    result = resume(tmp_path / "killed", splits=data)
    assert result.epochs == 2
    if not workers:
        # 96 of 200 images, and 10 in the buffer, are passed: of eight shards four or five are left, one or two open.
        assert read[0] <= 7
    whole, killed = (load_file(tmp_path / name / "last.safetensors") for name in ("whole", "killed"))
    assert whole.keys() == killed.keys()
    assert all(torch.equal(whole[key], killed[key]) for key in whole)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_damaged_image_ends_it_in_one_sentence(workers: int, few_digits: Splits, tmp_path: Path) -> None:
    data = streamed(few_digits, [0], damaged=77)
    with pytest.raises(BadInput) as caught:
        train(tiny_config(workers=workers), tmp_path / "run", splits=data)
    assert str(caught.value) == "cannot read the image 2: it is empty (0 bytes)"


def test_settings() -> None:
    config = TrainConfig().with_overrides(["data.streaming=true", "data.epoch_images=500", "data.val=wds:x"])
    assert (config.streaming, config.epoch_images, config.val) == (True, 500, "wds:x")
    with pytest.raises(BadInput, match="balanced=True cannot work"):
        config.with_overrides(["data.balanced=true"])
    with pytest.raises(BadInput, match="digits cannot be streamed"):
        open_for(TrainConfig(streaming=True))
    with pytest.raises(BadInput, match="for shards and streams"):
        open_for(TrainConfig(val="wds:x"))


def test_balanced_training(few_digits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[int] = []
    from pumice.train.module import Learner

    untouched = Learner.training_step

    def training_step(self: Learner, batch: tuple[torch.Tensor, torch.Tensor], batch_idx: int) -> torch.Tensor:
        shown.extend(batch[1].tolist())
        return untouched(self, batch, batch_idx)

    monkeypatch.setattr(Learner, "training_step", training_step)
    rare = [i for i in range(200) if few_digits.train.labels[i] != 3 or i < 20]
    data = Splits("digits", few_digits.train.subset(rare), few_digits.val)
    train(tiny_config(balanced=True, epochs=1), tmp_path / "run", splits=data)
    counts = [shown.count(c) for c in range(10)]
    assert max(counts) - min(counts) <= 6, counts  # 5 batches of 32 of nearly balanced 180
    assert few_digits.train.subset(rare).labels.count(3) <= 4
