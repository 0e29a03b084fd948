"""Time on a CUDA device is taken between two events in its queue, around the network alone."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from pumice.deploy.eager import EagerSession


class Device:
    """Stands in for torch.cuda: a queue whose clock only passes of the network move, and the log of what was asked."""

    def __init__(self) -> None:
        self.ms, self.log = 100.0, list[str]()

    def synchronize(self) -> None:
        self.log.append("synchronize")

    def event(self, enable_timing: bool = False) -> "Event":
        assert enable_timing
        return Event(self)


class Event:
    def __init__(self, device: Device) -> None:
        self.device, self.at = device, 0.0

    def record(self) -> None:
        self.device.log.append("record")
        self.at = self.device.ms

    def synchronize(self) -> None:
        self.device.log.append("wait")

    def elapsed_time(self, end: "Event") -> float:
        return end.at - self.at


def test_passes_between_two_events(monkeypatch: pytest.MonkeyPatch) -> None:
    device = Device()
    monkeypatch.setattr(torch.cuda, "Event", device.event)
    monkeypatch.setattr(torch.cuda, "synchronize", device.synchronize)
    with EagerSession(nn.Conv2d(3, 4, 1), input_size=(3, 8, 8), batch=8) as session:
        seen: list[Any] = []

        def passes(images: torch.Tensor) -> torch.Tensor:
            device.log.append("pass")
            device.ms += 2.5
            seen.append(images)
            return images

        monkeypatch.setattr(session, "_model", passes)
        took = session.device_ms(np.ones((8, 3, 8, 8), np.float32), 4)
    assert took == 2.5
    # What was queued before is over, one wait ends the series, and the images were moved once.
    assert device.log == ["synchronize", "record", *["pass"] * 4, "record", "wait"]
    assert all(images is seen[0] for images in seen)
    assert seen[0].shape == (8, 3, 8, 8)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_a_real_device() -> None:
    """Eight times the images take longer, and the time is positive."""
    net = nn.Sequential(*(nn.Conv2d(64, 64, 3, padding=1) for _ in range(20)))
    with EagerSession(net, input_size=(64, 56, 56), batch=64, device="cuda") as session:
        times = {}
        for n in (8, 64):
            x = np.ones((n, 64, 56, 56), np.float32)
            session.device_ms(x, 5)
            times[n] = min(session.device_ms(x, 5) for _ in range(5))
    assert 0 < times[8] < times[64]
