"""Writes down every operator that runs, as nodes and values in single-assignment form.

Operators are caught below autograd, where torch has already taken composite ones apart.  An operator that overwrites a
tensor gives that tensor a new value; other tensors on the same storage get theirs when they are next read, as further
results of the operator that wrote, so that the dataflow is complete also for `y[:, :c] = conv(x)`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from pumice.errors import BadInput
from pumice.graph.modules import Calls, tensors_in
from pumice.graph.ops import UnknownOp, kind_of
from pumice.graph.records import Leaf, Node, Ref, Value, ValueKind
from pumice.graph.stand_in import StandIns


@dataclass
class _Draft:
    """A node that may still gain operands and results."""

    op: str
    kind: str
    path: str
    leaf: Leaf | None
    arguments: dict[str, Any]
    inputs: list[int]
    writes: tuple[int, ...]
    outputs: list[int] = field(default_factory=list)


class Recorder(TorchDispatchMode):
    """Record the operators that run inside `with recorder:`.

    image: the input of the network, on the meta device in a run without numbers.
    parameters, buffers: by qualified name, as the run will meet them.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """False: nothing is compiled here, and saying so would import torch's compiler, which takes 4 s."""
        return False

    def __init__(
        self, calls: Calls, image: Tensor, parameters: Mapping[str, Tensor], buffers: Mapping[str, Tensor]
    ) -> None:
        super().__init__()
        self._numberless = image.is_meta
        self._calls = calls
        self._stand_ins = StandIns()
        self.drafts: list[_Draft] = []
        self.values: list[Value] = []
        # Tensors are kept, because identities and storage addresses are reused once a tensor is gone.
        self._tensors: dict[int, tuple[Tensor, int]] = {}
        self._storages: dict[int, int] = {}
        self._epoch: dict[int, int] = {}
        self._writers: dict[int, list[int]] = {}
        self._created: dict[int, tuple[_Draft, tuple[Tensor, ...]]] = {}
        self.entry = self.add(image, "input", from_input=True)
        for name, tensor in (*parameters.items(), *buffers.items()):
            if id(tensor) not in self._tensors:
                self.add(tensor, "parameter" if name in parameters else "buffer", name)

    def add(
        self, tensor: Tensor, kind: ValueKind, name: str = "", *, producer: int = -1, from_input: bool = False
    ) -> int:
        """A new value of a tensor."""
        storage = self._storage(tensor)
        distinct = 1
        for size, stride in zip(tensor.shape, tensor.stride(), strict=True):
            distinct *= size if stride or size == 0 else 1
        value = Value(
            id=len(self.values),
            kind=kind,
            name=name,
            shape=tuple(tensor.shape),
            dtype=str(tensor.dtype).removeprefix("torch."),
            elements=distinct,
            storage=storage,
            storage_bytes=tensor.untyped_storage().nbytes(),
            producer=producer,
            from_input=from_input,
        )
        self.values.append(value)
        self._tensors[id(tensor)] = (tensor, value.id)
        self._epoch[id(tensor)] = len(self._writers.get(storage, ()))
        return value.id

    def read(self, tensor: Tensor) -> int:
        """The present value of a tensor."""
        if id(tensor) in self._created:
            self._append(*self._created.pop(id(tensor)))
        if id(tensor) not in self._tensors:
            return self.add(tensor, "constant")
        current = self._tensors[id(tensor)][1]
        writers = self._writers.get(self.values[current].storage, [])
        for writer in writers[self._epoch[id(tensor)] :]:
            draft = self.drafts[writer]
            draft.inputs.append(current)
            from_input = any(self.values[i].from_input for i in draft.inputs)
            current = self.add(tensor, "activation", producer=writer, from_input=from_input)
            draft.outputs.append(current)
        return current

    def nodes(self) -> tuple[Node, ...]:
        """What was recorded."""
        return tuple(
            Node(i, d.op, d.kind, d.path, tuple(d.inputs), tuple(d.outputs), d.arguments, d.writes, d.leaf)
            for i, d in enumerate(self.drafts)
        )

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run the operator and write it down.

        Raises:
            UnknownOp: it is not in the table and torch cannot take it apart.
        """
        kwargs = kwargs or {}
        schema = func._schema
        kind = kind_of(schema.name)
        if kind == "ask":
            self._refuse_stale_numbers((args, kwargs))
            return func(*args, **kwargs)
        if kind is None or _composite(func):
            with self:
                taken_apart = func.decompose(*args, **kwargs)
            if taken_apart is not NotImplemented:
                return taken_apart
        if kind is None:
            raise UnknownOp(
                f"operator {schema.name} in {self._calls.place} is unknown, so its cost cannot be told; "
                f"declare its kind in pumice.graph.ops.KINDS"
            )

        given = dict(zip((a.name for a in schema.arguments), args, strict=False)) | kwargs
        inputs: list[int] = []
        arguments = {name: self._encode(value, inputs) for name, value in given.items()}
        written = [
            tensor
            for a in schema.arguments
            if a.alias_info is not None and a.alias_info.is_write
            for tensor in tensors_in(given.get(a.name))
        ]
        writes = tuple(inputs.index(self._tensors[id(t)][1]) for t in written)
        results = self._stand_ins.run(func, args, kwargs)

        draft = _Draft(str(func), kind, self._calls.path, self._calls.leaf, arguments, inputs, writes)
        made = tuple({id(tensor): tensor for tensor in (*written, *tensors_in(results))}.values())
        if kind == "create" and not writes:
            # Torch makes scratch tensors of its own; a node appears when one is read.
            self._created |= {id(tensor): (draft, made) for tensor in made}
            return results
        self._append(draft, made)
        if kind in ("conv", "pool") and 0 in made[0].shape:
            raise BadInput(f"{self._calls.place} makes an empty map from {self.values[inputs[0]].shape}")
        return results

    def _refuse_stale_numbers(self, arguments: Any) -> None:
        for tensor in tensors_in(arguments):
            if self._numberless and not tensor.is_meta and self.values[self.read(tensor)].from_input:
                raise RuntimeError("the numbers of an activation are asked for")

    def _append(self, draft: _Draft, made: tuple[Tensor, ...]) -> None:
        index = len(self.drafts)
        self.drafts.append(draft)
        self._calls.nodes = len(self.drafts)
        operands = [self.values[i] for i in draft.inputs]
        written = {operands[i].storage for i in draft.writes}
        for storage in written:
            self._writers.setdefault(storage, []).append(index)
        from_input = draft.kind != "create" and any(operand.from_input for operand in operands)
        for tensor in made:
            base = next((v for v in operands if v.storage == self._storage(tensor)), None)
            if base is not None and not written:
                draft.kind = "view"
            if base is not None and base.name and not written:
                value = self.add(tensor, base.kind, base.name, producer=index)
            else:
                value = self.add(tensor, "activation", producer=index, from_input=from_input)
            draft.outputs.append(value)

    def _storage(self, tensor: Tensor) -> int:
        return self._storages.setdefault(tensor.untyped_storage()._cdata, len(self._storages))

    def _encode(self, value: Any, inputs: list[int]) -> Any:
        if isinstance(value, Tensor):
            inputs.append(self.read(value))
            return Ref(inputs[-1])
        if isinstance(value, list | tuple):
            return tuple(self._encode(item, inputs) for item in value)
        if value is None or isinstance(value, bool | int | float | complex | str):
            return value
        return str(value)


_COMPOSITE: dict[Any, bool] = {}


def _composite(func: Any) -> bool:
    """Whether torch defines the operator by others; under inference mode such operators arrive whole."""
    if func not in _COMPOSITE:
        _COMPOSITE[func] = torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CompositeImplicitAutograd")
    return _COMPOSITE[func]
