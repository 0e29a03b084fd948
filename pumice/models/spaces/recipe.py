"""The half of a joint space that is about training: positions whose options are values of a field of `TrainConfig`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pumice.models.spaces.space import Position

PREFIX = "recipe "  # begins the name of a position that changes the training and not the network


@dataclass(frozen=True)
class Setting:
    """One decision about training.

    field: of `TrainConfig`.
    values: what it may be; numbers in order of size.
    """

    field: str
    values: tuple[Any, ...]

    @property
    def position(self) -> Position:
        """The position of this decision."""
        return Position(PREFIX + self.field, tuple(str(value) for value in self.values))


def fields_of(settings: Sequence[Setting], options: Sequence[int]) -> dict[str, Any]:
    """The fields that the options of the settings' positions stand for."""
    return {setting.field: setting.values[i] for setting, i in zip(settings, options, strict=True)}
