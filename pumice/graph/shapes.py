"""What the commonest operators return, by shape: plain arithmetic on plain tensors without numbers.

Torch has such a rule for every operator, but the first one that runs imports torch's compiler, which takes longer than
all the rest of a trace.  A rule here answers only in the ordinary case (contiguous operands of one floating dtype) and
leaves everything else, by returning None, to torch.  `tests/graph/test_shapes.py` holds each rule against torch's own.
"""

from collections.abc import Callable, Mapping, Sequence
from math import ceil, floor, prod
from typing import Any

import torch
from torch import Tensor

Arguments = Mapping[str, Any]

_POINTWISE = """
abs add addcmul celu clamp clamp_max clamp_min div elu erf exp gelu hardsigmoid hardswish hardtanh leaky_relu log
maximum minimum mish mul neg pow reciprocal relu rsqrt rsub sigmoid sign silu softplus sqrt square sub tanh
_prelu_kernel flip roll
"""


def result(schema_name: str, arguments: Arguments) -> Any:
    """What the operator returns for these arguments, None when only torch can tell.

    Raises:
        RuntimeError: it cannot run on them.
    """
    rule = _RULES.get(schema_name.removeprefix("aten::"))
    if rule is None or arguments.get("out") is not None:
        return None
    tensors = [t for value in arguments.values() for t in (value if isinstance(value, list | tuple) else (value,))]
    tensors = [t for t in tensors if isinstance(t, Tensor)]
    dtype = tensors[0].dtype
    if not dtype.is_floating_point or any(t.dtype != dtype for t in tensors):
        return None
    # The transposed weight of a linear layer is no operand whose layout shows in the result.
    if not all(t.is_contiguous() or t.dim() == 2 for t in tensors):
        return None
    return rule(arguments)


def _pointwise(arguments: Arguments) -> Tensor | None:
    tensors = [value for value in arguments.values() if isinstance(value, Tensor)]
    numbers = [value for value in arguments.values() if not isinstance(value, Tensor)]
    if any(isinstance(value, complex) for value in numbers) or not all(t.is_contiguous() for t in tensors):
        return None
    return tensors[0].new_empty(_broadcast([tuple(t.shape) for t in tensors]))


def _in_place(arguments: Arguments) -> Tensor | None:
    made = _pointwise(arguments)
    target: Tensor = arguments["self"]
    return target if made is not None and made.shape == target.shape else None


def _convolution(arguments: Arguments) -> Tensor | None:
    image, weight, groups = arguments["input"], arguments["weight"], arguments["groups"]
    sizes = image.shape[2:]
    if not (image.is_contiguous() and weight.is_contiguous()) or image.dim() != weight.dim():
        return None
    stride, padding, dilation = (_each(arguments[name], len(sizes)) for name in ("stride", "padding", "dilation"))
    wanted = weight.shape[0] if arguments["transposed"] else weight.shape[1] * groups
    if image.shape[1] != wanted:
        raise RuntimeError(f"a convolution over {wanted} channels is given {image.shape[1]}")
    if weight.shape[0] % groups:
        raise RuntimeError(f"a convolution of {weight.shape[0]} channels is cut into {groups} groups")
    spans = [d * (k - 1) + 1 for d, k in zip(dilation, weight.shape[2:], strict=True)]
    if arguments["transposed"]:
        extra = _each(arguments["output_padding"], len(sizes))
        channels = weight.shape[1] * groups
        sizes = [
            (n - 1) * s - 2 * p + span + e
            for n, s, p, span, e in zip(sizes, stride, padding, spans, extra, strict=True)
        ]
    else:
        channels = weight.shape[0]
        sizes = [(n + 2 * p - span) // s + 1 for n, s, p, span in zip(sizes, stride, padding, spans, strict=True)]
    if min(sizes) < 1:
        kernel, given = "x".join(map(str, weight.shape[2:])), "x".join(map(str, image.shape[2:]))
        raise RuntimeError(f"a {kernel} convolution does not fit into a {given} map")
    return image.new_empty((image.shape[0], channels, *sizes))


def _batch_norm(arguments: Arguments) -> tuple[Tensor, Tensor, Tensor] | None:
    image, mean = arguments["input"], arguments["running_mean"]
    if arguments["training"] or mean is None or not image.is_contiguous():
        return None
    if image.dim() < 2 or image.shape[1] != mean.shape[0]:
        raise RuntimeError(f"a batch norm over {mean.shape[0]} channels is given a map of shape {tuple(image.shape)}")
    return image.new_empty(image.shape), image.new_empty(0), image.new_empty(0)


def _reduction(arguments: Arguments) -> Tensor | None:
    image, axes = arguments["self"], arguments.get("dim")
    if not axes or arguments.get("dtype") is not None or not image.is_contiguous():
        return None
    gone = {axis % image.dim() for axis in axes}
    kept = [1 if axis in gone else size for axis, size in enumerate(image.shape)]
    if not arguments.get("keepdim", False):
        kept = [size for axis, size in enumerate(image.shape) if axis not in gone]
    return image.new_empty(kept)


def _concatenation(arguments: Arguments) -> Tensor | None:
    tensors: Sequence[Tensor] = arguments["tensors"]
    axis = arguments.get("dim", 0) % max(1, tensors[0].dim())
    shapes = [list(t.shape) for t in tensors]
    if not all(t.is_contiguous() and t.dim() == tensors[0].dim() > 0 for t in tensors):
        return None
    rest = {tuple(shape[:axis] + shape[axis + 1 :]) for shape in shapes}
    if len(rest) > 1:
        raise RuntimeError(f"maps of shapes {', '.join(str(tuple(shape)) for shape in shapes)} are concatenated")
    return tensors[0].new_empty([*shapes[0][:axis], sum(shape[axis] for shape in shapes), *shapes[0][axis + 1 :]])


def _product(left: str, right: str) -> Callable[[Arguments], Tensor | None]:
    def rule(arguments: Arguments) -> Tensor | None:
        a, b = arguments[left], arguments[right]
        if a.shape[-1] != b.shape[-2] or a.shape[:-2] != b.shape[:-2]:
            raise RuntimeError(f"matrices of shapes {tuple(a.shape)} and {tuple(b.shape)} are multiplied")
        made: Tensor = a.new_empty((*a.shape[:-1], b.shape[-1]))
        if left == "mat1":
            _broadcast([tuple(arguments["self"].shape), tuple(made.shape)])
        return made

    return rule


def _pool(arguments: Arguments) -> Tensor | None:
    image = arguments["self"]
    if image.dim() != 4 or not image.is_contiguous():
        return None
    kernel = _each(arguments["kernel_size"], 2)
    stride = _each(arguments.get("stride") or kernel, 2)
    padding, dilation = (_each(arguments.get(name, default), 2) for name, default in (("padding", 0), ("dilation", 1)))
    upward = bool(arguments.get("ceil_mode", False))
    sizes = []
    for n, k, s, p, d in zip(image.shape[2:], kernel, stride, padding, dilation, strict=True):
        size = (ceil if upward else floor)((n + 2 * p - d * (k - 1) - 1) / s) + 1
        # With ceil_mode, a window that would begin in the far padding is left out.
        sizes.append(size - 1 if upward and (size - 1) * s >= n + p else size)
    if min(sizes) < 1:
        given = "x".join(map(str, image.shape[2:]))
        raise RuntimeError(f"pooling over {kernel[0]}x{kernel[1]} does not fit into a {given} map")
    return image.new_empty((*image.shape[:2], *sizes))


def _pool_with_indices(arguments: Arguments) -> tuple[Tensor, Tensor] | None:
    made = _pool(arguments)
    return None if made is None else (made, made.new_empty(made.shape, dtype=torch.int64))


def _to_size(arguments: Arguments) -> Tensor | None:
    image, size = arguments.get("self", arguments.get("input")), arguments.get("output_size")
    if image is None or size is None or image.dim() != 2 + len(size) or not image.is_contiguous() or prod(size) < 1:
        return None
    return image.new_empty((*image.shape[:2], *size))


def _broadcast(shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    rank = max(map(len, shapes))
    made = []
    for sizes in zip(*((1,) * (rank - len(shape)) + shape for shape in shapes), strict=True):
        larger = {size for size in sizes if size != 1}
        if len(larger) > 1:
            raise RuntimeError(f"maps of shapes {' and '.join(map(str, shapes))} do not match")
        made.append(larger.pop() if larger else 1)
    return tuple(made)


def _each(value: int | Sequence[int], count: int) -> list[int]:
    numbers = [value] if isinstance(value, int) else list(value)
    return numbers * count if len(numbers) == 1 else numbers


_RULES: dict[str, Callable[[Arguments], Any]] = {
    **dict.fromkeys(_POINTWISE.split(), _pointwise),
    **dict.fromkeys((f"{name}_" for name in _POINTWISE.split()), _in_place),
    **dict.fromkeys(("mean", "sum", "amax", "amin"), _reduction),
    **dict.fromkeys(
        ("_adaptive_avg_pool2d", "upsample_nearest2d", "upsample_bilinear2d", "upsample_bicubic2d"), _to_size
    ),
    "addmm": _product("mat1", "mat2"),
    "avg_pool2d": _pool,
    "bmm": _product("self", "mat2"),
    "cat": _concatenation,
    "convolution": _convolution,
    "max_pool2d_with_indices": _pool_with_indices,
    "mm": _product("self", "mat2"),
    "native_batch_norm": _batch_norm,
}
