"""Functions computed otherwise while a network is traced, where a runtime wants them said otherwise."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch.overrides import TorchFunctionMode


class Instead(TorchFunctionMode):
    """What runs inside is computed by other functions.

    Args:
        table: function of torch -> what is called with its arguments, and answers None where the function itself shall.
    """

    def __init__(self, table: Mapping[Any, Callable[..., Any]]) -> None:
        super().__init__()
        self.table = table

    def __torch_function__(
        self, func: Any, types: Iterable[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """The other form of `func` where it has one and it applies, else `func` itself."""
        kwargs = kwargs or {}
        other = self.table.get(func)
        answer = None if other is None else other(*args, **kwargs)
        return func(*args, **kwargs) if answer is None else answer
