"""What a conversion is: data about a source's files, and the settings that its weights were trained with."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from torch import Tensor

from pumice.data.preprocess import Preprocess
from pumice.models.manifest import Padding

HALF = (0.5, 0.5, 0.5)
PER_255 = (1 / 255, 1 / 255, 1 / 255)
BILINEAR = Preprocess(interpolation="bilinear")
BILINEAR_232 = Preprocess(crop_pct=224 / 232, interpolation="bilinear")  # torchvision's second recipe


@dataclass(frozen=True)
class Settings:
    """What weights were trained with."""

    padding: Padding = "symmetric"
    bn_eps: float | None = None
    preprocess: Preprocess = field(default_factory=Preprocess)


@dataclass(frozen=True)
class Conversion:
    """How the files of one source become ours.  Its steps run in this order; the result is zipped with our tensors.

    drop: pattern (searched) of keys that inference never uses.
    change: rewrites tensors (swaps halves, drops an axis); keys may change too.
    order: puts keys into our order of execution; the file's own order when None.
    sign: pattern (matched) of a key that only such files have; "" when nothing gives them away.
    """

    settings: Settings = Settings()
    drop: str = ""
    change: Callable[[dict[str, Tensor]], dict[str, Tensor]] | None = None
    order: Callable[[list[str]], list[str]] | None = None
    sign: str = ""

    def __call__(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """The tensors, in our order of execution."""
        if self.drop:
            state = {key: value for key, value in state.items() if not re.search(self.drop, key)}
        if self.change is not None:
            state = self.change(state)
        keys = list(state) if self.order is None else self.order(list(state))
        return {key: state[key] for key in keys}


# BGR, 0 to 255
MEGVII = Settings(preprocess=Preprocess(mean=(0.0, 0.0, 0.0), std=PER_255, channels="BGR", interpolation="bilinear"))
# TF-slim's MobileNets
TENSORFLOW = Conversion(Settings("same", 1e-3, Preprocess(mean=HALF, std=HALF, interpolation="bilinear")))


def shortcut_first(pattern: str) -> Callable[[list[str]], list[str]]:
    """An order for nets whose units register their main branch first and run their shortcut first.

    pattern: finds the `unit` that a key is of, and `shortcut` in the keys of shortcuts.
    """

    def order(keys: list[str]) -> list[str]:
        def rank(key: str) -> tuple[int, bool]:
            found = re.match(pattern, key)
            if found is None:
                return keys.index(key), False
            return next(i for i, k in enumerate(keys) if k.startswith(found["unit"])), found["shortcut"] is None

        return sorted(keys, key=rank)

    return order
