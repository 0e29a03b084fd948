"""`pumice profile` with floors, times and a page."""

import sys
from pathlib import Path
from typing import Any

import pytest

from pumice.cost import ceilings
from pumice.cost.ceilings import Ceilings, Level

FOUND = Ceilings(1, 5e10, 0.0, (Level("L1", 32768, 1e11, 0.0), Level("memory", None, 1e10, 0.0)))
SMALL = ("profile", "shufflenetv2_050", "--input", "3x64x64")


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PUMICE_CACHE", str(tmp_path / "cache"))


def keep() -> None:
    from pumice.files import write_json

    write_json(ceilings._path(1), FOUND.to_json())


def test_the_first_profile_takes_a_glance_at_the_machine(pumice: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def glance(threads: int, rounds: int) -> Ceilings:
        asked.append(rounds)
        return FOUND

    monkeypatch.setattr(ceilings, "_measured", glance)
    record = pumice(*SMALL, "--json").json
    assert record["measured"] == {}
    assert record["memory_bytes"] == 4 * record["memory_access"]
    first = record["layers"][0]
    assert first["memory_bytes"] == 4 * first["memory_access"]
    assert first["intensity"] == pytest.approx(first["madds"] / first["memory_bytes"])
    assert first["bound"] in ("memory", "compute")
    assert pumice(*SMALL, "--json").json["floor_ms"] == record["floor_ms"] > 0
    assert asked == [ceilings.GLANCE]


def test_floors_from_ceilings_that_were_kept(pumice: Any) -> None:
    keep()
    record = pumice(*SMALL, "--json").json
    counted = [layer for layer in record["layers"] if layer["madds"]]
    assert {layer["bound"] for layer in counted} == {"memory", "compute"}
    assert all(layer["floor_ms"] >= 1e3 * layer["madds"] / FOUND.madds_per_s for layer in counted)
    assert record["floor_ms"] == pytest.approx(sum(layer["floor_ms"] for layer in counted))
    said = pumice(*SMALL).out
    assert f"{record['floor_ms']:.3f} ms at best" in said
    assert "50 GMAdds/s" in said


def test_roofline_measures_them(pumice: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ceilings, "_measured", lambda threads, rounds: FOUND)
    record = pumice(*SMALL, "--roofline", "--json").json
    assert Ceilings.from_json(record["ceilings"]) == FOUND
    assert ceilings.cached() == FOUND


def test_times_and_a_page(pumice: Any, here: Path) -> None:
    keep()
    record = pumice(*SMALL, "--measure", "--time", "1s", "--page", "page.html", "--json").json
    assert list(record["measured"]) == ["eager", "onnxruntime"]
    for one in record["measured"].values():
        assert one["net_ms"] == one["net"]["p50_ms"] > 0
        assert sum(one["breakdown"].values()) == pytest.approx(one["sum_ms"])
        assert one["breakdown"]["convolution"] > 0
        assert one["breakdown"]["shuffle"] > 0
        assert len(one["layers"]) == len(record["layers"])
        timed = [time["ms"] for layer, time in zip(record["layers"], one["layers"], strict=True) if layer["madds"]]
        assert len(set(timed)) > 1
        assert one["layers"][0]["over_floor"] == pytest.approx(one["layers"][0]["ms"] / record["layers"][0]["floor_ms"])
    # Every runtime was timed on the same net: a hundred times apart would be the time of something else.
    sums = [one["sum_ms"] for one in record["measured"].values()]
    assert max(sums) < 100 * min(sums)
    page = Path("page.html").read_text(encoding="utf-8")
    assert "Roofline: onnxruntime" in page
    assert "shufflenetv2_050 at 3×64×64" in page


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--runtime", "onnxruntime"), "add --measure"),
        (("--measure", "--runtime", "onnx"), "no runtime 'onnx'; choose"),
        (("--roofline", "--threads", "9999"), "9999 threads cannot run at once"),
    ],
)
def test_what_cannot_be_measured(pumice: Any, here: Path, options: tuple[str, ...], words: str) -> None:
    said = pumice(*SMALL, *options)
    assert (said.code, said.out) == (2, "")
    assert words in said.sentence


def test_a_runtime_that_is_not_installed(pumice: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pumice.deploy.session.find_spec", lambda name: None)
    said = pumice(*SMALL, "--measure", "--runtime", "openvino")
    assert said.code == 2
    assert said.sentence == "runtime openvino is not installed; run `pip install 'pumice[deploy]'`"


def test_a_page_without_plotly_is_refused_before_measuring(pumice: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*given: Any, **more: Any) -> None:
        raise AssertionError("measured first")

    monkeypatch.setattr("pumice.cost.layer_times.measure_layers", never)
    monkeypatch.setitem(sys.modules, "plotly", None)
    said = pumice(*SMALL, "--measure", "--page", "page.html")
    assert said.code == 2
    assert said.sentence == "a report needs plotly; install it with `pip install 'pumice[report]'`"
