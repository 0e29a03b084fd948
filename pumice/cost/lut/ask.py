"""Networks as blocks to ask a table for, and a table extended by networks that are measured."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from torch import nn

from pumice.cost import machine
from pumice.cost.lut.blocks import Block, blocks
from pumice.cost.lut.build import measure
from pumice.cost.lut.table import Lut, Sample
from pumice.deploy.network import folded
from pumice.errors import BadInput
from pumice.graph.trace import trace

Size = tuple[int, int, int]


def blocks_of(model: nn.Module, input_size: Size) -> tuple[Block, ...]:
    """The blocks of a network as it would ship, its norms folded.

    Raises:
        BadInput: it cannot be traced.
    """
    return blocks(trace(folded(model, input_size), input_size))


def extended(lut: Lut, networks: Iterable[tuple[str, nn.Module, Size]]) -> Lut:
    """The table with the blocks of networks, which are measured here.

    Raises:
        BadInput: the table is of another machine or of another version of the runtime.
    """
    here = machine.this_machine()
    if here.key != lut.machine_key or here.versions.get(lut.runtime) != lut.runtime_version:
        raise BadInput(
            f"the table is of {lut.machine} with {lut.runtime} {lut.runtime_version}; "
            "extend it there, or build one for this machine"
        )
    planned = ((name, lambda model=model, size=size: (model, size)) for name, model, size in networks)
    return with_samples(lut, measure(planned, lut.runtime, lut.threads))


def with_samples(lut: Lut, samples: Sequence[Sample]) -> Lut:
    """The table with entries for the blocks of samples that it did not hold; nothing is fitted anew."""
    new = {
        block.key: ms
        for sample in samples
        for block, ms in zip(sample.blocks, sample.charged(lut.run_ms), strict=True)
        if block.key not in lut.entries
    }
    return replace(lut, entries={**lut.entries, **new}, _inferred={})
