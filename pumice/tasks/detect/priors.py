"""Prior boxes, in numpy: from the description in `Manifest.decode` to boxes, and offsets from them and back."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pumice.errors import BadInput

KEYS = ("levels", "variances", "clip", "match", "score", "nms", "candidates", "keep")


def priors_of(decode: Mapping[str, Any]) -> NDArray[np.float64]:
    """(B, 4) centre x, centre y, width, height, fractions of the input's sides, in the order of the output's rows.

    Clipping is of the sides, as the authors of SSD's ports have it, not of the corners.

    Raises:
        BadInput: the description has no prior boxes, or lacks a part.
    """
    if missing := [key for key in KEYS if key not in decode]:
        raise BadInput(
            f"this network does not say how its boxes are read ({missing[0]} is missing); "
            "use a detector, ssdlite:NAME say"
        )
    parts = []
    for level in decode["levels"]:
        (rows, columns), (down, right) = level["grid"], level["step"]
        sides = np.asarray(level["boxes"], np.float64)
        y, x = np.meshgrid((np.arange(rows) + 0.5) * down, (np.arange(columns) + 0.5) * right, indexing="ij")
        part = np.empty((rows, columns, len(sides), 4))
        part[..., 0], part[..., 1], part[..., 2:] = x[..., None], y[..., None], sides
        parts.append(part.reshape(-1, 4))
    priors = np.concatenate(parts)
    return priors.clip(0.0, 1.0) if decode["clip"] else priors


def corners(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """(..., 4) centre x, centre y, width, height -> left, top, right, bottom."""
    half = boxes[..., 2:] / 2
    return np.concatenate((boxes[..., :2] - half, boxes[..., :2] + half), axis=-1)


def restored(offsets: NDArray[Any], priors: NDArray[np.float64], variances: list[float]) -> NDArray[np.float64]:
    """Boxes (..., B, 4), left, top, right, bottom, of offsets (..., B, 4) from priors (B, 4).

    centre = prior centre + v_0 t_xy prior side;  side = prior side exp(v_1 t_wh)
    """
    centre_step, side_step = variances
    offsets = np.asarray(offsets, np.float64)
    centre = priors[:, :2] + centre_step * offsets[..., :2] * priors[:, 2:]
    # Beyond this a side is 10^4 times its prior's: nonsense of an untrained net, which must not overflow.
    side = priors[:, 2:] * np.exp(np.minimum(side_step * offsets[..., 2:], np.log(1e4)))
    return corners(np.concatenate((centre, side), axis=-1))
