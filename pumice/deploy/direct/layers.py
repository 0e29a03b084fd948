"""Layers with weights, pooling, reductions and resizing as ONNX nodes."""

from typing import TYPE_CHECKING, Any

import numpy as np

from pumice.deploy.direct.arguments import axes_of, each, int64, refuse
from pumice.graph.records import Node

if TYPE_CHECKING:
    from pumice.deploy.direct.arguments import Emitter
    from pumice.deploy.direct.writer import Writer


def _convolution(w: "Writer", node: Node) -> None:
    a = node.arguments
    spatial = len(w.value(node.inputs[0]).shape) - 2
    padding = each(a["padding"], spatial)
    inputs = [w.name(a["input"]), w.name(a["weight"])] + ([w.name(a["bias"])] if a.get("bias") is not None else [])
    attributes: dict[str, Any] = {
        "strides": each(a["stride"], spatial),
        "pads": padding * 2,
        "dilations": each(a["dilation"], spatial),
        "group": a["groups"],
    }
    if a.get("transposed"):
        w.op(node, "ConvTranspose", inputs, output_padding=each(a["output_padding"], spatial), **attributes)
    else:
        w.op(node, "Conv", inputs, **attributes)


def _linear(w: "Writer", node: Node) -> None:
    """addmm: beta * self + alpha * mat1 mat2, where mat2 is most often the transposed view of a weight."""
    a = node.arguments
    matrix = a["mat2"].value
    view = w.graph.producer(matrix)
    transposed = view is not None and view.op == "aten.t.default" and not w.value(matrix).from_input
    inputs = [w.name(a["mat1"]), w.name(view.inputs[0] if transposed and view else matrix), w.name(a["self"])]
    w.op(node, "Gemm", inputs, transB=int(transposed), alpha=float(a.get("alpha", 1)), beta=float(a.get("beta", 1)))


def _product(left: str, right: str) -> "Emitter":
    def emit(w: "Writer", node: Node) -> None:
        w.op(node, "MatMul", [w.name(node.arguments[left]), w.name(node.arguments[right])])

    return emit


def _batch_norm(w: "Writer", node: Node) -> None:
    a = node.arguments
    if a.get("training") or a.get("running_mean") is None:
        raise refuse(node, "takes its statistics from the batch")
    channels = w.value(node.inputs[0]).shape[1]
    scale = w.name(a["weight"]) if a.get("weight") is not None else w.constant(np.ones(channels, np.float32))
    shift = w.name(a["bias"]) if a.get("bias") is not None else w.constant(np.zeros(channels, np.float32))
    statistics = [w.name(a["running_mean"]), w.name(a["running_var"])]
    w.op(node, "BatchNormalization", [w.name(a["input"]), scale, shift, *statistics], epsilon=float(a["eps"]))


def _layer_norm(w: "Writer", node: Node) -> None:
    a = node.arguments
    if a.get("weight") is None:
        raise refuse(node, "has no weight")
    inputs = [w.name(a["input"]), w.name(a["weight"])] + ([w.name(a["bias"])] if a.get("bias") is not None else [])
    w.op(node, "LayerNormalization", inputs, axis=-len(a["normalized_shape"]), epsilon=float(a["eps"]))


def _max_pool(w: "Writer", node: Node) -> None:
    a = node.arguments
    kernel = each(a["kernel_size"], 2)
    w.op(
        node,
        "MaxPool",
        [w.name(a["self"])],
        kernel_shape=kernel,
        strides=each(a.get("stride") or tuple(kernel), 2),
        pads=each(a.get("padding", 0), 2) * 2,
        dilations=each(a.get("dilation", 1), 2),
        ceil_mode=int(a.get("ceil_mode", False)),
    )


def _average_pool(w: "Writer", node: Node) -> None:
    a = node.arguments
    if a.get("divisor_override") is not None:
        raise refuse(node, "divides by a number of its own")
    kernel = each(a["kernel_size"], 2)
    w.op(
        node,
        "AveragePool",
        [w.name(a["self"])],
        kernel_shape=kernel,
        strides=each(a.get("stride") or tuple(kernel), 2),
        pads=each(a.get("padding", 0), 2) * 2,
        ceil_mode=int(a.get("ceil_mode", False)),
        count_include_pad=int(a.get("count_include_pad", True)),
    )


def _adaptive_pool(w: "Writer", node: Node) -> None:
    sides, wanted = w.value(node.inputs[0]).shape[-2:], each(node.arguments["output_size"], 2)
    if any(side % n for side, n in zip(sides, wanted, strict=True)):
        raise refuse(node, f"pools {sides} to {tuple(wanted)} in windows of different sizes")
    window = [side // n for side, n in zip(sides, wanted, strict=True)]
    w.op(node, "AveragePool", [w.name(node.arguments["self"])], kernel_shape=window, strides=window)


def _reduction(kind: str) -> "Emitter":
    def emit(w: "Writer", node: Node) -> None:
        keep = int(node.arguments.get("keepdim", False))
        w.op(node, kind, [w.name(node.arguments["self"]), int64(w, *axes_of(w, node))], keepdims=keep)

    return emit


def _bilinear(w: "Writer", node: Node) -> None:
    mode = "align_corners" if node.arguments.get("align_corners") else "pytorch_half_pixel"
    _resize(w, node, mode="linear", coordinate_transformation_mode=mode)


def _nearest(w: "Writer", node: Node) -> None:
    _resize(w, node, mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")


def _resize(w: "Writer", node: Node, **attributes: Any) -> None:
    size = int64(w, *w.value(node.outputs[0]).shape)
    w.op(node, "Resize", [w.name(node.inputs[0]), "", "", size], **attributes)


EMITTERS: "dict[str, Emitter]" = {
    **dict.fromkeys(("convolution", "_convolution"), _convolution),
    "addmm": _linear,
    "mm": _product("self", "mat2"),
    "bmm": _product("self", "mat2"),
    **dict.fromkeys(("native_batch_norm", "_native_batch_norm_legit_no_training"), _batch_norm),
    "native_layer_norm": _layer_norm,
    **dict.fromkeys(("max_pool2d_with_indices", "max_pool2d"), _max_pool),
    "avg_pool2d": _average_pool,
    "_adaptive_avg_pool2d": _adaptive_pool,
    "mean": _reduction("ReduceMean"),
    "sum": _reduction("ReduceSum"),
    "amax": _reduction("ReduceMax"),
    "amin": _reduction("ReduceMin"),
    "upsample_bilinear2d": _bilinear,
    "upsample_nearest2d": _nearest,
}
"""By the operator's schema name without the underscore of its in-place form."""
