"""The joints of a pose: their names, mirror images, tolerances, and the lines between them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pumice.errors import BadInput

# Names and standard deviations of COCO's person: https://cocodataset.org/#keypoints-eval.
COCO_SIGMAS = {
    "nose": 0.026,
    **{f"{side}_eye": 0.025 for side in ("left", "right")},
    **{f"{side}_ear": 0.035 for side in ("left", "right")},
    **{f"{side}_shoulder": 0.079 for side in ("left", "right")},
    **{f"{side}_elbow": 0.072 for side in ("left", "right")},
    **{f"{side}_wrist": 0.062 for side in ("left", "right")},
    **{f"{side}_hip": 0.107 for side in ("left", "right")},
    **{f"{side}_knee": 0.087 for side in ("left", "right")},
    **{f"{side}_ankle": 0.089 for side in ("left", "right")},
}
OTHER_SIGMA = 0.079  # of a joint that COCO does not have: ours, as broad as COCO's shoulder
LOWER = re.compile(r"hip|thigh|knee|shin|calf|ankle|heel|foot|toe|leg", re.IGNORECASE)
SIDES = {"left": "right", "right": "left", "l": "r", "r": "l"}
# The letter of a side alone: l_hip, L hip, LHip, hip_l, hipL.
SIDE = re.compile(r"(?<![A-Za-z])[lrLR](?![a-z])|(?<=[a-z])[LR]$")
WORD = re.compile(r"left|right", re.IGNORECASE)


@dataclass(frozen=True)
class Skeleton:
    """The joints of a pose.

    joints: names, in order.
    flip: for each joint the one that takes its place in a mirror image, itself if it is on neither side.
    sigmas: of COCO's object keypoint similarity, the standard deviation of the annotators as a share of the person's
        size.
    edges: pairs of joints, counted from 0, between which lines are drawn.
    measured: whether all sigmas are known, from the data or from COCO; otherwise some are `OTHER_SIGMA`.
    """

    joints: tuple[str, ...]
    flip: tuple[int, ...]
    sigmas: tuple[float, ...]
    edges: tuple[tuple[int, int], ...] = ()
    measured: bool = True

    def __post_init__(self) -> None:
        count = len(self.joints)
        if len(self.sigmas) != count or [self.flip[i] for i in self.flip] != list(range(count)):
            raise ValueError(f"{len(self.sigmas)} sigmas and mirror images {self.flip} do not fit {count} joints")

    @property
    def lower(self) -> tuple[int, ...]:
        """Joints from the hips downward, by their names."""
        return tuple(i for i, name in enumerate(self.joints) if LOWER.search(name))

    def to_json(self) -> dict[str, Any]:
        """JSON values beside the names of the joints, which a manifest holds as its classes."""
        edges = [list(edge) for edge in self.edges]
        return {"flip": list(self.flip), "sigmas": list(self.sigmas), "edges": edges, "measured": self.measured}

    @classmethod
    def from_json(cls, joints: Sequence[str], value: Mapping[str, Any]) -> "Skeleton":
        """Inverse of `to_json`; what is missing is derived from the names."""
        own = skeleton_of(joints)
        if "flip" not in value:
            return own
        edges = tuple((int(a), int(b)) for a, b in value["edges"])
        return cls(own.joints, tuple(value["flip"]), tuple(value["sigmas"]), edges, bool(value["measured"]))


def skeleton_of(
    joints: Sequence[str],
    *,
    pairs: Sequence[Sequence[Any]] | None = None,
    sigmas: Sequence[float] | None = None,
    edges: Sequence[Sequence[Any]] = (),
) -> Skeleton:
    """The skeleton of these joints.

    Args:
        joints: names.
        pairs: what changes places in a mirror image, by name or number from 1; None finds the sides in the names.
        sigmas: per joint; None takes COCO's for the joints that have its names.
        edges: pairs of joints by name or number from 1, as COCO's `skeleton`.

    Raises:
        BadInput: no joints, or two of one name; a pair or edge of something else than two joints; a joint in two pairs;
            not one sigma above 0 per joint.
    """
    names = tuple(map(str, joints))
    if not names or len(set(names)) < len(names):
        raise BadInput(f"the joints {', '.join(names) or '(none)'} must be at least one, each of another name")
    flip = list(range(len(names)))
    swaps = _sides(names) if pairs is None else [_two(pair, names, "flip_pairs") for pair in pairs]
    for one, other in swaps:
        if flip[one] != one or flip[other] != other or one == other:
            raise BadInput(f"flip_pairs names {names[one]} or {names[other]} twice; give each joint in one pair")
        flip[one], flip[other] = other, one
    if sigmas is None:
        measured = all(name in COCO_SIGMAS for name in names)
        spread = tuple(COCO_SIGMAS.get(name, OTHER_SIGMA) for name in names)
    else:
        measured, spread = True, tuple(float(s) for s in sigmas if isinstance(s, int | float))
        if len(sigmas) != len(names) or len(spread) != len(names) or not all(0 < s < float("inf") for s in spread):
            raise BadInput(f"sigmas must be {len(names)} numbers above 0, one per joint")
    return Skeleton(names, tuple(flip), spread, tuple(_two(edge, names, "skeleton") for edge in edges), measured)


def mirrored(name: str) -> str:
    """The name of a joint with its side changed, the same if it names none.

    >>> mirrored("left_hip"), mirrored("LKnee"), mirrored("ankle_r"), mirrored("neck"), mirrored("l ear")
    ('right_hip', 'RKnee', 'ankle_l', 'neck', 'r ear')
    """
    found = WORD.search(name) or SIDE.search(name)
    if found is None:
        return name
    word = found.group()
    other = SIDES[word.lower()]
    other = other.upper() if word.isupper() else other.capitalize() if word[0].isupper() else other
    return name[: found.start()] + other + name[found.end() :]


def _sides(names: tuple[str, ...]) -> list[tuple[int, int]]:
    """Pairs of joints whose names differ in the side alone."""
    places = {name: i for i, name in enumerate(names)}
    others = [(i, places.get(mirrored(name), i)) for i, name in enumerate(names)]
    return [(one, other) for one, other in others if one < other]


def _two(pair: Any, names: tuple[str, ...], field: str) -> tuple[int, int]:
    """Two joints by name or number from 1 -> their places."""
    places: dict[Any, int] = {**{i + 1: i for i in range(len(names))}, **{name: i for i, name in enumerate(names)}}
    ends = list(pair) if isinstance(pair, list | tuple) else []
    if len(ends) != 2 or not all(isinstance(end, int | str) and end in places for end in ends):
        raise BadInput(f"{field} holds {pair!r}; give two joints by name, or by number from 1 to {len(names)}")
    return places[ends[0]], places[ends[1]]
