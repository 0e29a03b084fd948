"""Ctrl-C, SIGTERM and the order of things, in processes of their own."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from PIL import Image

from pumice.data.images import Splits
from pumice.errors import CheckFailed
from pumice.train.interrupt import Interrupt, Interrupted
from pumice.train.run import resume, train
from pumice.train.state import read_state
from tests.train.conftest import tiny_config


def test_the_first_signal_waits_and_the_second_does_not() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Interrupt(), pytest.raises(Interrupted):
        os.kill(os.getpid(), signal.SIGINT)
    with Interrupt() as interrupt:
        interrupt.patient = True
        os.kill(os.getpid(), signal.SIGTERM)
        assert interrupt.asked
        with pytest.raises(Interrupted):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_signal_that_python_swallows_is_remembered() -> None:
    class Dying:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGTERM)

    with Interrupt() as interrupt:
        dying = Dying()
        del dying  # what its end raises, nobody sees
        assert interrupt.asked


@pytest.mark.parametrize("step", [3, 5, 8], ids=["mid epoch", "last of epoch", "second epoch"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_step_and_the_run_goes_on_later(
    step: int, number: signal.Signals, few_digits: Splits, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pumice.train.module import Learner

    untouched = Learner.training_step

    def training_step(self, batch, batch_idx):  # type: ignore[no-untyped-def]
        if self.steps_done == step:
            os.kill(os.getpid(), number)
        return untouched(self, batch, batch_idx)

    whole = train(tiny_config(), out.with_name("whole"), splits=few_digits)
    with monkeypatch.context() as patch:
        patch.setattr(Learner, "training_step", training_step)
        result = train(tiny_config(), out, splits=few_digits)
    assert result.interrupted
    assert result.epochs == (step + 1) // 6
    assert result.sentence == f"stopped at epoch {result.epochs + 1}; continue with `pumice train --resume {out}`"
    assert read_state(out / "resume.pt")["step"] == step + 1  # the step under way was finished
    assert not (out / "metrics.json").exists()
    assert not resume(out, splits=few_digits).interrupted
    for name in ("last.safetensors", "best.safetensors"):
        assert (out / name).read_bytes() == (whole.out / name).read_bytes()


@pytest.mark.parametrize("times", [1, 2])
def test_a_signal_during_a_save_leaves_a_good_state(
    times: int, few_digits: Splits, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the two renamings: one signal waits for the end of the save; of two, the second ends it there."""
    whole = train(tiny_config(), out.with_name("whole"), splits=few_digits)
    untouched = os.replace

    def replace(source: Path, target: Path) -> None:
        untouched(source, target)
        if target.name == "resume.previous.pt" and read_state(target)["step"] == 7:
            for _ in range(times):
                os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", replace)
        assert train(tiny_config(save_every_s=0.0), out, splits=few_digits).interrupted
    assert (out / "resume.pt").exists() == (times == 1)
    if times == 1:
        assert read_state(out / "resume.pt")["step"] == 8
    assert not [path.name for path in out.rglob("*.part*")]
    assert not resume(out, splits=few_digits).interrupted
    for name in ("last.safetensors", "best.safetensors"):
        assert (out / name).read_bytes() == (whole.out / name).read_bytes()


def test_a_killed_worker_is_one_sentence_and_costs_nothing(
    few_digits: Splits, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the system does where memory runs out."""
    from multiprocessing import active_children

    from pumice.train.module import Learner

    whole = train(tiny_config(), out.with_name("whole"), splits=few_digits)
    untouched = Learner.training_step

    def training_step(self, batch, batch_idx):  # type: ignore[no-untyped-def]
        if self.steps_done == 7:
            for worker in active_children():
                os.kill(worker.pid or 0, signal.SIGKILL)
            time.sleep(0.2)
        return untouched(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(Learner, "training_step", training_step)
        with pytest.raises(CheckFailed, match=r"a process that prepares images has died.* less than data.workers=1"):
            train(tiny_config(workers=1), out, splits=few_digits)
    with suppress(RuntimeError):  # torch tells of a dead worker whenever the signal comes, here too on a busy machine
        time.sleep(0.5)
    assert read_state(out / "resume.pt")["step"] == 6
    assert resume(out, splits=few_digits).epochs == 2
    for name in ("last.safetensors", "best.safetensors"):
        assert (out / name).read_bytes() == (whole.out / name).read_bytes()


def test_a_full_device_is_one_sentence(few_digits: Splits, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pumice.train.module import Learner

    def training_step(self, batch, batch_idx):  # type: ignore[no-untyped-def]
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(Learner, "training_step", training_step)
    with pytest.raises(CheckFailed, match="the device's memory is full; train with less than batch_size=32"):
        train(tiny_config(), out, splits=few_digits)


SCRIPT = """
import sys
from pumice.train.config import TrainConfig
from pumice.train.run import train
config = TrainConfig(model="mobilenetv3_small_050", img_size=32, epochs=1000, batch_size=32, accelerator="cpu")
result = train(config, sys.argv[1])
print(result.sentence)
raise SystemExit(130 if result.interrupted else 0)
"""


@pytest.mark.slow  # 40 s: it imports everything and trains a real network
def test_ctrl_c_on_a_real_run_leaves_a_run_to_go_on_with(out: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(out)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while not (out / "metrics.csv").exists():
        assert process.poll() is None, process.stderr and process.stderr.read()
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    told, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert told.startswith("stopped at epoch ")
    assert "Traceback" not in errors
    assert read_state(out / "resume.pt")["step"] > 0
    assert not [path.name for path in out.rglob("*.part*")]


TRAP = """
import sys
from pathlib import Path
out = Path(sys.argv[1])

class Trap:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            assert (out / "config.json").is_file(), "torch before config.json"
            print("trapped")
            raise SystemExit(0)

sys.meta_path.insert(0, Trap())
from pumice.recipes.small_data import classify
from pumice.train.run import train
train(classify(sys.argv[2], "micronet_m0"), out)
"""


def test_config_json_is_there_before_torch_is_imported(out: Path, tmp_path: Path) -> None:
    for i, shade in enumerate((0, 50, 100, 150)):
        file = tmp_path / "photos" / ("dark" if shade < 75 else "light") / f"{i}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (shade,) * 3).save(file)
    command = [sys.executable, "-c", TRAP, str(out), str(tmp_path / "photos")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "trapped\n"), done.stderr
    assert (out / "config.json").is_file()
