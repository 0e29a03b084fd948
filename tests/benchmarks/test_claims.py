"""The papers' claims: images changed once are those of every run, and pieces of work wait for what they need."""

import statistics
from pathlib import Path

import claim_runs
import claims
import numpy as np
import pytest
import torch
from changed_once import ChangedOnce, augment_of, change, keep, kind_of
from claim_runs import Job, Scale, Task, check_scale, work

from pumice.data.digits import open_digits
from pumice.data.pipeline import TrainImages
from pumice.data.preprocess import Preprocess
from pumice.files import write_json


def test_what_is_changed_once_is_what_every_run_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ChangedOnce, "kept", {})
    images = open_digits().train.subset(range(20))
    job = Job("x", "x", "micronet_m2", 3, {}, {"img_size": 24})
    augment, preprocess = augment_of(job.config("photos", Scale())), Preprocess(size=(24, 24), mean=(0.4, 0.5, 0.6))
    kind = kind_of(3, preprocess, augment)
    keep(kind, 2, len(images))
    for epoch in range(2):
        change(kind, epoch, images)
    keys = [(epoch, index) for epoch in (1, 0) for index in (4, 0, 19)]
    plain = TrainImages(images, preprocess, augment, 3)
    once, other = (ChangedOnce(images, preprocess, augment, seed) for seed in (3, 4))
    assert once.pixels is not None
    assert other.pixels is None  # of another seed nothing is kept: made as ever
    for key, (sample, label), (strange, _) in zip(keys, once.__getitems__(keys), other.__getitems__(keys), strict=True):
        want, right = plain[key]
        assert torch.equal(sample, want)
        assert label == right
        assert not torch.equal(strange, want)


def test_the_rate_goes_with_the_root_of_the_batch() -> None:
    job = Job("x", "x", "micronet_m2", 0)
    usual, large = job.config("photos", Scale()), job.config("photos", Scale(batch=256, device="cuda"))
    assert (usual.batch_size, large.batch_size, large.accelerator) == (64, 256, "cuda")
    assert large.lr == pytest.approx(2 * usual.lr)


def test_work_waits_for_what_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claim_runs, "LIBRARIES", ())
    order = tmp_path / "order"

    def write(word: str) -> None:
        with order.open("a") as file:
            file.write(word)

    def fail() -> None:
        raise ValueError("no")

    first, broken = Task("first", lambda: write("a")), Task("broken", fail)
    after = Task("after", lambda: write("b"), (first,))
    never = Task("never", lambda: write("c"), (first, broken))
    work([after, never, first, broken], 2, None, tmp_path / "log.txt")
    assert order.read_text() == "ab"
    assert "ValueError: no" in (tmp_path / "log.txt").read_text()
    assert [task.done for task in (first, broken, after)] == [True, False, True]
    assert never.process is None


def test_a_folder_keeps_its_scale(tmp_path: Path) -> None:
    assert check_scale(tmp_path, Scale()) is None
    assert check_scale(tmp_path, Scale()) is None
    said = check_scale(tmp_path, Scale(images=5000))
    assert said is not None
    assert "another scale" in said


def test_the_table_compares_seed_by_seed(tmp_path: Path) -> None:
    tops = {"alone": (0.6, 0.7, 0.5), "with a full-rank partner": (0.62, 0.73, 0.51)}
    for seed in range(3):
        for job in claims.jobs("mutual", seed):
            (tmp_path / job.folder).mkdir(parents=True)
            write_json(tmp_path / job.folder / claims.FINISHED, {"top1": tops[job.label][seed]})
    alone, beside = list(claims.table(["mutual"], 3, tmp_path))[-2:]
    assert "| 60.00 | 10.00 | - | 3 |" in alone
    error = statistics.stdev((2, 3, 1)) / np.sqrt(3)
    assert f"| 62.00 | 11.00 | +2.00 ± {error:.2f} | 3 |" in beside
