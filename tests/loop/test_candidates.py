"""Which candidates there are, what is known of them without building, and their order."""

from dataclasses import replace

import pytest

from pumice.cost.budget import Budget
from pumice.cost.timing import Timing
from pumice.errors import BadInput
from pumice.loop.candidates import LOST_AT, SIZES, Candidate, mark, promise, promising, propose
from pumice.loop.config import FitConfig
from pumice.models.catalogue import entries, entry


def timing(bound: float, busy: bool = False) -> Timing:
    return Timing(
        name="x",
        runtime="onnxruntime",
        device="cpu",
        threads=1,
        batch=1,
        dtype="float32",
        input_size=(3, 96, 96),
        repeats=10,
        passes_per_sample=1,
        p50_ms=bound * 0.98,
        p90_ms=bound * 1.1,
        cpu_p50_ms=bound * 0.9,
        ci95=(bound * 0.96, bound),
        cpu_ci95=(bound * 0.88, bound * 0.92),
        busy=busy,
    )


def candidate(
    model: str = "micronet_m0", size: int = 96, runtime: str = "onnxruntime", bound: float | None = None, **more
):
    made = Candidate(model, size, runtime, 1000, 2000, 0, 3000, promise(entry(model), size), **more)
    if bound is not None:
        made.timings.append(timing(bound))
        made.status = "measured"
    return made


def test_every_classifier_of_photos_at_every_size_that_it_takes_and_runtime():
    found = propose(FitConfig("digits"), 10, ("onnxruntime", "openvino"))
    names = {c.model for c in found}
    assert {(c.model, c.size, c.runtime) for c in found} == {
        (n, s, r) for n in names for s in SIZES if str(s) in entry(n).sizes for r in ("onnxruntime", "openvino")
    }
    assert {c.size for c in found if c.model == "channelnet_v3"} == {224}
    left_out = {e.name for e in entries()} - names
    for name in ("tv_shufflenetv2_100", "condensenet74_cifar", "igcv2_small_ours", "espnet_p2_q8", "pelee_voc"):
        assert name in left_out, "torchvision's layouts, nets of small images, and nets for other tasks"
    assert all(n.startswith("tv_") or (entry(n).published or {}).get("top1") is None for n in left_out)
    named = propose(FitConfig("digits", models=("condensenet50_cifar",)), 10, ("onnxruntime",))
    assert {c.model for c in named} == {"condensenet50_cifar"}, "who names a net gets it"


@pytest.mark.parametrize("name", ["micronet_m0", "squeezenet1_1", "mobilenetv3_small_035", "shufflenetv2_050"])
def test_counts_are_those_of_the_network_with_the_datas_classes(name):
    import torch

    from pumice.cost.count import profile
    from pumice.models.create import create_model

    found = next(c for c in propose(FitConfig("digits", models=(name,)), 7, ("onnxruntime",)) if c.size == 128)
    with torch.device("meta"):
        cost = profile(create_model(name, num_classes=7), (3, 128, 128))
    assert (found.params, found.madds, found.extra_madds) == (cost.params, cost.madds, cost.extra_madds)
    assert abs(found.peak_activation_bytes - cost.peak_activation_bytes) <= 4 * 1000


def test_limits_that_need_no_measurement_drop_candidates_at_once():
    config = FitConfig("digits", budget=Budget(max_madds=5_000_000, max_params=600_000))
    found = propose(config, 10, ("onnxruntime",))
    for c in found:
        over = c.madds > 5_000_000 or c.params > 600_000
        assert (c.status == "over budget") == over, c.label
        assert bool(c.reason) == over
    assert {c.status for c in found} == {"over budget", "not measured"}


def test_pretrained_takes_only_networks_with_weights():
    found = propose(FitConfig("digits", pretrained=True), 10, ("onnxruntime",))
    assert {c.model for c in found} == {e.name for e in entries() if e.pretrained}


def test_no_match_is_bad_input():
    with pytest.raises(BadInput, match="nonsense"):
        propose(FitConfig("digits", models=("nonsense*",)), 10, ("onnxruntime",))


def test_promise_falls_with_the_input_as_published_for_mobilenet_v2():
    assert promise(entry("mobilenetv3_small_100"), 224) == 67.4
    assert promise(entry("mobilenetv3_small_100"), 96) == pytest.approx(67.4 - 11.5)
    assert all(promise(e, s) > 30 for e in entries() for s in LOST_AT)


def test_bound_is_the_worst_of_all_measurements_and_cpu_time_when_busy():
    c = candidate(bound=2.0)
    c.timings.append(timing(1.0))
    assert c.bound_ms == 2.0
    assert c.p50_ms == pytest.approx(0.98)
    c.timings.append(timing(3.0, busy=True))
    assert c.bound_ms == pytest.approx(3.0 * 0.92)


def test_promising_keeps_the_margin_and_the_fastest_runtime():
    slow, fast = candidate(bound=1.5, runtime="openvino"), candidate(bound=1.2)
    near = candidate("micronet_m1", bound=1.95)
    over = candidate("micronet_m2", bound=2.5)
    budget = Budget(max_latency_ms=2.0)
    for c in (slow, fast, near, over):
        mark(c, budget)
    assert promising([slow, fast, near, over], 0.1, budget) == [fast]
    assert promising([near, over], 0.1, budget) == [near]  # nothing keeps the margin
    assert promising([slow, near], 0.0, budget) == [near, slow]  # the better promise first
    assert promising([over], 0.1, budget) == []
    assert "1.25x" in over.reason


def test_config_round_trip_and_its_errors():
    config = FitConfig("photos", Budget(max_latency_ms=2.0), models=("a*",), time_s=60)
    assert FitConfig.from_json(config.to_json()) == config
    with pytest.raises(BadInput, match="--weights"):
        replace(config, pretrained=True, weights="x.pth")
    with pytest.raises(BadInput, match="--time"):
        replace(config, time_s=5)
