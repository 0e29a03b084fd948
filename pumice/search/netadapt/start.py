"""What a search begins with: the net, its weights, and how nets are trained."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from pumice.errors import BadInput
from pumice.models.build import reset_classes
from pumice.models.checkpoint import load_checkpoint, manifest_of
from pumice.models.described import config_of, describe, preprocess_of
from pumice.models.manifest import ModelConfig
from pumice.models.source import load_source
from pumice.search.netadapt.settings import Settings
from pumice.train.config import TrainConfig

if TYPE_CHECKING:
    from pumice.data.images import Splits


BASE: dict[str, Any] = {"warmup_epochs": 2.0, "grad_clip": 1.0, "ema_decay": 0.99, "bn_momentum": 0.1}
FRESH_LR, ADAPTED_LR = 0.005, 0.0005
"""As `pumice.recipes.small_data` trains, which lies above this package; whoever calls can say otherwise."""


@dataclass
class Start:
    """asked: the arguments of the search.  classes: of the data.

    model: what rebuilds the net that the search begins with, known after `net`.
    input_size: (C, H, W) that it reads, likewise.
    """

    asked: dict[str, Any]
    settings: Settings
    classes: tuple[str, ...]
    model: ModelConfig | None = None
    input_size: tuple[int, int, int] = (3, 0, 0)

    @property
    def weights(self) -> Path | None:
        """The file with the weights of the source; None of a net by name."""
        path = Path(self.asked["source"])
        if path.is_dir():
            found = (path / name for name in ("best.safetensors", "last.safetensors"))
            return next((file for file in found if file.is_file()), None)
        file = path.with_suffix(".safetensors") if path.suffix == ".json" else path
        return file if file.suffix == ".safetensors" and file.is_file() else None

    def net(self) -> nn.Module:
        """The net, in evaluation mode, for the classes of the data.

        Raises:
            BadInput: no such net; one that is not trained for these data, without `seed_epochs`; no classifier.
        """
        model, manifest = load_source(self.asked["source"])
        manifest.needs_classifier("netadapt judges proposals by accuracy")
        name = manifest.model.name
        if not self.settings.seed_epochs:
            if self.weights is None:
                raise BadInput(
                    f"netadapt begins with a trained net, and {name} has no weights; set seed_epochs, or train it"
                )
            if manifest.classes != self.classes:
                raise BadInput(
                    f"{self.asked['source']} was trained for other classes than those of {self.asked['data']}; "
                    "set seed_epochs to train it for these"
                )
        elif manifest.model.num_classes != len(self.classes):
            model = reset_classes(model, len(self.classes))
        if self.asked["img_size"] is not None:
            side = self.asked["img_size"]
            describe(model, preprocess=replace(preprocess_of(model), size=(side, side)))
        self.model = config_of(model)
        self.input_size = manifest_of(model).input_size
        return model.eval()

    def trained(self, net: nn.Module, splits: "Splits", folder: Path) -> nn.Module:
        """The net that is to be narrowed: as it came, or trained first in a run folder of its own."""
        from pumice.search.netadapt.finish import trained

        if not self.settings.seed_epochs:
            return net
        trained(folder, self.training(self.settings.seed_epochs, self.weights), splits)
        return load_checkpoint(folder / "best.safetensors")[0]

    def training(self, epochs: int, weights: Path | None, *, fresh: bool = False) -> TrainConfig:
        """How a net is trained for so many epochs.

        fresh: the weights are starting weights.
        """
        assert self.model is not None
        changes: dict[str, Any] = {
            "epochs": epochs,
            "batch_size": self.settings.batch_size,
            "seed": self.asked["seed"],
            "img_size": self.asked["img_size"],
            "model_options": self.model.options,
            **self.settings.training,
        }
        rate = FRESH_LR if fresh or weights is None else ADAPTED_LR
        named = {"data": self.asked["data"], "model": self.model.name, "lr": rate}
        return TrainConfig(**{**BASE, **named, **changes, "weights": None if weights is None else str(weights)})

    def tuning(self) -> TrainConfig:
        """How proposals are tuned: as any training from weights, at a constant rate and without a moving average."""
        config = self.training(1, None)
        return replace(
            config, lr=self.settings.tune_lr, schedule="constant", warmup_epochs=0.0, ema_decay=None, weights=None
        )
