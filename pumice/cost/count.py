"""What one forward pass of a network costs, counted from one trace: nothing is computed and nothing is timed."""

from dataclasses import asdict, dataclass
from typing import Any

from torch import nn

from pumice.cost.memory import peak_activation_bytes
from pumice.graph.inputs import input_size_of
from pumice.graph.records import Layer, Shape
from pumice.graph.trace import model_name, trace


@dataclass(frozen=True)
class Profile:
    """Counts for one image.

    input_size: (C, H, W).
    params: elements of the learnable tensors that the inference graph uses, shared ones once.
    madds: multiply-adds of convolutions, transposed convolutions and matrix products.
    extra_madds: further terms that modules declare (the application of Dynamic Shift-Max), no part of `madds`.
    memory_access: elements read and written by the same layers, inputs + outputs + weights.
    memory_bytes: `memory_access` in bytes of the traced dtypes, float32 unless the model says otherwise.
    memory_access_other: elements for norms, activations, elementwise work, pooling and data movement, as torch runs
        them one by one; a runtime that fuses them saves most of it.
    peak_activation_bytes: by `pumice.cost.memory`.
    layers: every piece of work in order of execution.
    """

    name: str
    input_size: Shape
    params: int
    madds: int
    extra_madds: int
    memory_access: int
    memory_bytes: int
    memory_access_other: int
    peak_activation_bytes: int
    layers: tuple[Layer, ...]

    def to_json(self) -> dict[str, Any]:
        """JSON values; each layer with its intensity, multiply-adds per byte."""
        value = {key: _listed(item) for key, item in asdict(self).items()}
        value["layers"] = [
            {**listed, "intensity": layer.intensity} for layer, listed in zip(self.layers, value["layers"], strict=True)
        ]
        return value


def profile(model_or_name: nn.Module | str, input_size: Shape | None = None) -> Profile:
    """Count a network; it is left exactly as it was.

    model_or_name: any module, or whatever `pumice.models.source.load_source` reads: a model name ("timm:NAME" too), a
        run folder or a weights file.
    input_size: (C, H, W); None takes what the model declares.

    Raises:
        BadInput: the name is unknown, the network does not run on that input, or it calls an unknown operator.
    """
    if isinstance(model_or_name, nn.Module):
        model, name = model_or_name, model_name(model_or_name)
    else:
        from pumice.models.source import load_source

        model, name = load_source(model_or_name)[0], str(model_or_name)
    graph = trace(model, input_size_of(model) if input_size is None else tuple(input_size), name=name)
    return Profile(
        name=name,
        input_size=graph.input_size,
        params=graph.params,
        madds=graph.madds,
        extra_madds=graph.extra_madds,
        memory_access=sum(layer.memory_access for layer in graph.layers if layer.counted),
        memory_bytes=sum(layer.memory_bytes for layer in graph.layers if layer.counted),
        memory_access_other=sum(layer.memory_access for layer in graph.layers if not layer.counted),
        peak_activation_bytes=peak_activation_bytes(graph),
        layers=graph.layers,
    )


def _listed(value: Any) -> Any:
    """Tuples as lists, as JSON has them."""
    if isinstance(value, dict):
        return {key: _listed(item) for key, item in value.items()}
    return [_listed(item) for item in value] if isinstance(value, tuple | list) else value
