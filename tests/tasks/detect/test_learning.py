"""Small detectors learn four pictures by heart, through loss, decoding and average precision."""

import pytest
import torch

SSDLITE = ("ssdlite:mobilenetv3_small_050", 90, 2e-3)


def test_ssdlite_learns_four_pictures(learnt):
    scores = learnt(*SSDLITE)
    assert scores.ap50 > 0.95
    assert scores.ap > 0.7


def drifting(right):
    """Every step another prior."""
    return lambda *arguments: (found := right(*arguments))[torch.randperm(len(found))]


def shifted(right):
    """The prior seven rows later: its offsets can be learnt, but it looks elsewhere."""
    return lambda *arguments: right(*arguments).roll(7)


@pytest.mark.slow
@pytest.mark.parametrize(("broken", "limits"), [(drifting, (0.5, 0.2)), (shifted, (1.0, 0.6))])
def test_with_a_broken_matching_it_does_not(monkeypatch, learnt, broken, limits):
    from pumice.tasks.detect import loss

    monkeypatch.setattr(loss, "match", broken(loss.match))
    scores = learnt(*SSDLITE)
    assert (scores.ap50 <= limits[0], scores.ap <= limits[1]) == (True, True), scores.sentence()


@pytest.mark.slow
def test_light_head_learns_four_pictures(learnt):
    scores = learnt("lighthead:shufflenetv2_050", 140, 1e-3, proposals=32)
    assert scores.ap50 > 0.95
    assert scores.ap > 0.7
