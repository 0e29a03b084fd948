"""Distillation: its loss by hand, what a teacher sees, who can be one, and a run that is resumed."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from pumice.data.images import Splits
from pumice.data.preprocess import Preprocess
from pumice.errors import BadInput
from pumice.files import read_json
from pumice.models.checkpoint import manifest_of, save_checkpoint
from pumice.models.create import create_model
from pumice.models.described import describe
from pumice.train.config import TrainConfig
from pumice.train.distill import Distillation, Teacher, load_teacher
from pumice.train.objective import divergence, loss_of
from pumice.train.run import resume, train
from pumice.train.state import read_state
from pumice.train.trainer import train_once
from tests.train.conftest import Tiny, tiny_config
from tests.train.test_partner import OURS, TARGET, THEIRS, Answers, cross_entropy, kl
from tests.train.test_run import Killed, assert_same, kill_at, seeded_tiny, tensors

NAME, THEIR_NAME = "shufflenetv2_050", "torchvision:shufflenet_v2_x0_5"
PLAIN = Preprocess((16, 16), 1.0, "bilinear", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, few_digits: Splits) -> Path:
    """A checkpoint for the digits, described as fed at 32 pixels with a mean and deviation of its own."""
    torch.manual_seed(1)
    net = create_model(NAME, num_classes=10)
    describe(net, preprocess=replace(PLAIN, size=(32, 32), mean=(0.4, 0.5, 0.6), std=(0.3, 0.2, 0.25)))
    file = tmp_path_factory.mktemp("teacher") / "teacher.safetensors"
    return save_checkpoint(file, net, manifest_of(net, classes=few_digits.classes))


class Seen(nn.Module):
    """A network that returns what it was given, by channel."""

    def __init__(self, preprocess: Preprocess) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        describe(self, preprocess=preprocess)

    def forward(self, images: Tensor) -> Tensor:
        return self.weight * images


# ---- the loss


@pytest.mark.parametrize(("weight", "temperature"), [(0.9, 4.0), (0.3, 1.0)])
def test_the_loss_and_its_gradients_by_hand(weight: float, temperature: float) -> None:
    net, answers = Answers(OURS), Answers(THEIRS)
    objective = Distillation(Teacher(answers, Preprocess((4, 4))), 0.0, weight, temperature)
    losses = objective(net, torch.zeros(2, 3, 4, 4), torch.tensor(TARGET))
    assert list(losses) == ["network"]
    soft = temperature**2 * kl(OURS, THEIRS, temperature)
    assert losses["network"].item() == pytest.approx((1 - weight) * cross_entropy(OURS) + weight * soft, rel=1e-6)
    losses["network"].backward()
    p, q = (torch.tensor(each).div(temperature).softmax(1) for each in (OURS, THEIRS))
    hard = torch.tensor(OURS).softmax(1) - nn.functional.one_hot(torch.tensor(TARGET), 3)
    assert net.logits.grad is not None
    want = ((1 - weight) * hard + weight * temperature * (p - q)) / len(OURS)
    torch.testing.assert_close(net.logits.grad.float(), want, rtol=1e-5, atol=1e-6)
    assert answers.logits.grad is None


def test_a_student_that_is_its_teacher_has_nothing_to_learn() -> None:
    net = seeded_tiny(0).eval()
    teacher = Teacher(seeded_tiny(0), PLAIN)
    images = torch.randn(8, 3, 16, 16)
    objective = Distillation(teacher, 0.0, 1.0, 4.0)
    loss = objective(net, images, torch.zeros(8, dtype=torch.long))["network"]
    assert abs(loss.item()) < 1e-6
    other = Distillation(Teacher(seeded_tiny(1), PLAIN), 0.0, 1.0, 4.0)
    assert other(net, images, torch.zeros(8, dtype=torch.long))["network"].item() > 1e-3


def test_labels_are_smoothed_and_mixed_as_without_a_teacher() -> None:
    net, images = Answers(OURS), torch.zeros(2, 3, 4, 4)
    objective = Distillation(Teacher(Answers(THEIRS), Preprocess((4, 4))), 0.1, 0.25, 2.0)
    soft = divergence(net.logits, torch.tensor(THEIRS), 2.0)
    for target in (torch.tensor(TARGET), torch.tensor([[0.7, 0.0, 0.3], [0.3, 0.0, 0.7]])):
        want = 0.75 * loss_of(net.logits, target, 0.1) + 0.25 * soft
        assert objective(net, images, target)["network"].item() == pytest.approx(want.item(), rel=1e-6)


# ---- what it sees


@pytest.mark.parametrize("channels", ["RGB", "BGR"])
@pytest.mark.parametrize("student", ["RGB", "BGR"])
def test_a_teacher_reads_an_image_as_it_would_by_itself(channels: str, student: str) -> None:
    """Of the same size, the student's batch becomes exactly what the teacher's own preprocessing makes."""
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8))
    seen = Preprocess((16, 16), 1.0, "bilinear", (0.1, 0.2, 0.3), (0.5, 0.4, 0.6), student)  # type: ignore[arg-type]
    own = Preprocess((16, 16), 1.0, "bilinear", (0.4, 0.5, 0.6), (0.3, 0.2, 0.25), channels)  # type: ignore[arg-type]
    got = Teacher(Seen(own), seen)(torch.from_numpy(seen(image))[None])[0]
    torch.testing.assert_close(got, torch.from_numpy(own(image)), rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", [(8, 8), (32, 24)])
def test_a_teacher_of_another_size_sees_the_image_resized(size: tuple[int, int]) -> None:
    """Against Pillow, whose bilinear filter is antialiased too; one of its grey levels is 1 / 255 / std."""
    ramp = np.linspace(0, 255, 16 * 16 * 3).reshape(16, 16, 3).astype(np.uint8)
    image = Image.fromarray(ramp)
    own = Preprocess(size, 1.0, "bilinear", (0.4, 0.5, 0.6), (0.3, 0.2, 0.25))
    got = Teacher(Seen(own), PLAIN)(torch.from_numpy(PLAIN(image))[None])[0]
    assert got.shape == (3, *size)
    want = own.normalise(np.asarray(image.resize(size[::-1], Image.Resampling.BILINEAR)))
    torch.testing.assert_close(got, torch.from_numpy(want), rtol=0, atol=1.01 / 255 / 0.2)


def test_a_teacher_stays_as_it_is(few_digits: Splits) -> None:
    teacher = Teacher(seeded_tiny(1), PLAIN)
    before = {k: v.clone() for k, v in teacher.net.state_dict().items()}
    objective = Distillation(teacher, 0.0, 0.9, 4.0).train()
    assert objective.training
    assert not any(m.training for m in teacher.modules())
    loss = objective(seeded_tiny(0), torch.randn(4, 3, 16, 16), torch.arange(4))["network"]
    loss.backward()
    assert_same(before, dict(teacher.net.state_dict()))
    assert all(p.grad is None for p in teacher.parameters())
    assert teacher.digest == Teacher(seeded_tiny(1), PLAIN).digest != Teacher(seeded_tiny(2), PLAIN).digest


# ---- who can be one


def test_teachers_of_every_kind(trained: Path, tmp_path: Path, few_digits: Splits) -> None:
    x = torch.randn(2, 3, 32, 32)
    torch.manual_seed(1)
    want = create_model(NAME, num_classes=10).eval()(x)
    run = tmp_path / "run"
    run.mkdir()
    (run / "best.safetensors").write_bytes(trained.read_bytes())
    library = create_model(THEIR_NAME, num_classes=10)
    torch.save(library.state_dict(), tmp_path / "library.pth")
    for changes, answer in (
        ({"teacher": str(trained)}, want),
        ({"teacher": str(run)}, want),
        ({"teacher": NAME, "teacher_weights": str(trained)}, want),
        (
            {"teacher": THEIR_NAME, "teacher_weights": str(tmp_path / "library.pth")},
            library.eval()(x),
        ),
    ):
        got = load_teacher(TrainConfig(**changes), few_digits.classes)  # type: ignore[arg-type]
        torch.testing.assert_close(got.eval()(x), answer)


def test_who_cannot_teach(trained: Path, tmp_path: Path, few_digits: Splits, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("nothing is loaded before it is known to fit")

    monkeypatch.setattr("pumice.models.create.load_pretrained", asked)
    classes = few_digits.classes
    cases: list[tuple[dict[str, Any], tuple[str, ...], str]] = [
        ({"teacher": NAME}, classes, f"the teacher {NAME} is not trained"),
        ({"teacher": "shufflenetv2_060"}, classes, "no network is called .* did you mean"),
        ({"teacher": str(tmp_path / "gone")}, classes, "neither a run folder"),
        ({"teacher": str(tmp_path)}, classes, "holds no best.safetensors"),
        (
            {"teacher": NAME, "teacher_pretrained": True},
            classes,
            "knows 1000 classes, digits has 10: .* on digits",
        ),
        ({"teacher": str(trained)}, classes[:9], "knows 10 classes, digits has 9"),
        ({"teacher": str(trained)}, tuple("abcdefghij"), "trained on other classes: digits has no '0'"),
        ({"teacher": str(trained)}, classes[::-1], "trained on other classes: they are in another order"),
        ({"teacher": str(trained), "teacher_pretrained": True}, classes, "has weights; leave out"),
        ({"teacher": "squeezenet1_1", "teacher_weights": str(trained)}, classes, f"holds {NAME}, not squeezenet1_1"),
        ({"teacher": "espnet_p2_q8", "teacher_pretrained": True}, classes, "is a net to segment"),
    ]
    for changes, known, words in cases:
        with pytest.raises(BadInput, match=words) as caught:
            load_teacher(TrainConfig(**changes), known)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"partner": "a", "teacher": "b"}, "exclude each other"),
        ({"teacher": "a", "teacher_weights": "b", "teacher_pretrained": True}, "exclude each other"),
        ({"teacher_weights": "b"}, "teacher_weights=b has nothing to act on; name a teacher"),
        ({"teacher_pretrained": True, "partner": "a"}, "teacher_pretrained=True has nothing to act on; name a teacher"),
        ({"teacher": "a", "distill_gradient": "both"}, "distill_gradient=both has nothing to act on; name a partner"),
        ({"teacher": "a", "distill_weight": 1.5}, r"of a teacher it must be in \[0, 1\]"),
    ],
)
def test_settings_that_do_not_go_together(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        TrainConfig(**changes)
    assert TrainConfig(teacher="a", distill_weight=0.5, distill_temperature=2.0).distill_weight == 0.5


# ---- runs


def test_a_run_with_a_teacher_is_resumed(
    trained: Path, few_digits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config(teacher=str(trained), save_every_s=0.0)
    for out in (tmp_path / "whole", tmp_path / "killed"):
        with monkeypatch.context() as patch:
            if out.name == "killed":
                kill_at(patch, 9)
                with pytest.raises(Killed):
                    train(config, out, splits=few_digits)
            else:
                train(config, out, splits=few_digits)
    assert read_json(tmp_path / "killed" / "config.json")["teacher"] == str(trained)
    state = read_state(tmp_path / "killed" / "resume.pt")
    assert state["step"] == 9
    assert not [key for key in tensors(state) if "teacher" in key]

    kept = trained.read_bytes()
    other = create_model(NAME, num_classes=10)
    save_checkpoint(trained, other, manifest_of(other, classes=few_digits.classes))
    with pytest.raises(BadInput, match=f"the weights of {trained} are no longer those"):
        resume(tmp_path / "killed", splits=few_digits)
    trained.write_bytes(kept)
    resume(tmp_path / "killed", splits=few_digits)
    whole, again = (read_state(tmp_path / name / "resume.pt") for name in ("whole", "killed"))
    assert_same(tensors(again), tensors(whole))
    alone, _ = train_once(Tiny(), few_digits, tiny_config(epochs=1))
    assert alone["teacher"] is None
    assert whole["teacher"] is not None


def test_a_student_comes_to_answer_as_its_teacher_does(digits: Splits, trained: Path) -> None:
    """Labels left out: what it learns of the classes, it has from the teacher, here one that was trained."""
    common: dict[str, Any] = {"mixup": 0.0, "ema_decay": None, "channels_last": True, "label_smoothing": 0.0}
    few = Splits("digits", digits.train.subset(range(600)), digits.val)
    teacher = seeded_tiny(1)
    train_once(teacher, few, tiny_config(epochs=5, **common))
    shuffled = replace(few, train=replace(few.train, labels=few.train.labels[::-1]))
    student = seeded_tiny(2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pumice.train.classifying.load_teacher", lambda config, classes: teacher)
        config = tiny_config(epochs=5, teacher="tiny", distill_weight=1.0, **common)
        _, rows = train_once(student, shuffled, config)
    assert rows[-1]["val_top1"] > 0.75
