"""Preprocessing inside the graph: a network that reads the pixels of resized images instead of normalised planes.

Scale, mean, std, channel order and the transposition to planes move into the file.  Resizing and cropping stay outside:
no format says Pillow's filters, and another filter costs accuracy that nobody would look for there.
"""

import copy
from dataclasses import replace

import torch
from torch import Tensor, nn

from pumice.data.preprocess import Preprocess
from pumice.errors import BadInput
from pumice.models.manifest import Manifest


class Baked(nn.Module):
    """(N, H, W, 3) uint8 RGB -> what the network makes of the normalised image.

    (v / 255 - mean) / std is one product and one sum a value; it cannot go into the first convolution, whose zero
    padding stands for the mean colour, not for black.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, network: nn.Module, preprocess: Preprocess) -> None:
        super().__init__()
        self.network = network
        self.swap = preprocess.channels == "BGR"
        mean, std = (torch.tensor(part).double()[:, None, None] for part in (preprocess.mean, preprocess.std))
        self.register_buffer("scale", (1 / (255 * std)).float())
        self.register_buffer("shift", (-mean / std).float())

    def around(self, network: nn.Module) -> "Baked":
        """The same in front of another form of the network."""
        other = copy.copy(self)
        other._modules = {"network": network}
        return other

    def forward(self, pixels: Tensor) -> Tensor:
        """Normalise and run."""
        planes = pixels.permute(0, 3, 1, 2).float()
        if self.swap:
            # Not a gather: OpenVINO returns wrong outputs on some of those.
            planes = torch.cat([planes[:, i : i + 1] for i in (2, 1, 0)], 1)
        return self.network(planes * self.scale + self.shift)


def with_pixels(manifest: Manifest) -> Manifest:
    """What a file says of itself that reads pixels.

    Raises:
        BadInput: the network does not read RGB images.
    """
    if manifest.model.in_chans != 3 or not len(manifest.preprocess.mean) == len(manifest.preprocess.std) == 3:
        raise BadInput(f"{manifest.model.name} does not read RGB images, which is what is baked in; leave bake out")
    return replace(manifest, preprocess=replace(manifest.preprocess, baked=True))


def example_of(model: nn.Module, batch: int, input_size: tuple[int, int, int]) -> Tensor:
    """Zeros to trace a network with: pixels for a baked one, else float32 planes.

    input_size: (C, H, W) of either.
    """
    channels, height, width = input_size
    if isinstance(model, Baked):
        return torch.zeros(batch, height, width, channels, dtype=torch.uint8)
    return torch.zeros(batch, *input_size)
