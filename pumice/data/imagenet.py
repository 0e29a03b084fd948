"""Names of the 1000 classes of ImageNet (ILSVRC 2012), in the order of every published set of weights."""

from functools import cache
from importlib.resources import files


@cache
def imagenet_classes() -> tuple[str, ...]:
    """The first WordNet lemma of each class; three that two classes share are told apart."""
    text = (files("pumice.data") / "imagenet_classes.txt").read_text(encoding="utf-8")
    return tuple(text.splitlines())
