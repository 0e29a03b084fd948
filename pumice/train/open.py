"""The data that a configuration names, opened as it says."""

from pumice.data.images import Splits
from pumice.data.open import open_data
from pumice.train.config import TrainConfig


def open_for(config: TrainConfig) -> Splits:
    """Open `config.data`.

    Raises:
        BadInput: see `open_data` and `open_stream`.
    """
    from pumice.data.web import is_web

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
