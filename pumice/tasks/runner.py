"""A session or a module as a function from batches of inputs to outputs."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pumice.tasks.task import Run

if TYPE_CHECKING:
    from torch import nn

    from pumice.deploy.session import Session


def runner(model: "Session | nn.Module", batch_size: int) -> tuple[Run, int]:
    """The function from a batch of inputs to its outputs, and the batch size to use.

    A session runs in passes of its own batch size.  A module is put in evaluation mode for the time of a call.
    """
    from pumice.deploy.session import Session

    if isinstance(model, Session):
        return model.run, -(-batch_size // model.batch) * model.batch

    import torch

    module = model
    device = next((p.device for p in module.parameters()), torch.device("cpu"))

    def run_module(batch: NDArray[np.float32]) -> NDArray[np.float32]:
        was_training = {m: m.training for m in module.modules()}
        module.eval()
        try:
            with torch.inference_mode():
                return module(torch.from_numpy(batch).to(device)).float().cpu().numpy()
        finally:
            for m, training in was_training.items():
                m.training = training

    return run_module, batch_size
