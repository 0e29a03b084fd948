"""Nothing that the tests do reaches the user's own cache, and what every export does again is done once."""

import gc
from collections.abc import Iterator
from functools import cache

import pytest

# Millions of objects of libraries and of thousands of tests stay to the end: looking through them for garbage again and
# again is a tenth of a run.
gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    gc.enable()


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PUMICE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True, scope="session")
def _one_table_of_operators() -> Iterator[None]:
    """torch's exporter lists all operators of ONNX anew for each file, and those of torch for each program sixty times:
    more than half of the CPU time that a small net's file takes."""
    try:
        from torch._export import utils
        from torch.onnx._internal.exporter._registration import ONNXRegistry
    except ImportError:
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ONNXRegistry, "from_torchlib", staticmethod(cache(ONNXRegistry.from_torchlib)))
        if hasattr(utils, "_materialize_cpp_cia_ops"):
            patch.setattr(utils, "_materialize_cpp_cia_ops", cache(utils._materialize_cpp_cia_ops))
        yield
