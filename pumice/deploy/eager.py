"""The network itself in PyTorch: batch norms folded, evaluation mode."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import ClassVar, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pumice.deploy.network import folded
from pumice.deploy.session import Session
from pumice.errors import BadInput
from pumice.models.manifest import Manifest


@contextmanager
def torch_threads(threads: int) -> Iterator[None]:
    """Let torch use that many threads inside the block; the number is the whole process's, so it is put back."""
    before = torch.get_num_threads()
    if before == threads:
        yield
        return
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def float32_alone() -> AbstractContextManager[None]:
    """TF32 rounds the factors of CUDA convolutions to 10 bits, which is not the float32 that a session states."""
    return torch.backends.cudnn.flags(enabled=True, allow_tf32=False)


@final
class EagerSession(Session):
    """A folded copy of a network; later changes of the original do not reach it."""

    runtime: ClassVar[str] = "eager"
    fixed_batch: ClassVar[bool] = False

    def __init__(
        self,
        model: nn.Module,
        *,
        threads: int = 1,
        batch: int = 1,
        input_size: tuple[int, int, int],
        manifest: Manifest | None = None,
        device: str = "cpu",
    ) -> None:
        if device not in ("cpu", "cuda"):
            raise BadInput(f"no device {device!r}; choose cpu or cuda")
        if device == "cuda" and not torch.cuda.is_available():
            raise BadInput("torch finds no CUDA device here; choose cpu")
        super().__init__(
            threads=threads, batch=batch, input_size=input_size, manifest=manifest, file_bytes=None, device=device
        )
        self._model = folded(model, input_size).to(device)

    def infer(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """One forward pass of any number of images."""
        with torch.inference_mode(), torch_threads(self.threads):
            if self.device == "cpu":
                return self._model(torch.from_numpy(x)).numpy()
            with float32_alone():
                return self._model(torch.from_numpy(x).to(self.device)).cpu().numpy()

    def device_ms(self, x: NDArray[np.float32], passes: int = 1) -> float:
        """ms per pass on the CUDA device, between two events in its queue.

        The images are there already and the logits stay there: what is timed is the network, and where its kernels
        are shorter than their launch, the launching.  ShuffleNetV2's GPU figures are of this kind (arXiv:1807.11164,
        section 2).
        """
        with torch.inference_mode(), torch_threads(self.threads), float32_alone():
            images = torch.from_numpy(x).to(self.device)
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            torch.cuda.synchronize()
            start.record()
            for _ in range(passes):
                self._model(images)
            end.record()
            end.synchronize()
        return start.elapsed_time(end) / passes

    def close(self) -> None:
        """Let go of the network."""
        self._model = nn.Identity()
