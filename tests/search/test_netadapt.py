"""NetAdapt on real networks: what each step does to the net, the held-out images, going on after a kill, measuring."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from pumice.data.digits import open_digits
from pumice.data.images import Splits
from pumice.errors import BadInput
from pumice.files import read_json
from pumice.graph.trace import trace
from pumice.models.checkpoint import load_checkpoint, manifest_of, save_checkpoint
from pumice.models.create import create_model
from pumice.models.described import describe, preprocess_of
from pumice.models.source import load_source
from pumice.search.netadapt import Settings, netadapt, resume
from pumice.search.netadapt.tune import Tuner, held_out
from pumice.train.config import TrainConfig

SIZE = (3, 32, 32)
HIDDEN = ("blocks.2.expand.conv", "blocks.3.expand.conv")
TRUNK = "blocks.2.project.conv"  # two blocks are added to it
QUICK = Settings(step=0.1, tune_steps=1, holdout=0.2, retrain_epochs=0, round_to=4)


@pytest.fixture(scope="module")
def digits() -> Splits:
    splits = open_digits()
    return replace(splits, train=splits.train.subset(range(300)), val=splits.val.subset(range(60)))


@pytest.fixture(scope="module")
def seed(tmp_path_factory: pytest.TempPathFactory, digits: Splits) -> Path:
    torch.manual_seed(0)
    net = create_model("mobilenetv2_100", num_classes=10, width=0.25)
    describe(net, preprocess=replace(preprocess_of(net), size=SIZE[1:]))
    path = tmp_path_factory.mktemp("seed") / "seed.safetensors"
    return save_checkpoint(path, net, manifest_of(net, classes=digits.classes))


def price(widths: Mapping[str, int]) -> float:
    return sum(widths[group] for group in HIDDEN) + 4.0 * widths[TRUNK]


class Told:
    """In place of `Tuner`: an accuracy that follows from the weights, and a tuning that changes them."""

    killed_at: int | None = None

    def __init__(self, splits: Splits, config: TrainConfig, settings: Settings) -> None:
        self.splits, self.config, self.settings = splits, config, settings
        self.tuned = 0

    def accuracy(self, net: nn.Module) -> float:
        state = net.state_dict()
        return float(sum(state[f"{g}.weight"].double().square().sum() for g in (*HIDDEN, TRUNK)))

    def estimate(self, net: nn.Module, number: int) -> None: ...

    def tune(self, net: nn.Module, number: int) -> float:
        if self.tuned == self.killed_at:
            raise KeyboardInterrupt
        self.tuned += 1
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.mul_(1 - 0.01 * number)
        return self.accuracy(net)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> type[Told]:
    monkeypatch.setattr("pumice.search.netadapt.tune.Tuner", Told)
    monkeypatch.setattr(Told, "killed_at", None)
    return Told


def run(seed: Path, digits: Splits, out: Path, target: float = 90.0, **changes: Any) -> Any:
    given = {"price": price, "settings": QUICK, "target_madds": target, **changes}
    return netadapt(seed, "digits", splits=digits, out=out, **given)


@pytest.fixture(scope="module")
def whole(seed: Path, digits: Splits, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """The folder of a run that nothing stops, and what it answers."""
    out = tmp_path_factory.mktemp("whole") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pumice.search.netadapt.tune.Tuner", Told)
        return out, run(seed, digits, out)


def test_every_step_narrows_one_group_wherever_it_lies(seed: Path, digits: Splits, whole: tuple[Path, Any]) -> None:
    out, result = whole
    record = read_json(out / "netadapt.json")
    steps = record["steps"]
    first = steps[0]["cost"]
    assert first == price(widths_in(seed))
    assert len(steps) > 2
    for before, after in pairwise(steps[:-1]):
        assert before["cost"] - after["cost"] >= 0.1 * first
    assert steps[-1]["cost"] <= 90.0 < steps[-2]["cost"]
    assert all(0 <= len(step["proposals"]) <= 3 for step in steps)
    assert {p["kind"] for step in steps for p in step["proposals"]} == {"expansion", "bottleneck"}
    for number, step in enumerate(steps):
        net, manifest = load_checkpoint(out / "netadapt" / f"{number:03d}.safetensors")
        widths = widths_of(net)
        assert manifest.classes == digits.classes
        assert step["cost"] == price(widths)
        assert trace(net, SIZE).madds == step["madds"]
        modules = dict(net.named_modules())
        for block in ("blocks.2", "blocks.3"):  # depthwise layers go with their expansion
            depthwise = modules[f"{block}.depthwise.conv"]
            assert depthwise.in_channels == depthwise.groups == widths[f"{block}.expand.conv"]
        # The shortcut adds the maps of both projections.
        assert modules["blocks.3.project.conv"].out_channels == widths[TRUNK] == modules[HIDDEN[1]].in_channels
    assert result.within
    assert result.cost == steps[-1]["cost"]
    assert result.steps == len(steps) - 1
    best, _ = load_checkpoint(out / "best.safetensors")
    assert torch.equal(best(torch.ones(1, *SIZE)), net(torch.ones(1, *SIZE)))
    file = out / "best.json"
    known = {"accuracy": result.accuracy, "cost": result.cost, "unit": "cost", "method": "netadapt", "trial": number}
    assert read_json(file)["search"] == known
    assert torch.equal(load_source(file)[0](torch.ones(1, *SIZE)), net(torch.ones(1, *SIZE)))
    assert trace(create_model(str(file)), SIZE).madds == steps[-1]["madds"]


def widths_of(net: nn.Module) -> dict[str, int]:
    return {name: net.get_submodule(name).out_channels for name in (*HIDDEN, TRUNK)}  # type: ignore[misc]


def widths_in(path: Path) -> dict[str, int]:
    return widths_of(load_checkpoint(path)[0])


def test_a_step_that_no_group_alone_saves_is_halved(
    seed: Path, digits: Splits, told: type[Told], tmp_path: Path
) -> None:
    run(seed, digits, tmp_path / "out", target=50.0, settings=replace(QUICK, step=0.9))
    steps = read_json(tmp_path / "out" / "netadapt.json")["steps"]
    first = steps[0]["cost"]
    assert steps[-1]["cost"] <= 50.0
    for before, after in pairwise(steps):
        asked = before["cost"] - max(50.0, before["cost"] - 0.9 * first)  # beyond the target nothing is asked
        assert any(after["limit"] == before["cost"] - asked / 2**halved for halved in range(4))
        assert after["cost"] <= after["limit"]
    assert steps[1]["limit"] > 50.0


def test_the_strongest_filters_stay(seed: Path, digits: Splits, told: type[Told], tmp_path: Path) -> None:
    run(seed, digits, tmp_path / "out", settings=replace(QUICK, max_steps=1))
    step = read_json(tmp_path / "out" / "netadapt" / "001.json")
    group, kept = step["group"], step["kept"][step["group"]]
    wide = load_checkpoint(seed)[0].get_submodule(group).weight.detach()
    small = load_checkpoint(tmp_path / "out" / "netadapt" / "001.safetensors")[0].get_submodule(group).weight.detach()
    if group in HIDDEN:
        norms = wide.flatten(1).norm(dim=1)
        assert kept == sorted(norms.topk(len(kept)).indices.tolist())
        assert torch.allclose(small, 0.99 * wide[kept])


def test_a_net_whose_shuffles_fit_no_table_any_more_is_kept(
    digits: Splits, told: type[Told], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = "blocks.3.branch.2.conv"  # half of what is shuffled behind it
    net = create_model("shufflenetv2_050", num_classes=10)
    describe(net, preprocess=replace(preprocess_of(net), size=SIZE[1:]))
    path = save_checkpoint(tmp_path / "seed.safetensors", net, manifest_of(net, classes=digits.classes))
    monkeypatch.setattr(told, "accuracy", lambda *_: 0.5)
    result = run(path, digits, tmp_path / "out", target=16.0, price=lambda widths: float(widths[group]))
    small, _ = load_checkpoint(tmp_path / "out" / "best.safetensors")
    assert result.widths[group] <= 16 < width_of(net, group)
    assert any(name.endswith("shuffle.order") or name.endswith("before.order") for name in small.state_dict())
    again, _ = load_checkpoint(tmp_path / "out" / "netadapt" / f"{result.steps:03d}.safetensors")
    assert torch.equal(small(torch.ones(1, *SIZE)), again(torch.ones(1, *SIZE)))


def width_of(net: nn.Module, name: str) -> int:
    return net.get_submodule(name).out_channels  # type: ignore[return-value]


def test_going_on_after_a_kill_gives_the_same_nets(
    seed: Path,
    digits: Splits,
    told: type[Told],
    whole: tuple[Path, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Told, "killed_at", 4)  # between the proposals of a step
    for _ in range(20):
        try:
            run(seed, digits, tmp_path / "killed")
            break
        except KeyboardInterrupt:
            continue
    unbroken, killed = (read_json(out / "netadapt.json") for out in (whole[0], tmp_path / "killed"))
    for record in (unbroken, killed):
        for step in record["steps"]:
            step.pop("seconds")
            for proposal in step["proposals"]:
                proposal.pop("seconds")
    assert killed == unbroken
    for file in sorted((whole[0] / "netadapt").glob("*.safetensors")):
        assert file.read_bytes() == (tmp_path / "killed" / "netadapt" / file.name).read_bytes()
    assert not list((tmp_path / "killed" / "netadapt").glob("under_way*"))
    again = (tmp_path / "killed" / "best.safetensors").stat().st_mtime_ns
    run(seed, digits, tmp_path / "killed")  # finished: nothing happens
    assert (tmp_path / "killed" / "best.safetensors").stat().st_mtime_ns == again
    with pytest.raises(BadInput, match="whose target_madds is 90"):
        run(seed, digits, tmp_path / "killed", target=80.0)
    with pytest.raises(BadInput, match="price of your own"):
        resume(tmp_path / "killed")


@pytest.mark.slow
def test_a_measured_net_ends_at_most_five_percent_below_its_target(
    seed: Path, digits: Splits, told: type[Told], tmp_path: Path
) -> None:
    """A clock that multiply-adds mispredict: half of the time is spent anyway, the rest goes as their square root."""
    full = trace(load_checkpoint(seed)[0], SIZE).madds

    def beside(one: nn.Module, other: nn.Module) -> tuple[float, float, bool]:
        ms, seed_ms = (5.0 + 5.0 * (trace(net, SIZE).madds / full) ** 0.5 for net in (other, one))
        return ms, seed_ms, False

    settings = replace(QUICK, step=0.15, round_to=8)
    result = run(
        seed, digits, tmp_path / "out", price=None, target_madds=None, target_ms=8.0, beside=beside, settings=settings
    )
    measured = read_json(tmp_path / "out" / "netadapt.json")["measured"]
    assert [one["number"] for one in measured[:2]] == [0, -1]  # the seed, the narrowest net
    assert measured[2]["scaled_ms"] > 8.0  # on the line between them it was too slow: corrections
    assert len(measured) > 3
    assert 0.95 * 8.0 <= result.measured_ms <= 8.0
    assert result.seed_ms == 10.0
    assert result.within
    found, _ = load_checkpoint(tmp_path / "out" / "best.safetensors")
    assert beside(found, found)[0] == pytest.approx(result.measured_ms)


def test_what_cannot_be_asked_leaves_nothing(seed: Path, digits: Splits, told: type[Told], tmp_path: Path) -> None:
    for changes, sentence in (
        ({"target_madds": 1e6}, "keeps the target; give a lower one"),
        ({"target_madds": 2.0}, "cannot be narrowed to 2 cost; the narrowest that it can become takes 6"),
        ({"target_ms": 3.0}, "give either a target"),
        ({"target_madds": -1.0}, "above zero"),
        ({"violations": -1.0}, "not be below 0"),
    ):
        with pytest.raises(BadInput, match=sentence):
            run(seed, digits, tmp_path / "out", **changes)
    with pytest.raises(BadInput, match="has no weights; set seed_epochs"):
        netadapt("mobilenetv2_100", "digits", splits=digits, target_madds=0.5, settings=QUICK, out=tmp_path / "out")
    others = replace(digits, train=replace(digits.train, classes=tuple("abcdefghij")))
    with pytest.raises(BadInput, match="was trained for other classes"):
        run(seed, others, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_held_out_images_are_neither_trained_on_nor_validated(digits: Splits) -> None:
    names = {*digits.train.names}
    for holdout, count in ((0.2, 60), (50, 50)):
        held = held_out(digits, holdout, seed=1)
        trained, judged = {*held.train.names}, {*held.val.names}
        assert trained | judged == names
        assert not trained & judged
        assert not judged & {*digits.val.names}
        assert abs(len(judged) - count) <= 5
        assert {*held.val.labels} == {*digits.train.labels}
    assert held_out(digits, 0.2, 1).val.names != held_out(digits, 0.2, 2).val.names
    with pytest.raises(BadInput, match="hold fewer than that out"):
        held_out(digits, 300, seed=0)


class Seen(nn.Module):
    """Counts what it is shown; learns with one norm and one layer."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.classifier = nn.Linear(3 * 64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(nn.functional.adaptive_avg_pool2d(self.norm(x), 8).flatten(1))


def test_tuning_trains_and_is_the_same_again(digits: Splits) -> None:
    config = TrainConfig(
        batch_size=20, lr=0.02, schedule="constant", warmup_epochs=0.0, hflip=0.0, rrc_scale=(0.9, 1.0), img_size=16
    )
    held = held_out(digits, 0.2, seed=0)
    nets = []
    for steps, seed in ((30, 0), (30, 0), (30, 1), (0, 0)):
        tuner = Tuner(held, replace(config, seed=seed), Settings(tune_steps=steps, statistics=3))
        torch.manual_seed(0)
        net = Seen()
        describe(net, preprocess=replace(preprocess_of(net), size=(16, 16)))
        tuner.estimate(net, 1)
        before = tuner.accuracy(net)
        after = tuner.tune(net, 1)
        assert after == pytest.approx(tuner.accuracy(net))
        assert (after > before + 0.3) == (steps > 0)
        nets.append({k: v.clone() for k, v in net.state_dict().items()})
    once, again, other, none = nets
    assert all(torch.equal(once[k], again[k]) for k in once)
    assert not torch.equal(once["classifier.weight"], other["classifier.weight"])
    assert int(none["norm.num_batches_tracked"]) == 3  # a plain mean of as many batches


def test_narrowed_layers_may_begin_anew_and_violations_count(
    seed: Path, digits: Splits, told: type[Told], tmp_path: Path
) -> None:
    settings = replace(QUICK, new_weights="random", max_steps=1)
    run(seed, digits, tmp_path / "out", settings=settings, violations=0.01)
    step = read_json(tmp_path / "out" / "netadapt" / "001.json")
    before = load_checkpoint(seed)[0]
    after, _ = load_checkpoint(tmp_path / "out" / "netadapt" / "001.safetensors")
    for path, module in after.named_modules():
        if isinstance(module, nn.Conv2d):
            old = before.get_submodule(path).weight
            assert isinstance(old, torch.Tensor)
            if old.shape == module.weight.shape:
                assert torch.equal(module.weight, 0.99 * old)
            else:  # torch's own start is uniform within 1 / sqrt(fan-in)
                fan = module.weight[0].numel()
                assert float(module.weight.detach().abs().max()) <= fan**-0.5
    places = [one["penalty"] / (0.01 * price(widths_in(seed))) for one in step["proposals"]]
    assert all(count == pytest.approx(round(count)) and count > 5 for count in places)
