"""list, info, profile: what there is and what it costs."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pumice.cost.database import measurement_key, published_key, store
from pumice.cost.timing import Timing
from pumice.deploy import session
from pumice.models.manifest import ModelConfig


def names(said: Any) -> list[str]:
    assert said.code == 0
    return [row["name"] for row in said.json]


def test_list_for_machines(pumice: Any) -> None:
    rows = pumice("list", "--json").json
    fields = {"name", "family", "input_size", "params", "madds", "status", "published"}
    assert all(fields <= row.keys() for row in rows)
    rated = [row["published"] for row in rows if row["published"]]
    assert len(rated) > 15
    assert all({"variant", "top1", "params_m", "madds_m", "source"} <= record.keys() for record in rated)
    (m3,) = (row for row in rows if row["name"] == "micronet_m3")
    assert (m3["params"], m3["input_size"], m3["published"]["top1"]) == (2_622_960, [3, 224, 224], 62.5)


def test_list_for_people(pumice: Any) -> None:
    said = pumice("list", "micronet")
    assert said.code == 0
    assert [line.split()[0] for line in said.out.splitlines()[2:6]] == [f"micronet_m{i}" for i in range(4)]
    assert "13 networks in 1 family" in said.out


def test_list_says_what_a_reconstruction_infers(pumice: Any) -> None:
    said = pumice("list", "squeezenext_34_100").out
    assert "reconstruction" in said
    assert "squeezenext_34_100" in said.split("what is inferred")[1]
    assert "parameters +5.3%" in said
    assert "what is inferred" not in pumice("list", "mobilenetv1").out
    every = pumice("list").out
    assert "220 networks in 21 families" in every
    assert every.split("what is inferred")[1].count("against the printed figures") > 25


def test_list_filters(pumice: Any) -> None:
    every = pumice("list", "--json").json
    assert names(pumice("list", "squeezenet1_?", "--json")) == ["squeezenet1_0", "squeezenet1_1"]
    assert names(pumice("list", "complex", "--json")) == ["squeezenet1_0_complex_bypass"]
    assert names(pumice("list", "*_m[01]", "--json")) == ["micronet_m0", "micronet_m1"]
    assert names(pumice("list", "no such", "--json")) == []
    for option, field, limit, text in [
        ("--max-madds", "madds", 60e6, "60M"),
        ("--max-madds", "madds", 60e6, "60000000"),
        ("--max-params", "params", 2.5e6, "2.5M"),
    ]:
        kept = names(pumice("list", option, text, "--json"))
        assert kept == [row["name"] for row in every if row[field] <= limit]
        assert 0 < len(kept) < len(every)


def test_list_pareto(pumice: Any) -> None:
    """No net in the list is reached by one that costs no more; every net that is left out is."""
    every = [row for row in pumice("list", "--json").json if row["published"] and row["published"]["top1"]]
    rated = {row["name"]: (row["madds"], row["published"]["top1"]) for row in every}
    front = names(pumice("list", "--pareto", "--json"))
    for name, (madds, top1) in rated.items():
        beaten = any(m <= madds and t >= top1 and (m, t) != (madds, top1) for m, t in rated.values())
        assert (name in front) == (not beaten)


def timing(name: str, runtime: str, p50_ms: float) -> Timing:
    return Timing(
        name=name,
        runtime=runtime,
        device="cpu",
        threads=1,
        batch=1,
        dtype="float32",
        input_size=(3, 224, 224),
        repeats=50,
        passes_per_sample=1,
        p50_ms=p50_ms,
        p90_ms=p50_ms,
        cpu_p50_ms=p50_ms,
        ci95=(p50_ms, p50_ms),
        cpu_ci95=(p50_ms, p50_ms),
        busy=False,
    )


def seed(name: str, runtime: str, p50_ms: float) -> None:
    """Keep a measurement as `pumice benchmark` would."""
    key = measurement_key(ModelConfig(name), runtime=runtime, input_size=(3, 224, 224), threads=1)
    store(timing(name, runtime, p50_ms), key)


def test_list_by_latency(pumice: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PUMICE_CACHE", str(tmp_path / "measured"))
    said = pumice("list", "--max-latency", "4ms", "--json")
    assert names(said) == []
    assert "nothing was measured on this machine yet" in said.err

    seed("micronet_m0", "onnxruntime", 1.5)
    seed("micronet_m1", "openvino", 3.5)
    seed("micronet_m2", "openvino", 4.5)
    seed("micronet_m2", "onnxruntime", 6.0)
    assert names(pumice("list", "--max-latency", "4ms", "--json")) == ["micronet_m0", "micronet_m1"]
    asked = ("list", "--max-latency", "0.005s", "--runtime", "openvino", "--no-measure", "--json")
    assert names(pumice(*asked)) == ["micronet_m1", "micronet_m2"]
    # micronet_m2 is the better net, and in its fastest runtime not as fast.
    assert names(pumice("list", "--max-latency", "5ms", "--pareto", "--json")) == [
        "micronet_m0",
        "micronet_m1",
        "micronet_m2",
    ]


def test_latency_in_the_table_and_the_json(pumice: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PUMICE_CACHE", str(tmp_path / "measured"))
    seed("micronet_m0", "onnxruntime", 1.5)
    seed("micronet_m1", "onnxruntime", 0.5)
    (row,) = pumice("list", "micronet_m1", "--runtime", "onnxruntime", "--no-measure", "--json").json
    assert (row["p50_ms"], row["ci95"], row["busy"]) == (0.5, [0.5, 0.5], False)
    assert (row["figure_ms"], row["figure_clock"], row["runtime"], row["threads"]) == (0.5, "wall", "onnxruntime", 1)
    # The faster one is the better one: it is the front.
    front = pumice("list", "micronet", "--runtime", "onnxruntime", "--no-measure", "--pareto", "--json")
    assert names(front) == ["micronet_m1"]
    out = pumice("list", "micronet", "--runtime", "onnxruntime", "--no-measure").out
    assert "0.500 to 0.500" in out
    assert "micronet_m2" not in out, "what was not measured has no place beside what was"
    assert names(pumice("list", "micronet", "--threads", "2", "--max-latency", "9ms", "--json")) == []


def test_what_is_missing_is_measured_once(pumice: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Only nets that pass the other limits and can keep this one; then the database answers."""
    monkeypatch.setenv("PUMICE_CACHE", str(tmp_path / "measured"))
    monkeypatch.setattr("pumice.cost.sweep.product_madds_per_ms", lambda: 1e6)
    asked: list[list[str]] = []

    def sweep(nets: Any, *, runtime: str, threads: int) -> Any:
        asked.append([net.name for net in nets])
        for net in nets:
            store(timing(net.name, runtime, net.madds / 1e7), published_key(net, runtime=runtime))
        timings = {net.name: timing(net.name, runtime, net.madds / 1e7) for net in nets}
        return SimpleNamespace(timings=timings, failed={"micronet_m3": "it does not like it"})

    monkeypatch.setattr("pumice.cost.sweep.sweep", sweep)
    query = ("list", "micronet*", "--max-madds", "15M", "--max-latency", "1ms", "--runtime", "onnxruntime", "--json")
    said = pumice(*query)
    madds = {row["name"]: row["madds"] for row in pumice("list", "micronet*", "--json").json}
    # A matrix product does 1 M multiply-adds a ms: at four times that speed, 4 M are the most for 1 ms.
    assert asked == [[name for name, count in madds.items() if count <= 4e6]]
    assert 0 < len(asked[0]) < len(madds)
    assert names(said) == asked[0]
    assert f"measuring {len(asked[0])} network" in said.err
    assert "micronet_m3 was not measured: it does not like it" in said.err
    again = pumice(*query)
    assert (len(asked), again.out) == (1, said.out)
    large = sum(4e6 < count <= 15e6 for count in madds.values())
    assert again.err == f"too large for 1 ms by their multiply-adds alone: {large} networks\n"


def test_measured(pumice: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PUMICE_CACHE", str(tmp_path / "measured"))
    said = pumice("list", "--measured")
    assert "nothing was measured" in said.out
    seed("micronet_m0", "onnxruntime", 1.5)
    seed("micronet_m1", "openvino", 0.5)
    assert names(pumice("list", "--measured", "--json")) == ["micronet_m0", "micronet_m1"]
    assert names(pumice("list", "m1", "--measured", "--json")) == ["micronet_m1"]
    assert names(pumice("list", "--measured", "--runtime", "onnxruntime", "--json")) == ["micronet_m0"]
    assert pumice("list", "--measured", "--csv", tmp_path / "t.csv").code == 0
    lines = (tmp_path / "t.csv").read_text().splitlines()
    assert lines[0].startswith(
        "model,infer_img_size,infer_samples_per_sec,infer_step_time,infer_batch_size,param_count"
    )
    assert lines[1].startswith("micronet_m1,224,2000.0,0.5,1,")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--runtime", "openvin"), "did you mean 'openvino'?"),
        (("--runtime", "tvm"), "no runtime 'tvm'; choose auto, eager"),
        (("--runtime", "openvino"), "runtime openvino is not installed; run `pip install 'pumice[deploy]'`"),
        (("--threads", "4096", "--max-latency", "4ms"), "4096 threads cannot run at once"),
        (("--csv", "t.csv"), "--csv writes measurements; add --measured"),
    ],
)
def test_a_latency_that_cannot_be_asked_for(
    pumice: Any, monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...], words: str
) -> None:
    monkeypatch.setattr(session, "installed", lambda name: name != "openvino")
    said = pumice("list", *args)
    assert said.code == 2
    assert words in said.sentence


def test_info(pumice: Any) -> None:
    record = pumice("info", "mobilenetv3_small_100", "--json").json
    assert (record["params"], record["madds"]) == (2_542_856, 56_510_400)
    assert record["published"]["variant"] == "V3-Small 1.0"
    said = pumice("info", "mobilenetv3_small_100")
    assert said.code == 0
    assert "2,542,856" in said.out


@pytest.mark.parametrize(("name", "first"), [("micronet_m1", "M0"), ("micronet_m2", "M1"), ("micronet_m3", "M2")])
def test_info_of_micronet_gives_both_naming_schemes(pumice: Any, name: str, first: str) -> None:
    out = " ".join(pumice("info", name).out.split())
    assert "2108.05894" in out
    assert "2011.12289" in out
    assert first in out


def test_info_names_the_training_that_was_published(pumice: Any) -> None:
    assert "recipe" in (said := pumice("info", "micronet_m0").out)
    assert "micronet: `pumice train DATA --model micronet_m0 --recipe auto`" in said
    assert pumice("info", "mobilenetv3_small_100", "--json").json["recipe"] == "mobilenet_v3"
    assert pumice("info", "espnet_p2_q3", "--json").json["recipe"] == "espnet"
    assert "recipe" not in pumice("info", "ghost_resnet50_s2").out


def test_info_of_another_width(pumice: Any) -> None:
    """It is no net of the paper, so the paper's figures are not its."""
    record = pumice("info", "mobilenetv3_small_100", "--set", "model.width=0.6", "--json").json
    assert record["status"] == "custom"
    assert record["published"] is None
    assert record["params"] < 2_542_856
    assert record["options"]["width"] == 0.6
    assert "67.4" not in pumice("info", "mobilenetv3_small_100", "--set", "model.width=0.6").out


def test_info_of_another_library(pumice: Any) -> None:
    record = pumice("info", "timm:resnet18", "--json").json
    assert (record["params"], record["madds"]) == (11_689_512, 1_814_073_344)
    assert (record["status"], record["published"]) == ("external", None)


def test_profile_for_machines(pumice: Any) -> None:
    record = pumice("profile", "micronet_m0", "--json").json
    assert {"params", "madds", "extra_madds", "memory_access", "peak_activation_bytes", "layers"} <= record.keys()
    assert (record["params"], record["madds"]) == (1_019_590, 3_448_880)
    assert sum(layer["madds"] for layer in record["layers"]) == record["madds"]
    assert sum(layer["extra_madds"] for layer in record["layers"]) == record["extra_madds"] > 0


def test_profile_at_another_size(pumice: Any) -> None:
    full = pumice("profile", "squeezenet1_1", "--json").json
    half = pumice("profile", "squeezenet1_1", "--input", "3x112x112", "--json").json
    grey = pumice("profile", "squeezenet1_1", "--input", "1x224x224", "--json").json
    assert half["input_size"] == [3, 112, 112]
    assert half["params"] == full["params"]
    assert half["madds"] < 0.3 * full["madds"]
    assert full["params"] - grey["params"] == 2 * 64 * 9  # the first convolution: 64 filters of 3x3


@pytest.mark.parametrize(
    ("name", "params", "madds"),
    [
        ("timm:resnet18", 11_689_512, 1_814_073_344),
        ("torchvision:resnet18", 11_689_512, 1_814_073_344),
        ("pytorchcv:resnet18", 11_689_512, 1_814_073_344),
    ],
)
def test_profile_of_other_libraries(pumice: Any, name: str, params: int, madds: int) -> None:
    pytest.importorskip(name.partition(":")[0])
    record = pumice("profile", name, "--json").json
    assert (record["name"], record["params"], record["madds"]) == (name, params, madds)


def test_profile_of_a_run(pumice: Any, digits_run: Path) -> None:
    record = pumice("profile", digits_run, "--json").json
    assert record["input_size"] == [3, 32, 32]
    assert record["layers"][-1]["output_shape"][-1] == 10


def test_profile_shows_extra_terms_apart(pumice: Any) -> None:
    said = pumice("profile", "micronet_m0")
    assert said.code == 0
    (row,) = (line for line in said.out.splitlines() if line.startswith("blocks.1.act3 "))
    assert row.split() == ["blocks.1.act3", "extra", "8x56x56", "(50,176)"]
    assert "605,248" in said.out


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("info", "micronet_m9"), "did you mean 'micronet_m"),
        (("info", "micronet_0"), "did you mean 'micronet_m0'?"),
        (("profile", "mobilnetv3_small_100"), "did you mean 'mobilenetv3_small_100'?"),
        (("profile", "timm:resnet81"), "timm has no net 'resnet81'; did you mean 'resnet18'?"),
        (("profile", "tim:resnet18"), "no network is called 'tim:resnet18'"),
        (("profile", "micronet_m0", "--set", "model.nonsense=1"), "no option 'nonsense'"),
        (("profile", "micronet_m0", "--set", "nonsense"), "--set 'nonsense' cannot be read"),
        (("info", "mobilenetv3_small_100", "--set", "model.width=-1"), "width"),
        (("info", "mobilenetv3_small_100", "--set", "model.width=wide"), "width"),
        (("profile", "squeezenet1_1", "--input", "3x5x5"), "squeezenet1_1 does not run on a 3x5x5 input"),
        (("profile", "squeezenet1_1", "--input", "224"), "--input '224' is no shape"),
        (("profile", "squeezenet1_1", "--input", "3x0x224"), "--input '3x0x224' is no shape"),
        (("profile", "missing.safetensors"), "no checkpoint missing.safetensors"),
        (("profile", "no/such/run"), "no/such/run"),
    ],
)
def test_networks_that_cannot_be(pumice: Any, here: Path, args: tuple[str, ...], words: str) -> None:
    said = pumice(*args)
    assert said.code == 2
    assert said.out == ""
    assert words in said.sentence


def test_json_holds_no_numbers_that_json_lacks(pumice: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from pumice.cli import show

    printed: list[str] = []
    echo: Callable[..., None] = printed.append
    monkeypatch.setattr("typer.echo", echo)
    show.emit({"a": float("nan"), "b": [float("inf"), 1.5]})
    assert json.loads(printed[0]) == {"a": None, "b": [None, 1.5]}


def test_info_of_a_head_on_a_backbone(pumice: Any) -> None:
    record = pumice("info", "ssdlite:mobilenetv2_050", "--set", "model.first_boxes=6", "--json").json
    assert (record["task"], record["status"]) == ("detect", "a head on mobilenetv2_050")
    assert (record["options"]["first_boxes"], record["options"]["width"]) == (6, 0.5)
    assert record["pretrained"]
    assert not pumice("info", "lraspp:squeezenext_23_100", "--json").json["pretrained"]
