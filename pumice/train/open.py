"""The data that a configuration names, opened as it says."""

from typing import Any

from pumice.data.images import Splits
from pumice.data.open import open_data
from pumice.errors import BadInput
from pumice.tasks.names import CLASSIFY
from pumice.train.config import TrainConfig


def open_for(config: TrainConfig) -> Splits[Any]:
    """Open `config.data`, as the task wants it.

    Raises:
        BadInput: see `open_data`, `open_stream` and `open_dense`.
    """
    from pumice.data.web import is_web

    if config.task != CLASSIFY:
        from pumice.data.open_dense import open_dense

        for name in ("val", "label_column"):
            if getattr(config, name) is not None:
                raise BadInput(f"data.{name} is for task=classify; leave it out to {config.task}")
        settings = {"seed": config.seed, "val_fraction": config.val_fraction, "strict": config.strict}
        return open_dense(config.data, config.task, **settings)
    if config.streaming or is_web(config.data):
        from pumice.data.streams import open_stream

        return open_stream(
            config.data,
            val=config.val,
            label_column=config.label_column,
            epoch_images=config.epoch_images,
            val_images=config.val_images,
            buffer=config.shuffle_buffer,
            strict=config.strict,
        )
    return open_data(
        config.data,
        seed=config.seed,
        val_fraction=config.val_fraction,
        strict=config.strict,
        val=config.val,
        label_column=config.label_column,
    )
