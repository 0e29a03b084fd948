"""What a search leaves behind: `netadapt.json`, and the net of every step below `netadapt/`.

A step is two files: weights as a checkpoint, and what was found out.  The second is written last: a step is done when
it is there.  What the proposals of the step under way came to lies beside, so that a kill costs one tuning at most.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from pumice.errors import BadInput
from pumice.files import read_json, write_bytes, write_json
from pumice.models.checkpoint import checkpoint_bytes, manifest_of
from pumice.search.netadapt.propose import Judged, Proposal

FORMAT = 1
FILE = "netadapt.json"
FOLDER = "netadapt"
SEED = 0  # number of the net that the search begins with
NARROWEST = -1  # stands for the net whose groups are all as narrow as they can be


@dataclass(frozen=True)
class Step:
    """One net of the search, made from an earlier one.

    number: from 1; 0 is the seed.  parent: number of the net that it was made from.
    kept: name of every free group -> channels that stay, in the seed's numbers.
    limit: what it might cost at most.  cost: predicted.  madds, params: counted in the cut net.
    group, kind, before, width: which group was shrunk, and from how many channels to how many.
    accuracy: on the held-out images.  penalty: what its violations of guidelines count as.
    proposals: every one that was judged.  seconds: of the step.
    """

    number: int
    parent: int
    kept: Mapping[str, tuple[int, ...]]
    limit: float | None
    cost: float
    madds: int
    params: int
    accuracy: float
    group: str = ""
    kind: str = ""
    before: int = 0
    width: int = 0
    proposals: tuple[Mapping[str, Any], ...] = ()
    penalty: float = 0.0
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """JSON values; `from_json` is the inverse."""
        return {**asdict(self), "kept": {name: list(channels) for name, channels in self.kept.items()}}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Step":
        """Inverse of `to_json`."""
        kept = {name: tuple(channels) for name, channels in value["kept"].items()}
        return cls(**{**value, "kept": kept, "proposals": tuple(value["proposals"])})


@dataclass(frozen=True)
class Measured:
    """A net measured beside the seed, in one series.

    number: of its step, or NARROWEST.  cost: by the prices.  ms, seed_ms: figures of that series.
    busy: the machine did other work.
    scaled_ms: of the net, at the pace of the seed's first measurement.
    goal: what a net may cost by the prices from now on.
    """

    number: int
    cost: float
    ms: float
    seed_ms: float
    scaled_ms: float
    goal: float
    busy: bool


@dataclass
class Record:
    """Everything that was found out so far.

    asked: the arguments of the search; going on asks for the same.
    steps: by number, the seed first.  measured: in order, the seed first.  best: number of the net that was settled on.
    """

    out: Path
    asked: dict[str, Any]
    unit: str = ""
    steps: list[Step] = field(default_factory=list)
    measured: list[Measured] = field(default_factory=list)
    best: int | None = None
    final: dict[str, Any] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where the nets of steps are."""
        return self.out / FOLDER

    def weights(self, number: int) -> Path:
        """The checkpoint of a step."""
        return self.folder / f"{number:03d}.safetensors"

    def add(self, step: Step, net: nn.Module, classes: tuple[str, ...]) -> None:
        """Keep a step for good."""
        write_bytes(self.weights(step.number), checkpoint_bytes(net, manifest_of(net, classes=classes)))
        write_json(self.weights(step.number).with_suffix(".json"), step.to_json())
        self.steps.append(step)
        self.write()
        self._forget()

    def judged(self, proposals: list[Proposal]) -> list[Judged]:
        """What is known of the proposals of the step under way: of the first of them, in order."""
        found = read_json(self._under_way) if self._under_way.is_file() else {"step": None, "judged": []}
        if found["step"] != len(self.steps):
            return []
        known = [Judged(**{**one, "proposal": Proposal(**one["proposal"])}) for one in found["judged"]]
        same = all(a.proposal == b for a, b in zip(known, proposals, strict=False))
        return known if same and len(known) <= len(proposals) else []

    def note(self, judged: list[Judged], net: nn.Module | None) -> None:
        """Keep what is known of proposals; net: of the best of them, where the last one is it."""
        if net is not None:
            write_bytes(self._winner, checkpoint_bytes(net, manifest_of(net)))
        write_json(self._under_way, {"step": len(self.steps), "judged": [asdict(one) for one in judged]})

    @property
    def winner(self) -> Path:
        """Weights of the best proposal so far of the step under way."""
        return self._winner

    @property
    def _under_way(self) -> Path:
        return self.folder / "under_way.json"

    @property
    def _winner(self) -> Path:
        return self.folder / "under_way.safetensors"

    def _forget(self) -> None:
        self._under_way.unlink(missing_ok=True)
        self._winner.unlink(missing_ok=True)

    def write(self) -> None:
        """Write `netadapt.json`."""
        write_json(
            self.out / FILE,
            {
                "format": FORMAT,
                "asked": self.asked,
                "unit": self.unit,
                "steps": [{k: v for k, v in step.to_json().items() if k != "kept"} for step in self.steps],
                "widths": {name: len(channels) for name, channels in self.steps[-1].kept.items()} if self.steps else {},
                "measured": [asdict(one) for one in self.measured],
                "best": self.best,
                "final": self.final,
            },
        )


def read_record(out: Path) -> Record:
    """The record of a folder.

    Raises:
        BadInput: there is none, or it is damaged or of a newer Pumice.
    """
    path = out / FILE
    if not path.is_file():
        raise BadInput(f"{out} holds no netadapt search; name the folder of one")
    value = read_json(path)
    try:
        if value["format"] > FORMAT:
            raise BadInput(f"{path} was written by a newer Pumice; upgrade with `pip install -U pumice`")
        steps: list[Step] = []
        while (file := out / FOLDER / f"{len(steps):03d}.json").is_file():
            steps.append(Step.from_json(read_json(file)))
        measured = [Measured(**one) for one in value["measured"]]
        named = (value["unit"], steps, measured, value["best"], value["final"])
        return Record(out, value["asked"], *named)
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"{path} is damaged ({error}); begin the search again in another folder") from error
