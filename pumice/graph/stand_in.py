"""Running operators on tensors without numbers.

Torch's `meta` device gives shapes, strides and storages without arithmetic or room, but does not mix with others.  Here
the constants that a forward makes keep their numbers as long as they meet only each other; where one meets a tensor
without numbers it is stood in for by its shape.  (Torch's own FakeTensorMode does as much and more, and imports 4 s of
compiler first.)
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from pumice.graph.modules import tensors_in
from pumice.graph.shapes import result


class StandIns:
    """Tensors on the meta device in place of others, one for each.

    detached: stand in for tensors without numbers too, so that nothing can happen to them.
    """

    def __init__(self, *, detached: bool = False) -> None:
        self._detached = detached
        # The real tensor is kept, so that its identity is not reused.
        self._known: dict[int, tuple[Tensor, Tensor]] = {}

    def of(self, tensor: Tensor) -> Tensor:
        """The stand-in; unless detached, a tensor without numbers stands for itself."""
        if tensor.is_meta and not self._detached:
            return tensor
        if id(tensor) not in self._known:
            empty = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")
            self._known[id(tensor)] = (tensor, empty)
        return self._known[id(tensor)][1]

    def run(self, operator: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The operator's results; real tensors that it overwrites keep their old numbers, which nobody may ask for."""
        tensors = list(tensors_in((args, kwargs)))
        if not any(tensor.is_meta for tensor in tensors):
            return operator(*args, **kwargs)
        if kwargs.get("device") is not None:
            kwargs = {**kwargs, "device": torch.device("meta")}
        if all(tensor.is_meta for tensor in tensors):
            return _shapes(operator, args, kwargs)
        results = _shapes(operator, _each_tensor(args, self.of), _each_tensor(kwargs, self.of))
        real = {id(self.of(tensor)): tensor for tensor in tensors}
        return _each_tensor(results, lambda tensor: real.get(id(tensor), tensor))


def _shapes(operator: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    names = [argument.name for argument in operator._schema.arguments]
    found = result(operator._schema.name, dict(zip(names, args, strict=False)) | kwargs)
    return operator(*args, **kwargs) if found is None else found


def _each_tensor(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """The same nested tuples, lists and dicts with every tensor changed."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, dict):
        return {key: _each_tensor(item, change) for key, item in value.items()}
    return type(value)(_each_tensor(item, change) for item in value) if isinstance(value, list | tuple) else value
