"""`fit --on DEVICE` measures its candidates and its file on the device, and keeps what it learns under its name."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pumice.cost import machine
from pumice.cost.machine import Machine
from pumice.cost.remote.runner import Item
from pumice.cost.timing import Timing
from pumice.errors import BadInput
from pumice.loop import begin, screen, ship, where
from pumice.loop.config import FitConfig
from pumice.models.build import build

from .test_candidates import candidate, timing

CONFIG = FitConfig("digits", on="ssh:pi", threads=2)


class Pi:
    """A device that has ONNX Runtime alone and takes a hundredth of a ms for each pixel of the input's side."""

    address = "ssh:pi"
    machine = Machine("0f0f0f0f", "ARM, 4 cores, Linux 6 (0f0f0f0f)", 4, {"onnxruntime": "1.22.0"})

    def __init__(self) -> None:
        self.asked: list[tuple[list[Item], dict[str, Any]]] = []

    def time(self, items: list[Item], **settings: Any) -> list[Timing]:
        """Files must be there while they are sent."""
        assert all(Path(item.file).is_file() for item in items)
        self.asked.append((list(items), settings))
        return [timing(item.input_size[1] / 100 if item.input_size else 5.0) for item in items]


@pytest.fixture(autouse=True)
def pi(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Pi:
    """It is what `ssh:pi` means; nothing is timed here."""
    made = Pi()
    monkeypatch.setattr(where, "_device", {"ssh:pi": made}.__getitem__)
    monkeypatch.setattr(screen, "time_items", lambda *_, **__: pytest.fail("measured here"))
    monkeypatch.setattr("subprocess.run", lambda *_, **__: pytest.fail("measured here"))
    monkeypatch.setenv("PUMICE_CACHE", str(tmp_path / "cache"))
    return made


def test_candidates_are_measured_there_and_recalled_by_its_name(pi: Pi) -> None:
    wanted = [candidate("squeezenet1_1", 96), candidate("squeezenet1_1", 128)]
    net = build("squeezenet1_1", num_classes=3)
    screen.measure(wanted, CONFIG, net)
    assert [c.timings[-1].ci95[1] for c in wanted] == [0.96, 1.28]
    ((items, settings),) = pi.asked
    assert [(i.runtime, i.threads, i.input_size) for i in items] == [
        ("onnxruntime", 2, (3, 96, 96)),
        ("onnxruntime", 2, (3, 128, 128)),
    ]
    assert settings["time_limit_s"] == pytest.approx(2 * screen.A_CANDIDATE_S)
    again = [candidate("squeezenet1_1", 96)]
    screen.recall(again, CONFIG, screen.described(net))
    assert [t.ci95[1] for t in again[0].timings] == [0.96]
    here = [candidate("squeezenet1_1", 96)]
    screen.recall(here, replace(CONFIG, on=None), screen.described(net))
    assert here[0].timings == []  # another machine's figures say nothing of this one
    assert pi.machine.key != machine.machine_key()


def test_the_file_is_measured_there(pi: Pi, tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(b"sent as it is")
    assert ship.measure_file(file, candidate(), CONFIG).ci95[1] == 5.0
    ((items, _),) = pi.asked
    assert items == [Item(str(file), "model.onnx", "onnxruntime", 2)]


def test_only_runtimes_that_both_have_take_part(pi: Pi) -> None:
    assert begin.runtimes_for(CONFIG) == ("onnxruntime",)
    assert begin.runtimes_for(replace(CONFIG, on=None)) == ("onnxruntime", "openvino")
    with pytest.raises(BadInput, match="ssh:pi has no openvino; run `pip install openvino numpy` there"):
        begin.runtimes_for(replace(CONFIG, runtime="openvino"))
