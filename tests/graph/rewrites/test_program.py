"""What a program says of its shapes stays true, and is asked for again only where something has changed."""

import pytest
from torch import fx, nn

from pumice.graph.rewrites.program import operator_of, program, settle


def test_shapes_follow_what_was_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    gm = program(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 5, 3)), (3, 12, 12))
    asked: list[str] = []
    call = fx.Interpreter.call_function
    monkeypatch.setattr(
        fx.Interpreter,
        "call_function",
        lambda self, target, *given: asked.append(str(target)) or call(self, target, *given),
    )
    layers = [node for node in gm.graph.nodes if operator_of(node)]
    assert [node.meta["shape"] for node in layers] == [(1, 4, 10, 10), (1, 4, 10, 10), (1, 5, 8, 8)]
    settle(gm)
    assert asked == []
    layers[2].args = (*layers[2].args[:3], [2, 2])
    settle(gm)
    assert [node.meta["shape"] for node in layers] == [(1, 4, 10, 10), (1, 4, 10, 10), (1, 5, 4, 4)]
    assert len(asked) == 1
    layers[0].args = (*layers[0].args[:3], [2, 2])  # what comes after it is smaller as well
    settle(gm)
    assert [node.meta["shape"] for node in layers] == [(1, 4, 5, 5), (1, 4, 5, 5), (1, 5, 2, 2)]
    assert len(asked) == 4
