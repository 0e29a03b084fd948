"""A network as a JSON file, `best.json`: what a search found.  Every verb takes it as it takes a name; no torch here.

Weights, where there are any, are a checkpoint of the same stem beside it, `best.safetensors`.  A pruned network
always has them: the order of its channels is among them.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pumice.errors import BadInput
from pumice.files import read_json, write_json
from pumice.models.spaces.names import canonical

if TYPE_CHECKING:
    from pumice.models.manifest import Manifest

SUFFIX = ".json"


@dataclass(frozen=True)
class NetworkFile:
    """What rebuilds a network, and what was known when it was written.

    model, options, num_classes, in_chans: arguments of `create_model`.
    input_size: (C, H, W) that it was searched for.
    widths: how a pruned network is narrower than the named one, see `pumice.models.narrow`.
    search: accuracy (from 0 to 1, as the search measured it), cost, unit, method, trial and whatever else it knew.
    """

    model: str
    options: dict[str, Any]
    num_classes: int
    in_chans: int
    input_size: tuple[int, int, int]
    search: dict[str, Any] = field(default_factory=dict)
    widths: dict[str, Any] = field(default_factory=dict)

    def write(self, path: str | Path) -> Path:
        """Write it atomically."""
        value = {**asdict(self), "input_size": list(self.input_size)}
        write_json(path, value if self.widths else {k: v for k, v in value.items() if k != "widths"})
        return Path(path)

    @classmethod
    def of(cls, manifest: "Manifest", search: dict[str, Any]) -> "NetworkFile":
        """Of the network of a checkpoint, which lies beside it."""
        made = manifest.model
        size = manifest.input_size
        return cls(made.name, made.options, made.num_classes, made.in_chans, size, search, made.widths)


def is_network_file(name: str | Path) -> bool:
    """Whether a name means a network file."""
    return Path(name).suffix == SUFFIX


def weights_beside(path: str | Path) -> Path | None:
    """The checkpoint that belongs to a network file; None where there is none."""
    file = Path(path).with_suffix(".safetensors")
    return file if is_network_file(path) and file.is_file() else None


def read_network(path: str | Path) -> NetworkFile:
    """Read a network file.

    Raises:
        BadInput: there is none, or it describes no network.
    """
    value = read_json(path)
    if not isinstance(value, Mapping) or "model" not in value:
        raise BadInput(f"{path} describes no network; a network file has a model, its options and its input_size")
    try:
        found = NetworkFile(**value)
        size = found.input_size
        counts = (found.num_classes, found.in_chans, *size)
        whole = len(size) == 3 and all(type(n) is int and n >= 0 for n in counts) and min(counts[1:]) > 0
        if not (whole and all(isinstance(one, dict) for one in (found.options, found.search, found.widths))):
            raise TypeError("a value of the wrong kind")
        if not isinstance(found.model, str) or is_network_file(found.model):
            raise TypeError("no name of a network")
    except TypeError as error:
        raise BadInput(f"{path} is no network file: {str(error).removeprefix('NetworkFile.__init__() ')}") from error
    return NetworkFile(
        found.model,
        canonical(found.model, found.options),
        found.num_classes,
        found.in_chans,
        (size[0], size[1], size[2]),
        found.search,
        found.widths,
    )
