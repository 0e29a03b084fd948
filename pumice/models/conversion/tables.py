"""Every family's conversions, and how a file's keys give its source away."""

import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from pumice.models.conversion import (
    condensenet,
    efficientnet,
    espnet,
    espnet_v2,
    fbnet,
    igc,
    micronet,
    mnasnet,
    mobilenet_v1,
    mobilenet_v2,
    mobilenet_v3,
    peleenet,
    shufflenet_v1,
    shufflenet_v2,
    squeezenet,
    squeezenext,
    weightnet,
)
from pumice.models.conversion.rule import Conversion
from pumice.models.peers import Source

CONVERSIONS: dict[str, Mapping[str, Conversion]] = {
    module.__name__.rpartition(".")[2]: module.CONVERSIONS
    for module in (
        squeezenet,
        squeezenext,
        shufflenet_v1,
        shufflenet_v2,
        mobilenet_v1,
        mobilenet_v2,
        mobilenet_v3,
        mnasnet,
        efficientnet,
        condensenet,
        espnet,
        espnet_v2,
        peleenet,
        igc,
        weightnet,
        micronet,
        fbnet,
    )
} | dict.fromkeys(("fbnet_v2", "fbnet_v3"), fbnet.CONVERSIONS)  # one builder, one layout
PLAIN = Conversion()  # in our order of execution, with torch's own settings
SIGNS: tuple[tuple[str, Source], ...] = (
    (r"conv_stem\.weight", "timm"),
    (r"features\.(init_block|stage\d)", "pytorchcv"),
    (r"features\.0(\.0)?\.weight|conv1\.0\.weight|layers\.0\.weight", "torchvision"),
)


def conversion(family: str, source: str, name: str) -> Conversion:
    """How the files of a source become that net: the first entry that fits "source:name", else that of the source."""
    known = CONVERSIONS.get(family, {})
    mine = (rule for key, rule in known.items() if fnmatchcase(f"{source}:{name}", key))
    return next(mine, known.get(source, PLAIN))


def source_by_keys(family: str, keys: Iterable[str]) -> Source | None:
    """Whose file has these keys; None when they are of no known source."""
    keys = list(keys)
    own = CONVERSIONS.get(family, {}).get("official", PLAIN).sign
    signs = ((own, "official"), *SIGNS) if own else SIGNS
    for pattern, source in signs:
        if any(re.match(pattern, key) for key in keys):
            return source
    return None
