"""Which module is running, and the guard that leaves a model exactly as it was."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import get_ident
from typing import Any, cast, get_args

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

from pumice.errors import BadInput
from pumice.graph.records import ChannelRule, Leaf, Shape


@contextmanager
def unchanged(model: nn.Module) -> Iterator[None]:
    """Undo whatever the block does to the model's attributes, parameters, buffers, children, hooks and modes.

    Tensors are put back by reference, lists, dicts and sets are given their old contents; the contents of tensors are
    the business of the block.
    """
    modules = list(model.modules())
    saved = [dict(module.__dict__) for module in modules]
    contents: list[tuple[Any, Any]] = [
        (value, value.copy()) for attributes in saved for value in attributes.values() if isinstance(value, dict | set)
    ]
    lists = [(value, list(value)) for attributes in saved for value in attributes.values() if isinstance(value, list)]
    try:
        yield
    finally:
        for module, attributes in zip(modules, saved, strict=True):
            module.__dict__.clear()
            module.__dict__.update(attributes)
        for container, old in contents:
            container.clear()
            container.update(old)
        for sequence, items in lists:
            sequence[:] = items


@dataclass(frozen=True)
class Extra:
    """What a module's `extra_madds` said of one call; `after` nodes had been recorded when the call ended."""

    path: str
    input_shape: Shape
    output_shape: Shape
    madds: int
    after: int


class Calls:
    """A stack of the running modules of one model, kept by hooks on every module while `watching`."""

    def __init__(self, model: nn.Module) -> None:
        self.paths = {module: path for path, module in model.named_modules()}
        self.extras: list[Extra] = []
        self.counts: Counter[str] = Counter()
        self.nodes = 0
        self._stack: list[tuple[str, str, Leaf | None]] = []
        self._leaves = 0
        self._thread = get_ident()

    @property
    def path(self) -> str:
        """Qualified name of the innermost module that runs."""
        return self._stack[-1][0] if self._stack else ""

    @property
    def place(self) -> str:
        """The same for messages, with the class."""
        return f"module {self._stack[-1][0]!r} ({self._stack[-1][1]})" if self._stack else "the model"

    @property
    def leaf(self) -> Leaf | None:
        """The outermost running module with a channel rule."""
        return self._stack[-1][2] if self._stack else None

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Follow every module call in the block."""
        before = register_module_forward_pre_hook(self._enter)
        after = register_module_forward_hook(self._leave, with_kwargs=True)
        try:
            yield
        finally:
            before.remove()
            after.remove()
            self._stack.clear()

    def stand_at(self, path: str, leaf: Leaf | None) -> None:
        """Say which module runs, where operators run without their modules."""
        self._stack[:] = [(path, "edited", leaf)]

    def _enter(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        if get_ident() != self._thread:
            return
        # A module made inside forward has no name; its work belongs to the module that made it.
        path = self.paths.get(module, self.path)
        self.counts[path] += module in self.paths
        self._stack.append((path, type(module).__name__, self.leaf or self._new_leaf(module, path)))

    def _new_leaf(self, module: nn.Module, path: str) -> Leaf | None:
        rule = getattr(type(module), "channel_rule", None)
        if rule is None:
            return None
        if rule not in get_args(ChannelRule):
            known = ", ".join(map(repr, get_args(ChannelRule)))
            raise BadInput(f"channel_rule of {type(module).__name__} is {rule!r}; choose one of {known}")
        self._leaves += 1
        return Leaf(path, cast(ChannelRule, rule), self._leaves)

    def _leave(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        if get_ident() != self._thread:
            return
        path = self._stack.pop()[0]
        if not callable(getattr(type(module), "extra_madds", None)):
            return
        given = next(tensors_in((args, kwargs)), None)
        result = next(tensors_in(output), None)
        if given is not None:
            shape = tuple(given.shape)
            madds = int(cast(Any, module).extra_madds(shape))
            self.extras.append(Extra(path, shape, () if result is None else tuple(result.shape), madds, self.nodes))


def tensors_in(value: Any) -> Iterator[Tensor]:
    """The tensors in nested tuples, lists, dicts and plain objects, in order."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from tensors_in(item)
    elif isinstance(value, list | tuple | set):
        for item in value:
            yield from tensors_in(item)
    elif hasattr(value, "__dict__") and not isinstance(value, type | nn.Module | torch.dtype):
        yield from tensors_in(vars(value))
