"""Draws micronet_rank.png: what two group-adaptive convolutions can express, and what a shift between them adds.

    .venv/bin/python docs/figures/micronet_rank.py

C = 32, R = 2, so G = sqrt(C / R) = 4: the matrix of the squeeze (32 -> 16) and the expansion (16 -> 32) has G x G
blocks.  The middle panel has the second shuffle of the authors' release alone, the right one with static Shift-Max
before it (J = 2, K = 1; the shift as the paper prints it).  Ranks are computed from the matrices that are drawn.
"""

from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor, nn

from pumice.models.micronet_widths import groups_for
from pumice.nn.shift_max import StaticShiftMax
from pumice.nn.shuffle import ChannelShuffle

C, R = 32, 2
CELL, GAP, LEFT, TOP, BOTTOM = 20, 70, 70, 200, 130
INK, GREY = (30, 30, 30), (110, 110, 110)
RED, BLUE = (178, 43, 36), (33, 84, 158)


def matrix(*between: nn.Module) -> Tensor:
    """(C, C): squeeze, what stands between, expansion, as one matrix; rows are outputs."""
    torch.manual_seed(3)
    squeezed, expanded = groups_for(C, R)
    net = nn.Sequential(
        nn.Conv2d(C, C // R, 1, groups=squeezed, bias=False),
        *between,
        nn.Conv2d(C // R, C, 1, groups=expanded, bias=False),
    ).double()
    for module in net:
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight)
    with torch.no_grad():
        return net(torch.eye(C).double()[:, :, None, None])[:, :, 0, 0].T


def colour(value: float) -> tuple[int, int, int]:
    """-1 blue, 0 white, 1 red."""
    end = RED if value > 0 else BLUE
    share = min(1.0, abs(value)) ** 0.7
    return tuple(round(255 + share * (channel - 255)) for channel in end)  # type: ignore[return-value]


def panel(draw: ImageDraw.ImageDraw, w: Tensor, left: int, title: str, caption: str) -> None:
    """One matrix with its blocks and their ranks."""
    groups, side = groups_for(C, R)[0], C * CELL
    block = C // groups
    scale = float(w.abs().quantile(0.98))
    for i in range(C):
        for j in range(C):
            x, y = left + j * CELL, TOP + i * CELL
            draw.rectangle((x, y, x + CELL - 1, y + CELL - 1), fill=colour(float(w[i, j]) / scale))
    for k in range(groups + 1):
        at = k * block * CELL
        draw.line((left + at, TOP, left + at, TOP + side), fill=INK, width=3)
        draw.line((left, TOP + at, left + side, TOP + at), fill=INK, width=3)
    for i in range(groups):
        for j in range(groups):
            part = w[i * block : (i + 1) * block, j * block : (j + 1) * block]
            x, y = left + int((j + 0.5) * block * CELL), TOP + int((i + 0.5) * block * CELL)
            draw.ellipse((x - 30, y - 30, x + 30, y + 30), fill=(255, 255, 255), outline=INK, width=3)
            draw.text((x, y), str(int(torch.linalg.matrix_rank(part))), fill=INK, font=font(38), anchor="mm")
    middle = left + side // 2
    draw.text((middle, TOP - 36), title, fill=INK, font=font(36), anchor="ms")
    draw.text((middle, TOP + side + 24), caption, fill=GREY, font=font(30), anchor="ma", align="center")


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own."""
    return ImageFont.load_default(size)


def main() -> None:
    """Draw and save."""
    groups, width = groups_for(C, R)[0], C // R
    shift = StaticShiftMax(width, groups, (1,), (0.8,), form="paper", relu=False)
    panels = (
        ((ChannelShuffle(groups),), "Two group convolutions", "every block has rank 1"),
        (
            (ChannelShuffle(groups), ChannelShuffle(width // 2)),
            "and a second shuffle",
            "half of the blocks rank 2,\nno path through the others",
        ),
        (
            (shift, ChannelShuffle(groups), ChannelShuffle(width // 2)),
            "and static Shift-Max before it",
            "every block has rank 2",
        ),
    )
    side = C * CELL
    image = Image.new("RGB", (2 * LEFT + 3 * side + 2 * GAP, TOP + side + BOTTOM), (255, 255, 255))
    draw = ImageDraw.Draw(image)
    for i, (between, title, caption) in enumerate(panels):
        panel(draw, matrix(*between), LEFT + i * (side + GAP), title, caption)
    title = f"Rank of each block of squeeze and expansion as one {C} x {C} matrix (R = {R}, G = {groups})"
    draw.text((LEFT, 36), title, fill=INK, font=font(42))
    image = image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS)
    image.quantize(128).save(Path(__file__).with_suffix(".png"), optimize=True)


if __name__ == "__main__":
    main()
