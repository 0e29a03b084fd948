"""Everything that decides a search, as JSON values.  No torch and no optuna here.

`OUT/config.json` holds one `SearchConfig`; with equal data it gives the same trials wherever one worker runs it.
"""

import math
from dataclasses import asdict, dataclass, field, fields
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, get_type_hints

from pumice.errors import BadInput, nearest
from pumice.values import checked, read_value

RewardName = Literal["piecewise", "soft", "accuracy"]
CostName = Literal["latency", "madds", "params"]
SUPERNETS = ("dnas", "dmasking")  # methods that learn from images first, so that a table may judge what they draw
UNITS = {"latency": "ms", "madds": "multiply-adds", "params": "parameters"}
SECTIONS = {
    "space": "space_options",
    "method": "method_options",
    "proxy": "proxy_options",
    "table": "table_options",
    "reward": "reward_options",
}
EXTENT = ("trials", "time_s", "workers", "storage", "name", "retrain", "retrain_epochs")
"""Fields that say how long, where and by how many; who joins a search may name others."""


@dataclass(frozen=True)
class SearchConfig:
    """One search.

    method: a name of `pumice.search.study.methods`.  method_options: its settings (`method.population=20`).
    space, space_options: see `pumice.models.spaces.names`.
    training: the `TrainConfig` of every short training, as JSON values; {} where nothing is trained.
    proxy_options: what else `pumice.search.proxy.ProxyTraining` takes: holdout, images, classes.
    table, table_options: a CSV file that knows the accuracy of every choice; see `pumice.search.study.table`.
    cost, target: what a network may cost: ms, multiply-adds or parameters.  Without a target the cost is still kept.
    lut, runtime: what predicts latency, or measures it here.
    reward, reward_options: from accuracy and cost to one number; alpha, beta of MnasNet's form (`reward.alpha=-0.15`).
    early_stop: whether trainings that fall behind the median end early.
    seed: of everything.
    trials, time_s: when the search ends.  workers: processes on this machine.
    storage, name: URL of the database without its password, None for OUT/study.db; name of the study, None for OUT's.
    retrain, retrain_epochs: how many of the front are trained at the end, and how long.
    """

    method: str
    space: str
    space_options: dict[str, Any] = field(default_factory=dict)
    method_options: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    proxy_options: dict[str, Any] = field(default_factory=dict)
    table: str | None = None
    table_options: dict[str, Any] = field(default_factory=dict)
    cost: CostName = "madds"
    target: float | None = None
    lut: str | None = None
    runtime: str | None = None
    reward: RewardName | None = None
    reward_options: dict[str, Any] = field(default_factory=dict)
    early_stop: bool = False
    seed: int = 0
    trials: int = 100
    time_s: float | None = None
    workers: int = 1
    storage: str | None = None
    name: str | None = None
    retrain: int = 0
    retrain_epochs: int = 30

    def __post_init__(self) -> None:
        hints = get_type_hints(SearchConfig)
        for f in fields(self):
            object.__setattr__(self, f.name, checked(f.name, getattr(self, f.name), hints[f.name]))
        if self.reward is None:
            object.__setattr__(self, "reward", "accuracy" if self.target is None else "piecewise")
        for name, least in (("trials", 1), ("workers", 1), ("retrain", 0), ("retrain_epochs", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise BadInput(f"{name}={getattr(self, name)} must be at least {least}")
        if self.target is not None and not 0 < self.target < math.inf:
            raise BadInput(f"the target {self.target:g} is not above zero and finite")
        if not self.training and self.table is None:
            raise BadInput("give --data, images to train on, or --table, a file that knows every accuracy")
        if self.training and self.table is not None and self.method not in SUPERNETS:
            raise BadInput("give either --data, images to train on, or --table, a file that knows every accuracy")
        if self.method in SUPERNETS and not self.training:
            raise BadInput(f"{self.method} trains a supernet on images; give --data")
        if self.table is not None and (self.proxy_options or self.early_stop):
            raise BadInput(
                "a --table knows the accuracies: no network is trained; leave out --early-stop and proxy.NAME"
            )
        if self.retrain and not self.training:
            raise BadInput("--retrain trains on images; give --data")
        if self.reward == "soft" and self.target is None:
            raise BadInput("the soft reward weighs cost against a target; give --target-latency, -madds or -params")
        if self.reward == "accuracy" and self.reward_options:
            raise BadInput("the reward is the accuracy alone, which has no settings; leave out reward.NAME")
        if self.lut is not None and self.runtime is not None:
            raise BadInput("--lut predicts latencies and --runtime measures them; give one of the two")
        if self.cost != "latency" and (self.lut or self.runtime):
            raise BadInput("--lut and --runtime are about latency; give --target-latency")
        unknown = set(self.reward_options) - {"alpha", "beta"}
        if unknown:
            raise BadInput(f"the reward has no setting {min(unknown)!r}; it has alpha and beta")

    @property
    def data(self) -> str | None:
        """The images, as the user called them."""
        return self.training.get("data")

    @property
    def unit(self) -> str:
        """Of the cost."""
        return UNITS[self.cost]

    def what(self) -> dict[str, Any]:
        """What the study of this search is: all that must be equal where workers join.

        A table is told by its content, wherever it lies; images are told by `Built.digest`.

        Raises:
            BadInput: a file that it names is not there.
        """
        found = {k: v for k, v in self.to_json().items() if k not in EXTENT}
        for name in ("table", "lut"):
            path = found.pop(name)
            if path is not None:
                found[f"{name} of SHA-256"] = _digest(path)
        for name in ("data", "workers", "devices", "accelerator"):
            found["training"].pop(name, None)
        return {k: v for k, v in found.items() if v is not None and v != {}}

    def to_json(self) -> dict[str, Any]:
        """JSON values; `from_json` is the inverse."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Any) -> "SearchConfig":
        """Inverse of `to_json`.

        Raises:
            BadInput: no such record, or a field is unknown, missing or impossible.
        """
        known = [f.name for f in fields(cls)]
        if not isinstance(value, dict) or not {"method", "space"} <= value.keys():
            raise BadInput("this configuration is not one of a search")
        for name in value:
            if name not in known:
                raise BadInput(f"this configuration has an unknown field {name!r}{nearest(name, known)}")
        return cls(**value)


def read_settings(pairs: list[str]) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """`["method.population=20"]` -> {"method_options": {"population": 20}}, and the pairs of other sections.

    Raises:
        BadInput: a pair has no section, or no `=`.
    """
    found: dict[str, dict[str, Any]] = {}
    others = []
    for pair in pairs:
        key, equals, value = pair.partition("=")
        section, dot, name = key.partition(".")
        if not (equals and dot and name):
            raise BadInput(
                f"--set {pair!r} cannot be read; write SECTION.NAME=VALUE with {', '.join(SECTIONS)} or a section of "
                "training, as optim.lr=0.01"
            )
        if section in SECTIONS:
            found.setdefault(SECTIONS[section], {})[name] = read_value(value)
        else:
            others.append(pair)
    return found, others


def _digest(path: str) -> str:
    try:
        return sha256(Path(path).read_bytes()).hexdigest()[:16]
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error
