"""What an .onnx file says of its input and of itself, read without the onnx package and without its weights.

An .onnx file is one protobuf message, ModelProto of onnx.proto (https://onnx.ai/onnx/repo-docs/IR.html).  Fields that
are not wanted, the weights above all, are stepped over by their length
(https://protobuf.dev/programming-guides/encoding/).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pumice.errors import BadInput

# Numbers of fields in onnx.proto, by message.
GRAPH, OPSETS, METADATA = 7, 8, 14  # ModelProto
NODES, WEIGHTS, INPUTS, OUTPUTS = 1, 5, 11, 12  # GraphProto
TENSOR_NAME = 8  # TensorProto
VALUE_NAME, VALUE_TYPE = 1, 2  # ValueInfoProto
TENSOR_TYPE, ELEMENT, SHAPE, DIM = 1, 1, 2, 1  # TypeProto, TypeProto.Tensor twice, TensorShapeProto
UINT8 = 2  # TensorProto.DataType
DIM_VALUE, DIM_PARAM = 1, 2  # TensorShapeProto.Dimension
KEY, VALUE = 1, 2  # StringStringEntryProto

Field = tuple[int, int | memoryview]


@dataclass(frozen=True)
class Input:
    """An input of a graph.

    shape: an int for a fixed dimension, a name for one that is open, "" for one that is open and has no name.
    pixels: whether its values are uint8.
    """

    name: str
    shape: tuple[int | str, ...]
    pixels: bool = False


@dataclass(frozen=True)
class Header:
    """The inputs that a caller must give (old exporters list their weights as inputs too), and text properties."""

    inputs: tuple[Input, ...]
    metadata: tuple[tuple[str, str], ...]


def read_header(path: Path) -> Header:
    """Read the header of an .onnx file.

    Raises:
        BadInput: it is no ONNX model.
    """
    try:
        model = list(_fields(memoryview(path.read_bytes())))
        graph = list(_fields(_messages(model, GRAPH)[-1]))
        # Almost any bytes are a valid protobuf message of unknown fields.
        if not (_messages(model, OPSETS) and _messages(graph, NODES) and _messages(graph, OUTPUTS)):
            raise ValueError("no graph")
        weights = {_text(list(_fields(tensor)), TENSOR_NAME) for tensor in _messages(graph, WEIGHTS)}
        inputs = [_input(list(_fields(value))) for value in _messages(graph, INPUTS)]
        entries = [list(_fields(entry)) for entry in _messages(model, METADATA)]
        metadata = tuple((_text(entry, KEY), _text(entry, VALUE)) for entry in entries)
    except (ValueError, IndexError) as error:
        raise BadInput(f"{path} is not an ONNX model; export it again") from error
    return Header(tuple(value for value in inputs if value.name not in weights), metadata)


def _input(value: list[Field]) -> Input:
    shape: list[int | str] = []
    pixels = False
    for kind in _messages(value, VALUE_TYPE):
        for tensor in _messages(list(_fields(kind)), TENSOR_TYPE):
            fields = list(_fields(tensor))
            pixels = (ELEMENT, UINT8) in fields
            for dims in _messages(fields, SHAPE):
                shape = [_dim(list(_fields(dim))) for dim in _messages(list(_fields(dims)), DIM)]
    return Input(_text(value, VALUE_NAME), tuple(shape), pixels)


def _dim(dim: list[Field]) -> int | str:
    sizes = [value for number, value in dim if number == DIM_VALUE and isinstance(value, int)]
    return sizes[-1] if sizes and sizes[-1] > 0 else _text(dim, DIM_PARAM)


def _messages(fields: list[Field], wanted: int) -> list[memoryview]:
    return [value for number, value in fields if number == wanted and isinstance(value, memoryview)]


def _text(fields: list[Field], wanted: int) -> str:
    found = _messages(fields, wanted)
    return str(found[-1], "utf-8") if found else ""


def _fields(data: memoryview) -> Iterator[Field]:
    """(number, value) of each field of a message: an int for a varint, the bytes for anything else.

    Raises:
        ValueError: a field is cut short or of no known kind.
    """
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            whole, at = _varint(data, at)
            yield number, whole
            continue
        if kind == 2:
            length, at = _varint(data, at)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise ValueError(f"a field of kind {kind}")
        if at + length > len(data):
            raise ValueError("cut short")
        yield number, data[at : at + length]
        at += length


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """The number whose first byte is at `at`, seven bits a byte, the lowest first; and where it ends.

    Raises:
        ValueError: it is cut short, or longer than any number of 64 bits.
    """
    value = 0
    for shift in range(0, 70, 7):
        if at == len(data):
            raise ValueError("cut short")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number too long")
