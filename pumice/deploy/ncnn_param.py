"""The text of ncnn's .param: a magic number, the numbers of layers and blobs, and a line for each layer.

    7767517
    2 2
    Input         in0     0 1 in0 0=224 1=224 2=3
    Convolution   conv_0  1 1 in0 out0 0=12 1=3 ...

A line has the layer's type, its name, how many blobs it reads and writes, these blobs, and its parameters by number.
"""

from dataclasses import dataclass
from pathlib import Path

from pumice.errors import BadInput

MAGIC = "7767517"


@dataclass(frozen=True)
class Layer:
    """A line.  bottoms: the blobs that it reads.  tops: those that it writes.  numbers: its parameters, as text."""

    type: str
    name: str
    bottoms: tuple[str, ...]
    tops: tuple[str, ...]
    numbers: dict[str, str]

    def number(self, key: int) -> int:
        """A whole number among the parameters, 0 where it is absent."""
        text = self.numbers.get(str(key), "0")
        return int(text) if text.lstrip("-").isdecimal() else 0


def read_layers(path: Path) -> list[Layer]:
    """The layers of a .param, in their order.

    Raises:
        BadInput: it is no .param, or it is not whole: ncnn itself may crash on such a file.
    """
    try:
        text = path.read_text(encoding="utf-8")
        magic, counts, *lines = text.split("\n")
        if magic.strip() != MAGIC:
            raise ValueError("its first line is not " + MAGIC)
        # Cut anywhere, a file lacks lines, or the end of its last one.
        if lines.pop() != "":
            raise ValueError("its last line is not whole")
        number_of_layers, number_of_blobs = map(int, counts.split())
        layers = [_layer(line) for line in lines if line.strip()]
        tops = [blob for layer in layers for blob in layer.tops]
        if (number_of_layers, number_of_blobs) != (len(layers), len(tops)):
            raise ValueError(
                f"{len(layers)} layers write {len(tops)} blobs, not {number_of_layers} and {number_of_blobs}"
            )
        made: set[str] = set()
        for layer in layers:
            if unmade := set(layer.bottoms) - made:
                raise ValueError(f"{layer.name} reads {sorted(unmade)[0]}, which no layer before it writes")
            made.update(layer.tops)
    except (ValueError, IndexError) as error:
        raise BadInput(f"{path} is no whole .param of ncnn ({error}); export it again") from error
    return layers


def _layer(line: str) -> Layer:
    kind, name, reads, writes, *rest = line.split()
    end_of_bottoms, end_of_tops = int(reads), int(reads) + int(writes)
    blobs, numbers = rest[:end_of_tops], rest[end_of_tops:]
    if len(blobs) != end_of_tops or not all("=" in number for number in numbers):
        raise ValueError(f"the line of {name} is damaged")
    values = dict(number.split("=", 1) for number in numbers)
    return Layer(kind, name, tuple(blobs[:end_of_bottoms]), tuple(blobs[end_of_bottoms:]), values)


def set_input_size(text: str, input_size: tuple[int, int, int]) -> str:
    """A .param whose Input layer says (C, H, W), as ncnn keeps it: 0 = width, 1 = height, 2 = channels."""
    channels, height, width = input_size
    lines = text.split("\n")
    at = next(i for i, line in enumerate(lines) if line.split()[:1] == ["Input"])
    lines[at] = f"{lines[at].rstrip()} 0={width} 1={height} 2={channels}"
    return "\n".join(lines)
