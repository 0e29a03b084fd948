"""Mutual learning: its loss by hand, who moves whom, and runs with a partner, resumed bit for bit."""

import csv
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from pumice.data.images import Splits
from pumice.data.preprocess import Preprocess
from pumice.errors import BadInput, CheckFailed
from pumice.files import read_json
from pumice.models.checkpoint import read_manifest
from pumice.models.create import create_model
from pumice.models.described import config_of, preprocess_of
from pumice.nn.factorised import FactorisedDepthwise
from pumice.tasks.classify import evaluate
from pumice.train.classifying import create_objective
from pumice.train.config import Gradient, TrainConfig
from pumice.train.net import build_net  # before the fixture replaces it
from pumice.train.objective import Objective, divergence
from pumice.train.partner import OTHER_SEED, MutualLearning, build_partner
from pumice.train.records import CLOCK
from pumice.train.run import resume, train
from pumice.train.state import read_state
from pumice.train.trainer import train_once
from tests.train.conftest import Tiny, tiny_config
from tests.train.test_run import Killed, assert_same, kill_at, rows_of, seeded_tiny, tensors

GRADIENTS: tuple[Gradient, ...] = ("net", "both", "mutual")
PARTNERED: dict[str, Any] = {"partner": "tiny", "distill_gradient": "mutual", "distill_temperature": 2.0}


@pytest.fixture(autouse=True)
def tiny_partner(monkeypatch: pytest.MonkeyPatch, tiny_net: None) -> None:
    """Partners are Tiny too."""
    monkeypatch.setattr("pumice.train.partner.build_net", lambda config, classes: seeded_tiny(config.seed))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, few_digits: Splits) -> Path:
    """A run with a partner that nothing stopped."""
    with pytest.MonkeyPatch.context() as patch:
        for place in ("net", "partner"):
            patch.setattr(f"pumice.train.{place}.build_net", lambda config, classes: seeded_tiny(config.seed))
        out = tmp_path_factory.mktemp("whole") / "run"
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        train(tiny_config(**PARTNERED), out, splits=few_digits)
        torch.set_num_threads(threads)
    return out


# ---- the loss


class Answers(nn.Module):
    """A network whose logits are its weights."""

    def __init__(self, logits: list[list[float]]) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.tensor(logits, dtype=torch.float64))

    def forward(self, images: Tensor) -> Tensor:
        return self.logits


def softmax(logits: list[float], temperature: float) -> list[float]:
    powers = [math.exp(x / temperature) for x in logits]
    return [p / sum(powers) for p in powers]


OURS, THEIRS, TARGET = [[2.0, 0.0, -1.0], [0.3, 0.1, 0.2]], [[1.0, 1.5, -2.0], [0.0, 3.0, 1.0]], [0, 2]


def kl(of: list[list[float]], to: list[list[float]], temperature: float) -> float:
    """Mean KL(softmax(to / T) || softmax(of / T))."""
    terms = []
    for logits, toward in zip(of, to, strict=True):
        p, q = softmax(logits, temperature), softmax(toward, temperature)
        terms.append(sum(b * math.log(b / a) for a, b in zip(p, q, strict=True)))
    return sum(terms) / len(terms)


def cross_entropy(of: list[list[float]]) -> float:
    return -sum(math.log(softmax(logits, 1.0)[k]) for logits, k in zip(of, TARGET, strict=True)) / len(of)


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_the_divergence_by_hand(temperature: float) -> None:
    got = divergence(torch.tensor(OURS), torch.tensor(THEIRS), temperature)
    assert got.item() == pytest.approx(temperature**2 * kl(OURS, THEIRS, temperature), rel=1e-6)
    assert divergence(torch.tensor(OURS), torch.tensor(OURS), temperature).item() == pytest.approx(0.0, abs=1e-7)


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_losses_and_gradients_by_hand(gradient: Gradient) -> None:
    """d KL(q || p) / d logits of p = (p - q) / T, of q = q (log(q / p) - KL(q || p)) / T; labels: softmax - one-hot."""
    weight, t, count = 0.7, 2.0, len(OURS)
    net, partner = Answers(OURS), Answers(THEIRS)
    losses = MutualLearning(partner, 0.0, weight, t, gradient)(net, torch.zeros(2, 3, 4, 4), torch.tensor(TARGET))
    assert list(losses) == ["network", "partner"]
    follows = weight * t**2 * kl(OURS, THEIRS, t)
    led = weight * t**2 * kl(THEIRS, OURS, t) if gradient == "mutual" else 0.0
    assert losses["network"].item() == pytest.approx(cross_entropy(OURS) + follows, rel=1e-6)
    assert losses["partner"].item() == pytest.approx(cross_entropy(THEIRS) + led, rel=1e-6)

    sum(losses.values()).backward()
    for row in range(count):
        p, q = softmax(OURS[row], t), softmax(THEIRS[row], t)
        for k in range(3):
            hot = float(TARGET[row] == k)
            ours = softmax(OURS[row], 1.0)[k] - hot + weight * t * (p[k] - q[k])
            theirs = softmax(THEIRS[row], 1.0)[k] - hot
            if gradient == "both":
                theirs += weight * t * q[k] * (math.log(q[k] / p[k]) - kl([OURS[row]], [THEIRS[row]], t))
            if gradient == "mutual":
                theirs += weight * t * (q[k] - p[k])
            assert net.logits.grad is not None
            assert partner.logits.grad is not None
            assert net.logits.grad[row, k].item() == pytest.approx(ours / count, abs=1e-6)
            assert partner.logits.grad[row, k].item() == pytest.approx(theirs / count, abs=1e-6)


def test_both_are_smoothed_and_mixed_as_one_alone() -> None:
    net, partner, images = Answers(OURS), Answers(THEIRS), torch.zeros(2, 3, 4, 4)
    mixed = torch.tensor([[0.7, 0.0, 0.3], [0.3, 0.0, 0.7]])
    for target in (torch.tensor(TARGET), mixed):
        losses = MutualLearning(partner, 0.1, 0.0, 1.0, "net")(net, images, target)
        for one, own in (("network", net), ("partner", partner)):
            assert losses[one].item() == Objective(0.1)(own, images, target)["network"].item()


# ---- the partner


def test_a_full_rank_partner_is_the_same_micronet_with_plain_convolutions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pumice.train.partner.build_net", build_net)
    config = TrainConfig(model="micronet_m0", partner="full_rank", img_size=32, drop_rate=0.3, bn_momentum=0.2)
    net = create_model("micronet_m0", num_classes=3, width=0.5)
    fed = Preprocess((32, 32), 1.0, "bilinear", (0.5,) * 3, (0.5,) * 3)
    partner = build_partner(net, config, ("a", "b", "c"), fed)
    made = config_of(partner)
    assert made is not None
    assert (made.name, made.num_classes, made.options) == ("micronet_m0", 3, {"width": 0.5, "full_rank": True})
    assert not any(isinstance(m, FactorisedDepthwise) for m in partner.modules())
    assert preprocess_of(partner) == fed
    assert {m.momentum for m in partner.modules() if isinstance(m, nn.BatchNorm2d)} == {0.2}
    assert partner.head.dropout.p == 0.3
    own = create_model("micronet_m0", num_classes=3, width=0.5, full_rank=True)
    assert sum(p.numel() for p in partner.parameters()) == sum(p.numel() for p in own.parameters())


def test_a_twin_starts_elsewhere(few_digits: Splits) -> None:
    net = seeded_tiny(0)
    objective = create_objective(net, tiny_config(**PARTNERED), few_digits.classes)
    assert objective.partner is not None
    assert not torch.equal(objective.partner.classifier.weight, net.classifier.weight)
    assert_same(dict(objective.partner.state_dict()), dict(seeded_tiny(OTHER_SEED).state_dict()))


def test_what_cannot_be_a_partner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pumice.train.partner.build_net", build_net)
    plain = create_model("squeezenet1_1", num_classes=2)
    for net, name, words in (
        (plain, "full_rank", "squeezenet1_1 has no full-rank partner"),
        (Tiny(), "full_rank", "tiny has no full-rank partner"),
        (create_model("micronet_m0", num_classes=2, full_rank=True), "full_rank", "is the partner itself"),
        (plain, "squeezenet1_2", "no network is called 'squeezenet1_2'; did you mean"),
        (plain, "espnet_p2_q8", "espnet_p2_q8 is a net to segment, and a partner learns the classes of whole images"),
    ):
        with pytest.raises(BadInput, match=words) as caught:
            build_partner(net, TrainConfig(partner=name), tuple("abcdef"), Preprocess())
        assert "\n" not in str(caught.value)


def test_settings_without_a_partner_are_refused() -> None:
    config = TrainConfig(partner="full_rank").with_overrides(["distill.weight=0.5", "distill.gradient=both"])
    assert (config.distill_weight, config.distill_gradient) == (0.5, "both")
    assert TrainConfig.from_json(config.to_json()) == config
    for pair in ("distill.weight=3", "distill.temperature=2", "distill.gradient=mutual"):
        with pytest.raises(BadInput, match=f"{pair.replace('.', '_', 1)}.* has nothing to act on; name"):
            TrainConfig().with_overrides([pair])
    for pair in ("distill.weight=-1", "distill.temperature=0", "distill.gradient=all"):
        with pytest.raises(BadInput, match="distill_"):
            TrainConfig(partner="full_rank").with_overrides([pair])


# ---- runs


def test_a_run_leaves_its_partner(whole: Path, few_digits: Splits) -> None:
    rows = list(csv.DictReader((whole / "metrics.csv").open()))
    assert list(rows[0])[-1] == "partner_top1"
    manifest = read_manifest(whole / "partner.safetensors")
    assert manifest is not None
    assert manifest.classes == few_digits.classes
    partner = Tiny()
    partner.load_state_dict(load_file(whole / "partner.safetensors"))
    top1 = evaluate(partner, manifest.preprocess, few_digits.val).top1
    assert top1 == float(rows[-1]["partner_top1"])
    record = read_json(whole / "metrics.json")
    params = sum(p.numel() for p in partner.parameters())
    assert record["partner"] == {"model": "tiny", "options": {}, "params": params, "top1": top1}
    assert resume(whole).sentence.endswith(f"; partner.safetensors: top-1 {top1:.1%}")
    state = read_state(whole / "resume.pt")
    assert state["average"].keys() == state["net"].keys() == state["partner"].keys()
    assert not torch.equal(state["net"]["classifier.weight"], state["partner"]["classifier.weight"])


@pytest.mark.parametrize(("step", "save_every_s"), [(4, 0.0), (6, 1e9), (9, 0.0)])
def test_a_killed_run_ends_with_the_same_two_networks(
    step: int, save_every_s: float, whole: Path, few_digits: Splits, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        kill_at(patch, step)
        with pytest.raises(Killed):
            train(tiny_config(**PARTNERED, save_every_s=save_every_s), out, splits=few_digits)
    resume(out, splits=few_digits)
    assert_same(tensors(read_state(out / "resume.pt")), tensors(read_state(whole / "resume.pt")))
    for name in ("last.safetensors", "best.safetensors", "partner.safetensors"):
        assert (out / name).read_bytes() == (whole / name).read_bytes()
    assert rows_of(out) == rows_of(whole)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_a_partner_that_nobody_follows_changes_nothing(optimizer: str, few_digits: Splits) -> None:
    """Neither the draws of dropout, nor the clipping, nor the statistics, nor the weights of the network."""
    common: dict[str, Any] = {"optimizer": optimizer, "grad_clip": 0.1, "epochs": 1}
    alone, rows = train_once(seeded_tiny(0), few_digits, tiny_config(**common))
    assert alone["partner"] is None
    assert "partner_top1" not in rows[-1]
    state, beside = train_once(seeded_tiny(0), few_digits, tiny_config(**common, partner="tiny", distill_weight=0.0))
    assert_same(state["net"], alone["net"])
    assert_same(state["average"], alone["average"])
    assert {k: v for k, v in beside[-1].items() if k not in ("partner_top1", *CLOCK)} == {
        k: v for k, v in rows[-1].items() if k not in CLOCK
    }
    followed, _ = train_once(seeded_tiny(0), few_digits, tiny_config(**common, partner="tiny"))
    assert not torch.equal(followed["net"]["classifier.weight"], alone["net"]["classifier.weight"])
    assert_same(followed["partner"], state["partner"])  # it follows nobody
    fresh = seeded_tiny(OTHER_SEED).state_dict()
    assert not any(torch.equal(value, fresh[key]) for key, value in state["partner"].items())


def test_a_frozen_backbone_is_the_networks_alone(few_digits: Splits) -> None:
    config = tiny_config(
        epochs=1, partner="tiny", freeze="backbone", ema_decay=None, channels_last=True, precision="bf16-mixed"
    )
    state, rows = train_once(seeded_tiny(0), few_digits, config)
    for key, value in seeded_tiny(0).state_dict().items():
        assert torch.equal(state["net"][key], value) == key.startswith("trunk"), key
    fresh = seeded_tiny(OTHER_SEED).state_dict()
    assert not any(torch.equal(value, fresh[key]) for key, value in state["partner"].items())
    assert 0 <= rows[-1]["partner_top1"] <= 1


@pytest.mark.parametrize(("whose", "words"), [("partner", "network and partner"), ("net", "network")])
def test_a_loss_that_is_no_number_says_whose_it_is(
    whose: str, words: str, few_digits: Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The partner's spoils the network's, which follows it, but not the other way round."""

    def broken(seed: int) -> nn.Module:
        net = seeded_tiny(seed)
        nn.init.constant_(net.get_submodule("classifier").bias, math.nan)
        return net

    if whose == "partner":
        monkeypatch.setattr("pumice.train.partner.build_net", lambda config, classes: broken(config.seed))
    holder = "partner.classifier" if whose == "partner" else "classifier"
    said = rf"the loss of {words} at step 1 is nan: the weights {holder}.bias were so before the first step"
    with pytest.raises(CheckFailed, match=said):
        train_once(broken(0) if whose == "net" else seeded_tiny(0), few_digits, tiny_config(partner="tiny"))
