"""Two processes on this machine's processors (gloo): they train what one process trains, and they end together."""

import csv
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from pumice.train.records import CLOCK
from pumice.train.run import train
from pumice.train.state import read_state
from tests.train.several import build, config_of, odd_digits
from tests.train.test_run import assert_same, rows_of, tensors

ROOT = Path(__file__).parents[2]
SCRIPT = str(Path(__file__).with_name("several.py"))
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def start(*command: str, mishap: str | None = None, timeout: float = 400) -> subprocess.CompletedProcess[str]:
    """Run a Python command with two processes in it; that it ends at all is part of every test."""
    env = {k: v for k, v in os.environ.items() if k != "MISHAP"}
    env |= {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"} | ({"MISHAP": mishap} if mishap else {})
    return subprocess.run(
        [sys.executable, *command], env=env, cwd=ROOT, capture_output=True, text=True, check=False, timeout=timeout
    )


def rows(out: Path) -> list[list[float]]:
    """metrics.csv without the columns of the clock."""
    with (out / "metrics.csv").open() as file:
        return [[float(v) for k, v in row.items() if k not in CLOCK] for row in csv.DictReader(file)]


def assert_as_one(two: Path, one: Path) -> None:
    """Weights within 1e-5, metrics within 1e-5 of their value.

    Measured: weights 1.2e-7 (SGD) and 2.8e-6 (AdamW, which divides by small numbers), metrics 6e-8.
    """
    got, want = load_file(two / "last.safetensors"), load_file(one / "last.safetensors")
    assert got.keys() == want.keys()
    for key, value in want.items():
        torch.testing.assert_close(got[key], value, rtol=0, atol=1e-5)
    for mine, theirs in zip(rows(two), rows(one), strict=True):
        assert mine == pytest.approx(theirs, rel=1e-5)


@pytest.fixture(autouse=True)
def build_net(monkeypatch: pytest.MonkeyPatch, tiny_net: None) -> None:
    """The net of the other processes."""
    monkeypatch.setattr("pumice.train.net.build_net", build)


QUICK = ("plain", "accumulated", "fsdp")


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runs of QUICK, by two processes of one torchrun."""
    out = tmp_path_factory.mktemp("two")
    done = start(*TORCHRUN, SCRIPT, str(out), *QUICK)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("epoch 2/2") == len(QUICK)  # the first process alone speaks
    return out


def test_two_processes_train_what_one_trains(two: Path, tmp_path: Path) -> None:
    splits, config = odd_digits(), config_of("plain")
    train(config, tmp_path / "one", splits=splits)
    fresh, trained = build(config, splits.classes).state_dict(), load_file(tmp_path / "one" / "last.safetensors")
    assert max((trained[key] - value).abs().max().item() for key, value in fresh.items()) > 0.02  # it has moved
    for name in QUICK:
        assert_as_one(two / name, tmp_path / "one")


def test_a_step_in_parts_is_the_step_as_a_whole(tmp_path: Path) -> None:
    for parts in (1, 2):
        train(config_of("accumulated", accumulate=parts), tmp_path / f"{parts}", splits=odd_digits())
    whole, parted = (load_file(tmp_path / f"{parts}" / "last.safetensors") for parts in (1, 2))
    for key, value in whole.items():
        torch.testing.assert_close(parted[key], value, rtol=0, atol=1e-6)  # measured: 1.2e-7
    assert read_state(tmp_path / "2" / "resume.pt")["step"] == 12  # optimiser steps
    for mine, theirs in zip(rows(tmp_path / "2"), rows(tmp_path / "1"), strict=True):
        assert mine == pytest.approx(theirs, rel=1e-6)


@pytest.mark.slow  # two processes
def test_adamw_in_shares_and_a_frozen_backbone_too(tmp_path: Path) -> None:
    names = ("fsdp_adamw", "backbone")
    done = start(*TORCHRUN, SCRIPT, str(tmp_path), *names)
    assert done.returncode == 0, done.stderr
    for name in names:
        train(config_of(name, strategy="auto"), tmp_path / "one" / name, splits=odd_digits())
        assert_as_one(tmp_path / name, tmp_path / "one" / name)


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
def test_synchronised_batch_norm_sees_the_whole_batch(tmp_path: Path) -> None:
    done = start(*TORCHRUN, SCRIPT, str(tmp_path), "sync_bn")
    assert done.returncode == 0, done.stderr
    train(config_of("sync_bn", sync_bn=False), tmp_path / "one", splits=odd_digits())
    got, want = (load_file(tmp_path / name / "last.safetensors") for name in ("sync_bn", "one"))
    for key, value in want.items():
        torch.testing.assert_close(got[key], value, rtol=1e-3, atol=1e-3)


# Everything random is on here; a batch norm sees the images of its process.
COMMAND = ("train", "digits", "--model", "micronet_m0", "--epochs", "2", "--set", "train.accelerator=cpu")
COMMAND += ("--set", "augment.mixup=0.2", "--set", "train.accumulate=2", "--set", "train.devices=2")
LAUNCHERS = {"torchrun": TORCHRUN, "lightning": []}


def command(launcher: str, *arguments: str) -> list[str]:
    """A command that starts two processes."""
    return [*LAUNCHERS[launcher], SCRIPT, *arguments]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Runs of COMMAND that nothing stopped, in whole weights and in shares."""
    out = tmp_path_factory.mktemp("whole")
    for strategy in ("ddp", "fsdp"):
        done = start(*command("torchrun", *COMMAND, "--set", f"strategy={strategy}", "--out", str(out / strategy)))
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("top-1") == 1
    return {name: out / name for name in ("ddp", "fsdp")}


@pytest.mark.slow  # several times two processes
@pytest.mark.parametrize(
    ("launcher", "mishap", "strategy"),
    [
        ("torchrun", "term launcher:30:1", "ddp"),
        ("torchrun", "term launcher:5:0", "fsdp"),
        ("lightning", "term self:21:0", "ddp"),
    ],
)
def test_a_signal_stops_all_at_one_step_and_the_run_goes_on(
    launcher: str, mishap: str, strategy: str, whole: dict[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    stopped = start(*command(launcher, *COMMAND, "--set", f"strategy={strategy}", "--out", str(out)), mishap=mishap)
    assert stopped.returncode != 0
    assert stopped.stderr.count("continue with `pumice train --resume") == 1, stopped.stderr
    assert read_state(out / "resume.pt")["step"] == int(mishap.split(":")[1]) + 1
    done = start(*command(launcher, "train", "--resume", str(out)))
    assert done.returncode == 0, done.stderr
    assert_same(tensors(read_state(out / "resume.pt")), tensors(read_state(whole[strategy] / "resume.pt")))
    for name in ("last.safetensors", "best.safetensors"):
        assert (out / name).read_bytes() == (whole[strategy] / name).read_bytes()
    assert rows_of(out) == rows_of(whole[strategy])


@pytest.mark.slow  # two processes
def test_processes_that_srun_has_started(whole: dict[str, Path], tmp_path: Path) -> None:
    """As far as its environment variables go; there is no SLURM here."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"SLURM_NTASKS": 2, "SLURM_NTASKS_PER_NODE": 2, "SLURM_STEP_NUM_TASKS": 2, "SLURM_NNODES": 1}
    shared |= {"SLURM_JOB_ID": 12, "SLURM_JOB_NAME": "train", "SLURM_NODEID": 0, "SLURM_NODELIST": "127.0.0.1"}
    shared |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "PYTHONPATH": ROOT, "OMP_NUM_THREADS": 1}
    processes = []
    for rank in (0, 1):
        own = {k: str(v) for k, v in (shared | {"SLURM_PROCID": rank, "SLURM_LOCALID": rank}).items()}
        start = [sys.executable, SCRIPT, *COMMAND, "--set", "strategy=ddp", "--out", str(tmp_path / "run")]
        processes.append(
            subprocess.Popen(
                start, env=os.environ | own, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        )
    (told, errors), (silent, more) = (process.communicate(timeout=200) for process in processes)
    assert [process.returncode for process in processes] == [0, 0], errors + more
    assert (told.count("top-1"), silent) == (1, "")
    assert (tmp_path / "run" / "last.safetensors").read_bytes() == (whole["ddp"] / "last.safetensors").read_bytes()


@pytest.mark.slow  # several times two processes
@pytest.mark.parametrize("launcher", list(LAUNCHERS))
@pytest.mark.parametrize(
    ("mishap", "words"),
    [
        ("bad image:3:1", "pumice: photo 7 cannot be read"),
        ("bad image:3:0", "pumice: photo 7 cannot be read"),
        ("killed:3:1", "pumice: another process of this run has ended"),
        ("infinite:3:1", "pumice: the loss at step 4 is inf"),
    ],
)
def test_what_happens_to_one_process_ends_all_with_one_sentence(
    launcher: str, mishap: str, words: str, tmp_path: Path
) -> None:
    done = start(*command(launcher, *COMMAND, "--out", str(tmp_path / "run")), mishap=mishap, timeout=120)
    assert done.returncode != 0
    assert done.stderr.count(words) == 1, done.stderr
    assert "bug of Pumice" not in done.stderr


@pytest.mark.slow  # three times two processes
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--batch-size", "30"), "batch_size=30 cannot be shared by 2 devices in 2 parts each; give a multiple of 4"),
        (("--set", "train.devices=1"), "2 processes were started, but"),
        ((), "holds another run"),  # the first process alone looks
    ],
)
def test_bad_input_is_one_sentence_of_the_first_process(arguments: tuple[str, ...], words: str, tmp_path: Path) -> None:
    out = tmp_path / "run"
    if not arguments:
        out.mkdir()
        (out / "config.json").write_text("{}")
    done = start(*command("torchrun", *COMMAND, *arguments, "--out", str(out)), timeout=120)
    assert done.returncode != 0
    assert [line for line in done.stderr.splitlines() if line.startswith("pumice:") and words not in line] == []
    assert done.stderr.count(words) == 1, done.stderr
    assert out.exists() == (not arguments)
