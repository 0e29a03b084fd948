"""Draw gridding.png: which pixels each branch of an ESP module reads, with and without hierarchical feature fusion.

Every weight is 1 and there is neither norm nor slope, so the answer to one lit pixel is the number of ways to it.
Run from the root of the repository: python docs/figures/gridding.py
"""

from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor, nn

from pumice.nn.esp import ESP

SIDE, CELL, GAP, TOP, LEFT = 37, 5, 14, 64, 96
DILATIONS = (1, 2, 4, 8, 16)
EMPTY, FULL = (238, 240, 243), (20, 66, 114)


def response(hff: bool) -> Tensor:
    """(5, SIDE, SIDE): what an impulse in the middle becomes in each branch of one module."""
    esp = ESP(1, len(DILATIONS), hff=hff).eval()
    esp.norm, esp.act = nn.Identity(), nn.Identity()
    for parameter in esp.parameters():
        nn.init.ones_(parameter)
    impulse = torch.zeros(1, 1, SIDE, SIDE)
    impulse[..., SIDE // 2, SIDE // 2] = 1
    with torch.no_grad():
        return esp(impulse)[0]


def main() -> None:
    """Two rows of five maps."""
    panel = SIDE * CELL
    canvas = Image.new("RGB", (LEFT + 5 * (panel + GAP), TOP + 2 * (panel + GAP)), "white")
    draw = ImageDraw.Draw(canvas)
    large, small = ImageFont.load_default(20), ImageFont.load_default(16)
    draw.text((LEFT, 8), "One ESP module, one lit pixel: darker is more ways to reach it", "black", large)
    for row, (hff, name) in enumerate(((False, "without\nfusion"), (True, "with\nfusion"))):
        y0 = TOP + row * (panel + GAP)
        draw.multiline_text((10, y0 + panel // 2 - 20), name, "black", small)
        for column, (d, seen) in enumerate(zip(DILATIONS, response(hff), strict=True)):
            x0 = LEFT + column * (panel + GAP)
            if row == 0:
                draw.text((x0, TOP - 24), f"dilation {d}", "black", small)
            for y, x in ((y, x) for y in range(SIDE) for x in range(SIDE)):
                strength = 0.0 if seen[y, x] == 0 else 0.4 + 0.6 * float(seen[y, x] - 1) / 3  # 1 to 4 ways
                colour = tuple(round(a + (b - a) * strength) for a, b in zip(EMPTY, FULL, strict=True))
                left, top = x0 + x * CELL, y0 + y * CELL
                draw.rectangle((left, top, left + CELL - 2, top + CELL - 2), colour)
    canvas.save(Path(__file__).with_name("gridding.png"), optimize=True)


if __name__ == "__main__":
    main()
