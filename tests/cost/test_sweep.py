"""A sweep measures in groups, keeps each group at once, passes over what fails, and exports every network once."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pumice.cost import database, sweep
from pumice.cost.database import lookup_all, published_key
from pumice.cost.query import front, list_models, measured, within
from pumice.cost.timing import Timing
from pumice.errors import BadInput
from pumice.models.catalogue import Entry, entries, entry

NETS = [entry(name) for name in ("mobilenetv2_100", "micronet_m3", "micronet_m0", "mobilenetv3_small_100")]


def timing(name: str, ms: float, busy: bool = False, **given: Any) -> Timing:
    return Timing(
        **{
            **{"name": name, "runtime": "onnxruntime", "device": "cpu", "threads": 1, "batch": 1, "dtype": "float32"},
            **{"input_size": (3, 224, 224), "repeats": 40, "passes_per_sample": 1, "p50_ms": ms, "p90_ms": ms},
            **{"cpu_p50_ms": ms, "ci95": (ms, ms), "cpu_ci95": (ms, ms), "busy": busy, **given},
        }
    )


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PUMICE_CACHE", str(tmp_path))
    database._warn.cache_clear()
    return tmp_path


class Session:
    def __init__(self, source: object) -> None:
        self.source = source

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        pass


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The groups that were timed; networks take a ms per million multiply-adds, and nothing is exported."""
    from pumice.deploy import session

    timed: list[list[str]] = []

    def time_sessions(sessions: list[Session], names: list[str], *, time_limit_s: float) -> list[Timing]:
        assert len(sessions) == len(names)
        assert time_limit_s == 0.5 * len(names)
        timed.append(names)
        return [timing(name, entry(name).madds / 1e6) for name in names]

    monkeypatch.setattr(sweep, "time_sessions", time_sessions)
    monkeypatch.setattr(sweep, "exported", lambda net, folder: f"{net.name}.onnx")
    monkeypatch.setattr(session, "open_session", lambda source, **_: Session(source))
    monkeypatch.setattr(sweep, "GROUP", 2)
    return timed


def kept() -> set[str]:
    keys = {published_key(net, runtime="onnxruntime"): net.name for net in NETS}
    return {keys[key] for key in lookup_all(keys)}


def test_groups_of_about_the_same_size(groups: list[list[str]]) -> None:
    swept = sweep.sweep(NETS, runtime="onnxruntime", a_net_s=0.5)
    assert groups == [["micronet_m0", "micronet_m3"], ["mobilenetv3_small_100", "mobilenetv2_100"]]
    assert swept.failed == {}
    assert {name: t.p50_ms for name, t in swept.timings.items()} == {net.name: net.madds / 1e6 for net in NETS}
    assert kept() == {net.name for net in NETS}


def test_what_fails_is_passed_over(groups: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    def exported(net: Entry, folder: Path) -> str:
        if net.name.startswith("micronet"):
            raise BadInput(f"no {net.name}")
        return net.name

    monkeypatch.setattr(sweep, "exported", exported)
    swept = sweep.sweep(NETS, runtime="onnxruntime", a_net_s=0.5)
    assert groups == [["mobilenetv3_small_100", "mobilenetv2_100"]]
    assert swept.failed == {"micronet_m0": "no micronet_m0", "micronet_m3": "no micronet_m3"}
    assert kept() == set(swept.timings) == {"mobilenetv3_small_100", "mobilenetv2_100"}


def test_an_interrupted_sweep_keeps_the_groups_before(groups: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    time_sessions = sweep.time_sessions

    def stop_at_second(*args: Any, **given: Any) -> list[Timing]:
        if groups:
            raise KeyboardInterrupt
        return time_sessions(*args, **given)

    monkeypatch.setattr(sweep, "time_sessions", stop_at_second)
    with pytest.raises(KeyboardInterrupt):
        sweep.sweep(NETS, runtime="onnxruntime", a_net_s=0.5)
    assert kept() == {"micronet_m0", "micronet_m3"}


def test_refused_before_anything_is_measured(groups: list[list[str]]) -> None:
    for bad in ({"runtime": "tvm"}, {"runtime": "onnxruntime", "threads": 10_000}):
        with pytest.raises(BadInput):
            sweep.sweep(NETS, **bad)  # type: ignore[arg-type]
    assert not groups


def test_a_real_sweep_of_the_smallest(cache: Path) -> None:
    """Two nets in ONNX Runtime: measured, stored and found again; their files are there and are not written twice."""
    pytest.importorskip("onnxruntime")
    nets = [entry("micronet_m0"), entry("mobilenetv3_small_100")]
    swept = sweep.sweep(nets, runtime="onnxruntime", a_net_s=0.3)
    assert swept.failed == {}
    assert measured(nets, "onnxruntime") == swept.timings
    small, large = (swept.timings[net.name] for net in nets)
    assert 0 < small.cpu_p50_ms < large.cpu_p50_ms
    files = {file: file.stat().st_mtime_ns for file in (cache / "exports").iterdir()}
    assert sorted(file.name.rpartition("-")[0] for file in files) == ["micronet_m0", "mobilenetv3_small_100"]
    for net in nets:
        sweep.exported(net, cache / "exports")
    assert {file: file.stat().st_mtime_ns for file in (cache / "exports").iterdir()} == files


def test_files_of_other_versions_are_not_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from pumice.cost import machine
    from pumice.deploy import direct

    monkeypatch.setattr(direct, "write_direct", lambda model, path, size: path.write_bytes(b"x"))
    first = sweep.exported(NETS[2], tmp_path)
    monkeypatch.setattr(machine, "runtime_version", lambda name: "9.9")
    assert sweep.exported(NETS[2], tmp_path) != first


def test_where_nothing_may_be_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("PUMICE_CACHE", str(tmp_path / "file" / "cache"))
    with sweep.export_folder() as folder:
        assert folder.is_dir()
    assert not folder.exists()


def test_nets_that_arithmetic_alone_rules_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "product_madds_per_ms", lambda: 10e6)
    # 40 M multiply-adds a ms at most: MobileNetV2's 301 M take 7.5 ms, MobileNetV3-Small's 57 M 1.4 ms.
    assert sweep.hopeless(NETS, 5.0) == {"mobilenetv2_100"}
    assert sweep.hopeless(NETS, 1.0) == {"mobilenetv2_100", "mobilenetv3_small_100"}


def test_a_matrix_product_is_timed() -> None:
    """Between a thousandth and ten thousand times a modest core."""
    assert 1e4 < sweep.product_madds_per_ms(side=128) < 1e11


def test_measured_prefers_a_quiet_machine_and_the_fastest_runtime() -> None:
    net, other = entry("micronet_m0"), entry("micronet_m1")
    ort, vino = (published_key(net, runtime=name) for name in ("onnxruntime", "openvino"))
    database.store(timing(net.name, 2.0), ort)
    database.store(timing(net.name, 1.0, busy=True), ort)
    assert measured([net, other])[net.name].p50_ms == 2.0
    database.store(timing(net.name, 1.5, runtime="openvino"), vino)
    assert measured([net, other])[net.name].p50_ms == 1.5
    assert measured([net, other], "onnxruntime")[net.name].p50_ms == 2.0
    database.store(timing(other.name, 3.0, busy=True), published_key(other, runtime="onnxruntime"))
    assert measured([net, other])[other.name].busy
    assert measured([net, other], threads=2) == {}
    assert list_models("micronet*", max_latency_ms=2.5) == [net.name]
    assert list_models("micronet*", max_latency_ms=2.5, runtime="onnxruntime") == [net.name]
    assert list_models("micronet*", max_latency_ms=1.0) == []
    assert other.name in list_models("micronet*")
    with pytest.raises(BadInput, match="no runtime"):
        list_models(max_latency_ms=1.0, runtime="tvm")


def test_a_budget_is_kept_by_the_upper_bound() -> None:
    loose = replace(timing("a", 3.0), ci95=(2.9, 3.2))
    assert within(loose, 3.2)
    assert not within(loose, 3.1)
    assert not within(None, 100.0)


def test_the_front() -> None:
    nets = [e for e in entries() if e.published and e.published["top1"] is not None][:40]
    by_madds = front(nets, {e.name: e.madds for e in nets})
    by_name = {e.name: (e.madds, e.published["top1"]) for e in nets if e.published}
    for net in nets:
        cost, top1 = by_name[net.name]
        beaten = any(c <= cost and t >= top1 and (c, t) != (cost, top1) for c, t in by_name.values())
        assert (net in by_madds) == (not beaten)
    assert front(nets, {nets[3].name: 1.0}) == [nets[3]], "who has no cost takes no part"
