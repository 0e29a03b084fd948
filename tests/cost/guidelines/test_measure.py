"""Running an experiment: what is opened, timed and recorded.  Times are told, not measured, but for one test."""

import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest
from torch import nn

from pumice.cost.guidelines import measure
from pumice.cost.guidelines.experiment import Case, Claim, Column, Experiment
from pumice.cost.timing import Timing
from pumice.errors import BadInput, CheckFailed


def conv(c: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, c, 1, bias=False), nn.AdaptiveAvgPool2d(1))


CASES = (
    Case("narrow", "4", partial(conv, 4), {"GPU": 200.0, "phone": 5.0}),
    Case("wide", "8", partial(conv, 8), {"GPU": 100.0, "phone": 9.0}),
)
CLAIMS = (Claim("narrow", "wide"), Claim("narrow", "wide", per_madd=True, saves_ms=1.0, saves_madds=2.0))
TINY = Experiment(
    "tiny", "Tiny", "Narrow is faster.", "nobody", {"GPU": "batches/s", "phone": "ms"},
    lambda widths: (Column(widths, CASES, ((3, 8, 8), (3, 8, 8)), CLAIMS),),
)  # fmt: skip
Times = dict[str, float]


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(measure, "experiment", lambda name: TINY)
    monkeypatch.setattr(measure, "check_names", lambda names: ["tiny"])
    return


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Callable[[Times], list[dict[str, Any]]]:
    """`told({"narrow": 1.0})`: the sessions take these times; returns how the timing was asked for."""

    def tell(times: Times) -> list[dict[str, Any]]:
        asked: list[dict[str, Any]] = []

        def time_sessions(sessions: Sequence[Any], names: Sequence[str], **options: Any) -> list[Timing]:
            asked.append({"runtimes": [s.runtime for s in sessions], "names": list(names), **options})
            return [
                Timing(
                    name=name, runtime=s.runtime, device=s.device, threads=s.threads, batch=s.batch, dtype=s.dtype,
                    input_size=s.input_size, repeats=30, passes_per_sample=1, p50_ms=times[name], p90_ms=times[name],
                    cpu_p50_ms=times[name], ci95=(0.99 * times[name], 1.01 * times[name]),
                    cpu_ci95=(times[name], times[name]), busy=False,
                )
                for s, name in zip(sessions, names, strict=True)
            ]  # fmt: skip

        monkeypatch.setattr(measure, "time_sessions", time_sessions)
        return asked

    return tell


@pytest.mark.usefixtures("tiny")
def test_a_record(told: Any) -> None:
    asked = told({"narrow": 2.0, "wide": 3.0})
    said: list[str] = []
    record = measure.run(runtimes=("eager", "onnxruntime"), batch=2, time_limit_s=8, said=said.append)
    assert record == json.loads(json.dumps(record))
    assert said == ["tiny: arm"]
    assert [one["runtimes"] for one in asked] == [["eager"] * 2, ["onnxruntime"] * 2]
    assert all(one["names"] == ["narrow", "wide"] and one["time_limit_s"] == 4 for one in asked)
    (one,) = record["experiments"]
    narrow, wide = one["columns"][0]["cases"]
    assert (narrow["madds"], wide["madds"]) == (64 * 3 * 4, 64 * 3 * 8)
    assert wide["measured"]["onnxruntime"]["time"]["images_per_s"] == pytest.approx(2e3 / 3)
    assert wide["measured"]["onnxruntime"]["time"]["batches_per_s"] == pytest.approx(1e3 / 3)
    raw, per_madd = one["columns"][0]["claims"]
    assert raw["paper"] == {"GPU": 2.0, "phone": pytest.approx(1.8)}
    assert raw["here"]["eager"]["verdict"] == "holds"
    assert raw["here"]["eager"]["ratio"] == pytest.approx(1.5)
    # Twice the multiply-adds in one and a half times the time.
    assert per_madd["here"]["eager"]["verdict"] == "does not hold"
    assert per_madd["here"]["eager"]["ratio"] == pytest.approx(0.75)
    assert (per_madd["saved_madds"], per_madd["here"]["eager"]["saved_ms"]) == (64 * 12, pytest.approx(1.0))
    assert [verdict["verdict"] for verdict in one["verdicts"]] == ["holds in part"] * 2
    assert one["verdicts"][1]["sentence"] == (
        "holds in part in onnxruntime (of 2 comparisons: 1 yes, 1 no, 0 within the spread)"
    )
    assert (record["threads"], record["batch"], record["widths"], record["device"]) == (1, 2, "arm", "cpu")


@pytest.mark.usefixtures("tiny")
def test_one_runtime_of_each_kind_measured_for_real() -> None:
    """A tenth of a second a case; only that times come out, and of which runtime, is looked at."""
    record = measure.run(runtimes=("eager", "onnxruntime"), time_limit_s=0.4)
    for case in record["experiments"][0]["columns"][0]["cases"]:
        assert [timing["runtime"] for timing in case["measured"].values()] == ["eager", "onnxruntime"]
        assert all(0 < timing["ci95"][0] <= timing["ci95"][1] for timing in case["measured"].values())


@pytest.mark.usefixtures("tiny")
def test_a_runtime_that_computes_something_else_is_no_evidence(told: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from pumice.deploy.onnxruntime import OnnxRuntimeSession

    told({"narrow": 2.0, "wide": 3.0})
    right = OnnxRuntimeSession.infer
    monkeypatch.setattr(OnnxRuntimeSession, "infer", lambda self, x: right(self, x) + np.float32(0.1))
    with pytest.raises(CheckFailed, match=r"onnxruntime disagrees with the network of tiny, arm, narrow by"):
        measure.run(runtimes=("onnxruntime",))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"names": ["g9"]}, "no experiment 'g9'; choose g1, g2"),
        ({"runtimes": ["tvm"]}, "no runtime 'tvm'"),
        ({"widths": "phone"}, "widths 'phone' are unknown; choose arm, gpu, aligned"),
        ({"device": "cuda", "runtimes": ["onnxruntime"]}, "only runtime eager runs on cuda"),
        ({"threads": 10_000}, "10000 threads cannot run at once"),
    ],
)
def test_bad_input(options: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        measure.run(**options)


def test_a_runtime_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pumice.deploy.session.find_spec", lambda name: None)
    with pytest.raises(BadInput, match=r"runtime openvino is not installed; run `pip install 'pumice\[deploy\]'`"):
        measure.run(runtimes=["openvino"])


@pytest.mark.usefixtures("tiny")
def test_defaults_follow_the_device_and_what_is_installed(told: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = told({"narrow": 2.0, "wide": 3.0})
    monkeypatch.setattr(measure, "installed", lambda runtime: runtime != "openvino")
    assert measure.run()["runtimes"] == ["onnxruntime", "eager"]
    assert [one["runtimes"][0] for one in asked] == ["onnxruntime", "eager"]
    real = measure.open_session
    monkeypatch.setattr(measure, "open_session", lambda *args, **options: real(*args, **{**options, "device": "cpu"}))
    record = measure.run(device="cuda")
    assert (record["runtimes"], record["widths"], record["batch"]) == (["eager"], "gpu", 8)
