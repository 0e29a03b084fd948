"""Every family's conversions, and how a file's keys give its source away."""

import re
from collections.abc import Iterable, Mapping

from pumice.models.conversion import condensenet, efficientnet, mobilenet_v3, peleenet, shufflenet_v2, squeezenet
from pumice.models.conversion.rule import Conversion
from pumice.models.peers import Source

CONVERSIONS: dict[str, Mapping[str, Conversion]] = {
    module.__name__.rpartition(".")[2]: module.CONVERSIONS
    for module in (squeezenet, shufflenet_v2, mobilenet_v3, efficientnet, condensenet, peleenet)
}
PLAIN = Conversion()  # in our order of execution, with torch's own settings
SIGNS: tuple[tuple[str, Source], ...] = (
    (r"conv_stem\.weight", "timm"),
    (r"features\.(init_block|stage\d)", "pytorchcv"),
    (r"features\.0(\.0)?\.weight|conv1\.0\.weight|layers\.0\.weight", "torchvision"),
)


def conversion(family: str, source: str) -> Conversion:
    """How the files of a source become a net of that family."""
    return CONVERSIONS.get(family, {}).get(source, PLAIN)


def source_by_keys(family: str, keys: Iterable[str]) -> Source | None:
    """Whose file has these keys; None when they are of no known source."""
    keys = list(keys)
    own = CONVERSIONS.get(family, {}).get("official", PLAIN).sign
    signs = ((own, "official"), *SIGNS) if own else SIGNS
    for pattern, source in signs:
        if any(re.match(pattern, key) for key in keys):
            return source
    return None
