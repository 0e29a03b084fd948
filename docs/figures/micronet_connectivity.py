"""Draws micronet_connectivity.png: why MicroNet has G = sqrt(C / R) groups.

    .venv/bin/python docs/figures/micronet_connectivity.py

A pair of group convolutions C -> C / R -> C in G groups costs 2 C^2 / (R G) a pixel.  At a fixed cost, more groups buy
more channels C, and leave each output fewer paths, E = C^2 / (R G^2).  Both are equal at G = sqrt(C / R).  Drawn for
the cost of C = 384, R = 6, G = 8 (the pair between M2's rows of width 64 and 96).
"""

import math
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

R, CROSS, CHANNELS = 6, 8, 384
COST = 2 * CHANNELS**2 / (R * CROSS)
X, Y = (1.0, 64.0), (40.0, 4000.0)  # of the axes, logarithmic
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 1640, 1120, 170, 60, 130, 150
INK, GREY, LIGHT = (30, 30, 30), (110, 110, 110), (225, 225, 225)
BLUE, ORANGE = (33, 84, 158), (200, 90, 20)


def channels(groups: float) -> float:
    """C at the fixed cost."""
    return math.sqrt(COST * R * groups / 2)


def paths(groups: float) -> float:
    """E at the fixed cost."""
    return channels(groups) ** 2 / (R * groups**2)


def at(x: float, y: float) -> tuple[float, float]:
    """Pixels of a point of the plot."""
    across = math.log(x / X[0]) / math.log(X[1] / X[0])
    up = math.log(y / Y[0]) / math.log(Y[1] / Y[0])
    return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own."""
    return ImageFont.load_default(size)


def main() -> None:
    """Draw and save."""
    image = Image.new("RGB", (WIDTH, HEIGHT), (255, 255, 255))
    draw = ImageDraw.Draw(image)
    for g in (1, 2, 4, 8, 16, 32, 64):
        draw.line((*at(g, Y[0]), *at(g, Y[1])), fill=LIGHT, width=2)
        x, y = at(g, Y[0])
        draw.text((x, y + 16), str(g), fill=GREY, font=font(32), anchor="ma")
    for value in (50, 100, 200, 400, 800, 1600, 3200):
        draw.line((*at(X[0], value), *at(X[1], value)), fill=LIGHT, width=2)
        x, y = at(X[0], value)
        draw.text((x - 16, y), str(value), fill=GREY, font=font(32), anchor="rm")
    draw.line((*at(X[0], Y[1]), *at(X[0], Y[0]), *at(X[1], Y[0])), fill=INK, width=3)
    draw.text(((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 30), "groups G", fill=INK, font=font(36), anchor="ms")
    draw.text((40, 34), f"The same {COST:,.0f} multiply-adds a pixel, R = {R}", fill=INK, font=font(42))

    points = [X[0] * (X[1] / X[0]) ** (i / 200) for i in range(201)]
    for curve, colour in ((channels, BLUE), (paths, ORANGE)):
        draw.line([at(g, curve(g)) for g in points], fill=colour, width=8, joint="curve")
    draw.text(at(21, 880), "C, channels", fill=BLUE, font=font(38), anchor="rm")
    draw.text(at(1.75, 2150), "E, paths from inputs to an output", fill=ORANGE, font=font(38), anchor="lm")
    draw.text(at(9, 88), "a few paths\nin wide maps", fill=GREY, font=font(32), anchor="lm")
    draw.text(at(1.15, 88), "many paths\nin narrow maps", fill=GREY, font=font(32), anchor="lm")

    x, y = at(CROSS, channels(CROSS))
    bottom = at(CROSS, Y[0])[1]
    for start in range(int(y), int(bottom), 22):
        draw.line((x, start, x, min(start + 12, bottom)), fill=INK, width=3)
    draw.ellipse((x - 15, y - 15, x + 15, y + 15), fill=(255, 255, 255), outline=INK, width=5)
    draw.text(at(11.3, 352), f"C = E = {CHANNELS} at G = sqrt(C / R) = {CROSS}", fill=INK, font=font(36), anchor="lm")
    image = image.resize((WIDTH // 2, HEIGHT // 2), Image.Resampling.LANCZOS)
    image.quantize(64).save(Path(__file__).with_suffix(".png"), optimize=True)


if __name__ == "__main__":
    main()
