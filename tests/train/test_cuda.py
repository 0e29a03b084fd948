"""Training on one GPU: every precision and strategy, gone on with bit for bit; skipped where there is none."""

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from safetensors.torch import load_file

from pumice.data.images import Splits
from pumice.files import read_json
from pumice.train import trainer
from pumice.train.config import TrainConfig
from pumice.train.run import resume, train
from pumice.train.state import read_state
from tests.train.conftest import Tiny, tiny_config
from tests.train.test_run import Killed, assert_same, kill_at, rows_of, seeded_tiny, tensors

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
CUDA: dict[str, Any] = {"accelerator": "cuda", "lr": 0.02}
WAYS: dict[str, dict[str, Any]] = {
    "float32": {},
    "bfloat16": {"precision": "bf16-mixed"},
    "float16": {"precision": "16-mixed"},
    "channels last": {"channels_last": True},
    "parts": {"accumulate": 2},
    "partner": {"partner": "tiny", "distill_gradient": "mutual", "grad_clip": 1.0},
    "partner, float16": {"partner": "tiny", "precision": "16-mixed", "grad_clip": 1.0},
    "processes": {"strategy": "ddp"},
    "synchronised norms": {"strategy": "ddp", "sync_bn": True},
    "shares": {"strategy": "fsdp"},
    "shares, bfloat16": {"strategy": "fsdp", "precision": "bf16-mixed"},
}


@pytest.fixture(autouse=True)
def tiny_partner(monkeypatch: pytest.MonkeyPatch, tiny_net: None) -> None:
    monkeypatch.setattr("pumice.train.partner.build_net", lambda config, classes: seeded_tiny(config.seed))


def undisturbed(config: TrainConfig, classes: tuple[str, ...]) -> Tiny:
    torch.manual_seed(config.seed)
    net = Tiny(len(classes))
    net.dropout.p = 0.0
    return net


@pytest.mark.parametrize("way", WAYS)
def test_a_killed_run_goes_on_bit_for_bit(
    way: str, few_digits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config(**CUDA, **WAYS[way], epochs=3)
    train(config, tmp_path / "whole", splits=few_digits)
    losses = [float(row["train_loss"]) for row in rows_of(tmp_path / "whole")]
    assert losses[-1] < losses[0] < 2.6
    with monkeypatch.context() as patch:
        kill_at(patch, 9)
        with pytest.raises(Killed):
            train(config, tmp_path / "killed", splits=few_digits)
    assert read_state(tmp_path / "killed" / "resume.pt")["step"] == 6
    resume(tmp_path / "killed", splits=few_digits)
    whole, killed = (tensors(read_state(tmp_path / name / "resume.pt")) for name in ("whole", "killed"))
    assert_same(whole, killed)
    assert rows_of(tmp_path / "whole") == rows_of(tmp_path / "killed")
    assert read_json(tmp_path / "whole" / "environment.json")["device"] == torch.cuda.get_device_name()


def test_memory_need_not_be_filled(few_digits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(tiny_config(**CUDA), tmp_path / "as it was", splits=few_digits)
    create = trainer._trainer

    def filling(*args: Any) -> pl.Trainer:
        made = create(*args)
        monkeypatch.setattr(torch.utils.deterministic, "fill_uninitialized_memory", True)
        return made

    monkeypatch.setattr(trainer, "_trainer", filling)
    train(tiny_config(**CUDA), tmp_path / "filled", splits=few_digits)
    filled, unfilled = (tensors(read_state(tmp_path / name / "resume.pt")) for name in ("filled", "as it was"))
    assert_same(filled, unfilled)


def test_a_processor_learns_the_same(few_digits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A dropout draws other numbers on other devices, and AdamW follows the signs of gradients, which may be rounding's.
    exact = {"optimizer": "sgd", "lr": 0.05, "mixup": 0.0, "freeze_norm": True}
    monkeypatch.setattr("pumice.train.net.build_net", undisturbed)
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        for name in ("cpu", "cuda"):
            train(tiny_config(**exact, accelerator=name), tmp_path / name, splits=few_digits)
    got, want = (load_file(tmp_path / name / "last.safetensors") for name in ("cuda", "cpu"))
    for key, value in want.items():
        torch.testing.assert_close(got[key], value, rtol=0, atol=1e-4)


def test_too_much_for_the_memory_is_said(few_digits: Splits, out: Path) -> None:
    free = torch.cuda.mem_get_info()[1]
    torch.cuda.set_per_process_memory_fraction(2e7 / free)
    try:
        with pytest.raises(Exception, match="the device's memory is full; train with less than batch_size=128"):
            train(tiny_config(**CUDA, img_size=512, batch_size=128), out, splits=few_digits)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
