"""`quantize`: which file is taken, how far a scheme is refined, what is refused; nothing is quantised or timed here."""

import json
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pumice.cost.timing import Timing
from pumice.data.images import ImageSet
from pumice.deploy.schemes.scheme import SCHEMES, Scheme
from pumice.errors import BadInput
from pumice.loop.quantising import minimum, place, quantize, source, speed, tries
from pumice.loop.quantising.auto import choose
from pumice.loop.quantising.drop import ENOUGH, drop_between, interval
from pumice.loop.quantising.floats import Floats
from pumice.loop.quantising.speed import Item, speeds
from pumice.loop.quantising.tries import Tries
from pumice.models.manifest import Manifest, ModelConfig

from .test_candidates import timing

OPENVINO, ORT = (
    replace(SCHEMES[name], settings={"weights": ("reduced", "full")}) for name in ("openvino-int8", "onnxruntime-int8")
)
FLOAT_MS = 4.0


def test_the_interval_is_that_of_agresti_and_min() -> None:
    # Half an image added to each of four cells: 5.5 against 3.5 of 102.
    low, high = interval(5, 3, 100)
    assert (low, high) == pytest.approx((0.0196078 - 0.0575195, 0.0196078 + 0.0575195), abs=1e-6)
    assert interval(3, 5, 100) == pytest.approx((-high, -low))
    assert interval(0, 0, 500)[1] == pytest.approx(1.96 / 502, rel=1e-3), "no difference seen is no proof of none"


@pytest.mark.parametrize(("lost", "gained"), [(0.03, 0.01), (0.004, 0.004), (0.1, 0.02)])
def test_the_interval_encloses_the_true_drop(lost: float, gained: float) -> None:
    random = np.random.default_rng(0)
    for images in (100, 600):
        drawn = random.multinomial(images, [lost, gained, 1 - lost - gained], 4000)
        ends = [interval(int(a), int(b), images) for a, b, _ in drawn]
        inside = np.mean([low <= lost - gained <= high for low, high in ends])
        assert 0.93 < inside <= 1.0, f"{inside:.3f} of {images} images"


def test_the_estimate_decides_from_2000_images_on() -> None:
    def drop(images: int) -> Any:
        labels = np.zeros(images, int)
        answers = labels.copy()
        answers[:16] = 1  # 0.8 % are lost
        return drop_between(labels, answers, labels)

    few, enough = drop(ENOUGH - 1), drop(ENOUGH)
    assert (few.points, enough.points) == (pytest.approx(0.8, abs=0.01), pytest.approx(0.8))
    assert few.high > 1 > enough.points
    assert (few.within(1), enough.within(1)) == (False, True)
    assert (few.unsure(1), enough.unsure(1)) == (True, False)
    assert few.within(2)
    assert (few.lost, few.gained, few.agreement) == (16, 0, pytest.approx(0.992, abs=1e-3))
    assert not enough.within(0.5)
    assert not enough.unsure(0.5)


def test_one_busy_file_puts_all_on_the_cpu_clock() -> None:
    assert [s.ms for s in speeds([timing(2.0), timing(3.0)])] == [1.96, 2.94]
    mixed = speeds([timing(2.0), timing(3.0, busy=True)])
    assert [s.clock for s in mixed] == ["cpu", "cpu"]
    assert [s.ms for s in mixed] == [1.8, 2.7]


def test_faster_is_beyond_both_intervals() -> None:
    slow = speed.Speed(2.0, 1.9, 2.1, "wall")
    assert speed.Speed(1.8, 1.7, 1.89, "wall").beats(slow)
    assert not speed.Speed(1.8, 1.7, 1.9, "wall").beats(slow)
    assert speed.Speed(1.0, 0.9, 1.1, "wall").times_faster(slow) == pytest.approx((2.0, 1.9 / 1.1, 2.1 / 0.9))


class World:
    """What files would do.  ms and right by label; right is the number of 3,000 images that the float net gets too.

    asked: labels that were judged.  made: arguments of every `quantise`.
    """

    images = 3000

    def __init__(self, patch: pytest.MonkeyPatch, folder: Path) -> None:
        self.ms: dict[str, float] = {}
        self.fresh_ms: dict[str, float] = {}
        self.wrong: dict[str, int] = {}
        self.broken: set[str] = set()
        self.even = True
        self.asked: list[str] = []
        self.made: list[dict[str, Any]] = []
        patch.setattr(tries, "quantise", self._quantise)
        patch.setattr(tries, "time_items", lambda items: self._time(items, self.ms))
        patch.setattr(Tries, "sensitive", tuple("abcdefghijkl"))
        judged = SimpleNamespace(labels=np.zeros(self.images, int), answers=self._answers)
        manifest = SimpleNamespace(budget={})
        patch.setattr(tries, "meant_for", lambda manifest, runtime, threads: manifest)
        images = np.zeros((4, 3, 8, 8), np.float32)
        self.source: Any = SimpleNamespace(model=None, manifest=manifest, calibration=images, judged=judged)
        self.floats = Floats([Item("f.onnx", "onnx fp32", "onnxruntime"), Item("f.onnx", "onnx fp32", "openvino")], {})
        self.tries = Tries(self.source, self.floats, folder, threads=1, max_drop=1.0, say=lambda sentence: None)

    def choose(self, *schemes: Scheme, qat: bool = False) -> Any:
        return choose(self.tries, schemes, lambda items: self._time(items, {**self.ms, **self.fresh_ms}), qat=qat)

    @property
    def story(self) -> list[tuple[str, str]]:
        return [(attempt.label, attempt.status) for attempt in self.tries.tried]

    def _time(self, items: list[Item], ms: dict[str, float]) -> list[Timing]:
        usual = {"onnxruntime": FLOAT_MS + 1, "openvino": FLOAT_MS}
        return [timing(ms.get(i.name, usual[i.runtime] if "fp32" in i.name else FLOAT_MS / 2)) for i in items]

    def _answers(self, item: Item) -> Any:
        self.asked.append(item.name)
        answers = np.zeros(self.images, int)
        answers[: self.wrong.get(item.name, 0)] = 1
        return answers

    def _quantise(self, model: Any, file: Path, images: Any, *, scheme: str, **how: Any) -> Any:
        self.made.append({"scheme": scheme, **how})
        if scheme in self.broken:
            raise BadInput("the toolkit refuses it")
        return SimpleNamespace(path=file, bytes=1, equalised=self.even and how["equalise"])


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    return World(monkeypatch, tmp_path)


def test_the_fastest_that_loses_little(world: World) -> None:
    world.ms = {"openvino-int8, plain": 2.0, "onnxruntime-int8, plain": 3.0}
    chosen = world.choose(OPENVINO, ORT)
    assert chosen.label == "openvino-int8, plain"
    assert world.story == [("openvino-int8, plain", "chosen"), ("onnxruntime-int8, plain", "accepted")]
    assert chosen.times_faster[0] == pytest.approx(2.0), "than the better of the two float files"
    assert world.floats.items[world.floats.best].runtime == "openvino"
    assert len(world.made) == 2, "nothing is refined that need not be"


def test_what_is_not_faster_goes_no_further(world: World) -> None:
    world.ms = {"openvino-int8, plain": 3.99, "onnxruntime-int8, plain": 9.0}
    assert world.choose(OPENVINO, ORT) is None
    assert [status for _, status in world.story] == ["slower", "slower"]
    assert world.asked == ["onnx fp32"], "no file was judged but the float one, for the record"
    assert world.floats.top1 == 1.0
    assert "against 3.92 ms" in world.tries.tried[0].reason


def test_a_drop_is_mended_by_evened_weights(world: World) -> None:
    world.wrong = {"openvino-int8, plain": 90, "openvino-int8, full range of weights": 60}
    assert world.choose(OPENVINO).label == "openvino-int8, equalised"
    assert [status for _, status in world.story] == ["worse", "worse", "chosen"]
    assert [how.get("weights") for how in world.made] == [None, "full", None]
    assert [how["equalise"] for how in world.made] == [False, False, True]


def test_a_scheme_without_settings_is_only_evened(world: World) -> None:
    world.wrong = {"openvino-int8, plain": 90}
    world.choose(replace(OPENVINO, settings={}))
    assert [label for label, _ in world.story] == ["openvino-int8, plain", "openvino-int8, equalised"]


def test_sensitive_layers_stay_in_float_until_little_is_lost(world: World) -> None:
    world.even = False  # nothing can be evened: that attempt is forgotten
    world.wrong = {"openvino-int8, plain": 300, "openvino-int8, full range of weights": 200}
    how = "openvino-int8, full range of weights"
    world.wrong |= {f"{how}, 1 layer in float": 100, f"{how}, 2 layers in float": 60}
    world.ms = {f"{how}, 4 layers in float": 3.0}
    chosen = world.choose(OPENVINO)
    assert chosen.label == f"{how}, 4 layers in float"
    assert chosen.float_layers == ("a", "b", "c", "d")
    assert chosen.settings == {"weights": "full"}, "from the better of the files without"
    assert [status for _, status in world.story] == ["worse"] * 4 + ["chosen"]


def test_layers_in_float_that_cost_the_gain_end_it(world: World) -> None:
    world.even = False
    world.wrong = {f"onnxruntime-int8, {how}": 300 for how in ("plain", "full range of weights")}
    world.ms = {"onnxruntime-int8, 1 layer in float": 4.0}
    assert world.choose(ORT) is None
    assert world.story[-1] == ("onnxruntime-int8, 1 layer in float", "slower")
    assert len(world.made) == 4


def test_a_fresh_process_has_the_last_word(world: World) -> None:
    world.ms = {"openvino-int8, plain": 2.0, "onnxruntime-int8, plain": 3.0}
    world.fresh_ms = {"openvino-int8, plain": 4.5}
    assert world.choose(OPENVINO, ORT).label == "onnxruntime-int8, plain"
    assert world.story == [("openvino-int8, plain", "slower"), ("onnxruntime-int8, plain", "chosen")]
    assert world.tries.tried[0].reason.startswith("in a fresh process not faster")


def test_nothing_that_a_fresh_process_finds_slower_is_taken(world: World) -> None:
    world.fresh_ms = {"openvino-int8, plain": 4.0}
    assert world.choose(OPENVINO) is None
    assert world.story == [("openvino-int8, plain", "slower")]


def test_a_scheme_that_fails_leaves_the_others(world: World) -> None:
    world.broken = {"openvino-int8"}
    assert world.choose(OPENVINO, ORT).label == "onnxruntime-int8, plain"
    assert (world.tries.tried[0].status, world.tries.tried[0].reason) == ("failed", "the toolkit refuses it")
    assert json.dumps(world.tries.tried[0].to_json())


def test_too_few_images_to_tell(world: World) -> None:
    world.source.judged.labels = np.zeros(150, int)
    world.images = 150
    world.even = False
    assert world.choose(ORT) is None, "no answer changed, and still 150 images do not show a loss below 1 point"
    assert {status for _, status in world.story} == {"unsure"}
    world.tries.max_drop = 2.0
    world.tries.tried.clear()
    assert world.choose(ORT) is not None


def test_a_fresh_process_answers() -> None:
    with pytest.raises(Exception, match="could not be measured in a process of its own") as refused:
        speed.time_fresh([Item("nowhere.onnx", "it", "onnxruntime")])
    assert "no file nowhere.onnx" in str(refused.value)


def test_the_oldest_versions_are_those_of_the_package() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    asked = [line for extra in ("deploy", "mobile") for line in project["optional-dependencies"][extra]]
    known = dict(line.split(">=") for line in asked)
    assert all(known[name.replace("_", "-")] == version for name, version in minimum.MINIMUM.items())


def test_an_old_runtime_is_named_with_the_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {"openvino": "2024.6.0", "nncf": "3.0", "onnxruntime": "1.22.0rc1"}
    monkeypatch.setattr(minimum.metadata, "version", lambda package: versions.get(package, "999"))
    with pytest.raises(BadInput, match=r"openvino 2024\.6\.0 is too old .*needs 2025\.3.*pip install -U 'openvino>="):
        minimum.require_recent(OPENVINO)
    minimum.require_recent(ORT)
    schemes, refused = quantize.schemes_for(None, "auto", Path("m.onnx"), True)
    assert schemes == [SCHEMES["onnxruntime-int8"]]
    assert "too old" in refused["openvino-int8"]
    with pytest.raises(BadInput, match="too old"):
        quantize.schemes_for("openvino-int8", "auto", Path("m"), False)
    with pytest.raises(BadInput, match="too old"):
        quantize.schemes_for(None, "openvino", Path("m"), True)


def test_schemes_that_suit_the_path_and_runtime() -> None:
    def names(**asked: Any) -> list[str]:
        given = {"names": None, "runtime": "auto", "out": Path("m"), "auto": True, **asked}
        return [scheme.name for scheme in quantize.schemes_for(**given)[0]]

    assert names()[:2] == ["openvino-int8", "onnxruntime-int8"]
    assert names(out=Path("m.onnx")) == ["onnxruntime-int8"]
    assert names(out=Path("m.xml")) == ["openvino-int8"]
    assert names(runtime="openvino") == ["openvino-int8"]
    for wrong, asked in {
        "no scheme 'openvino'; did you mean 'openvino-int8'": {"names": "openvino"},
        "ends? .*in .onnx or .xml|end it in": {"out": Path("m.pt2")},
        "for openvino, not for onnxruntime": {"names": "openvino-int8", "runtime": "onnxruntime"},
        "no scheme writes for eager": {"runtime": "eager"},
        "name one": {"names": ["openvino-int8", "onnxruntime-int8"], "auto": False},
    }.items():
        with pytest.raises(BadInput, match=wrong):
            names(**asked)


def test_a_file_goes_where_it_was_asked_for(tmp_path: Path) -> None:
    made = tmp_path / "made"
    made.mkdir()
    for name in ("a.onnx", "b.xml", "b.bin"):
        (made / name).write_text(name)
    held: Callable[[Path], dict[str, str]] = lambda folder: {p.name: p.read_text() for p in folder.iterdir()}  # noqa: E731
    place.put(made / "a.onnx", tmp_path / "one" / "x.onnx")
    place.put(made / "b.xml", tmp_path / "one" / "y.xml")
    assert held(tmp_path / "one") == {"x.onnx": "a.onnx", "y.xml": "b.xml", "y.bin": "b.bin"}
    place.check_out(tmp_path / "two")
    place.put(made / "b.xml", tmp_path / "two")
    assert held(tmp_path / "two") == {"model.xml": "b.xml", "model.bin": "b.bin"}
    place.check_out(tmp_path / "two")
    place.put(made / "a.onnx", tmp_path / "two")
    assert held(tmp_path / "two") == {"model.onnx": "a.onnx"}, "nothing is left of the one before"
    (tmp_path / "two" / "thesis.txt").write_text("precious")
    (tmp_path / "file").write_text("")
    for path, wrong in ((tmp_path / "two", "thesis.txt"), (tmp_path / "file", "is a file"), (made, "holds other")):
        with pytest.raises(BadInput, match=wrong):
            place.check_out(path)


def test_the_images_of_a_run_are_split_as_it_was(tmp_path: Path) -> None:
    config = {"data": "photos", "seed": 3, "val_fraction": 0.4, "strict": False, "label_column": "kind", "val": None}
    (tmp_path / "config.json").write_text(json.dumps(config))
    split = {"seed": 3, "val_fraction": 0.4, "strict": False}
    assert source._split_of(tmp_path, "photos") == {**split, "label_column": "kind"}
    assert source._split_of(tmp_path, "others") == split
    assert source._split_of(None, "photos") == {}


def test_pixels_are_read_once_where_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "KEPT_BYTES", 3 * 8 * 8 * 2)
    read: list[int] = []
    photos = [Image.fromarray(np.random.default_rng(i).integers(0, 256, (9, 9, 3), dtype=np.uint8)) for i in range(4)]
    counted = ImageSet(
        ("a",), (0,) * 4, tuple("1234"), tuple(lambda i=i: read.append(i) or photos[i] for i in range(4))
    )
    manifest = Manifest(ModelConfig("x")).at(8, 8)
    judged = source.Judged(counted, manifest)
    first, second = ([judged._input(i) for i in range(4)] for _ in range(2))
    assert read == [0, 1, 2, 3, 2, 3]
    wanted = [manifest.preprocess(photos[i])[None] for i in range(4)]
    for got in (first, second):
        assert all(np.array_equal(a, b) for a, b in zip(got, wanted, strict=True))
