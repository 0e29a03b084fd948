"""Everything that decides how a network is trained, as JSON values.  No torch here.

`RUN/config.json` holds one `TrainConfig`; the same configuration, data and machine give the same weights.
"""

from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal, get_type_hints

from pumice.errors import BadInput, nearest
from pumice.models.network_file import is_network_file, read_network, weights_beside
from pumice.models.spaces.names import canonical
from pumice.tasks.names import CLASSIFY, TaskName, network_for
from pumice.train.rules import check_rules
from pumice.train.settings import read_overrides
from pumice.values import checked

Schedule = Literal["cosine", "step", "constant", "linear", "polynomial", "exponential", "multistep", "cyclic", "hybrid"]
EmaWarmup = Literal["sqrt", "tf", "none"]
Precision = Literal["32", "bf16-mixed", "16-mixed"]
Gradient = Literal["net", "both", "mutual"]


@dataclass(frozen=True)
class TrainConfig:
    """One training run.

    recipe, published: the name of the recipe that this came from, and what it publishes for the fields that a run of
        another length, batch or size has changed (see `pumice.recipes.scale`); they record, and decide nothing.
    data, val, val_fraction, strict, label_column: see `open_data`.
    balanced: show every class equally often; see `EpochSampler`.
    streaming, epoch_images, val_images, shuffle_buffer: see `open_stream`; `wds:https://...` is streamed anyway.
    task, task_options: what the network is trained for, and what differs from the task's own `Options`, augmentation
        and loss together (`task.NAME=VALUE`).  For a dense task the name of a classifier means the task's usual head
        on it, and the fields of the section `augment` have no effect.
    img_size: pixels of the square that the network reads, or its height and width; None takes the network's own.
    crop_pct: share of the shorter side that validation sees; None takes that of the weights.
    mean, std, channels: of the input, in units of [0, 1]; None takes those of the weights, or of ImageNet.
    model: a name of `create_model`; of a network file its content is kept, under `model`, `model_options`, `img_size`.
    model_options: further arguments of `create_model` (`model.width=0.6`).
    pretrained, weights: start from published weights or from a file; the head is made anew for the data's classes,
        unless a checkpoint is for just these.
    freeze: "none"; "backbone" trains the last layer only; a number freezes the backbone for so many epochs.
    freeze_norm: batch norms keep the running statistics that they begin with and normalise by them; their weights and
        biases are trained.
    drop_rate: None leaves the network's own.
    bn_momentum: of the batch norms' running statistics; None leaves the network's own, which may be too slow for a run
        of a few hundred steps.
    bn_eps: of every batch norm; None leaves the network's own.
    batch_size: images of one optimiser step, of all devices and all accumulated parts together.  So it goes with `lr`,
        and devices, nodes and `accumulate` change neither the steps of an epoch nor the images of a step; each of
        them divides it.  A batch norm sees a part: batch_size / (devices * nodes * accumulate) images.
    optimizer: "sgd" (Nesterov), "momentum" (SGD without Nesterov), "rmsprop" (TensorFlow's: eps inside the root,
        averages begin at 1), "adamw" or any name that timm knows.
    opt_eps: of the optimiser's denominator; None leaves timm's.
    head_lr: the learning rate of the network's head as a multiple of that of the rest.
    decay_norm_bias, decay_depthwise: whether weight decay acts on norms and biases, and on depthwise kernels, too.
    schedule, warmup_start, decay_after_warmup, decay_epochs, decay_rate, decay_power, milestones, cycle_epochs: see
        `pumice.train.schedule.lr_at`.
    final_lr: lowest learning rate as a fraction of `lr`.
    condense_epochs: how long a net that learns its groups is pruned, equal times between one pruning and the next; None
        for the first half of the run, as in the paper.
    group_lasso: what `pumice.models.condense.group_lasso` is multiplied with before it joins the loss of a net that
        learns its groups; the authors of CondenseNet take 1e-5 on ImageNet and 0 on CIFAR.
    mixup: alpha of the Beta distribution, 0 for none; it rises from 0 over the first `mixup_ramp_epochs` epochs.
    rrc_scale, rrc_ratio: least and greatest share of the image's area that a random crop keeps, and its width over
        its height.
    pad_crop: pixels; instead of the random crop above, shift the whole image by up to so many, as is usual on CIFAR.
    hflip, re_prob: chances of mirroring an image and of erasing a part of it.
    color_jitter: strength, or [brightness, contrast, saturation] or [brightness, contrast, saturation, hue].
    auto_augment: a policy that timm knows ("rand-m7-mstd0.5-inc1").
    ema_decay: moving average of the weights; None for none.
    ema_warmup: how its decay rises, see `pumice.train.ema.Ema`.
    devices: of each machine, one process each; "auto" takes all GPUs.
    nodes: machines; a launcher (torchrun, SLURM) starts the processes of more than one.
    strategy: "auto" and "ddp" keep all weights on every device; "fsdp" shares out weights, gradients and optimiser
        state; any other name is Lightning's.
    accumulate: parts that the batch of a step is worked through in, one after the other, to save memory.
    sync_bn: batch norms take their statistics over the parts of all GPUs.
    partner: a network that trains beside this one and is followed by it (`pumice.train.partner`): "full_rank" is a
        MicroNet's own, any other name that net as it is published, under the same settings.  `freeze` and the moving
        average are about the network alone.
    teacher: a trained network, for the classes of the data, whose answers this one learns from
        (`pumice.train.distill`): a run folder, a checkpoint, or a name of `create_model` with weights.
    teacher_weights, teacher_pretrained: where the weights of a name come from; a run and a checkpoint have theirs.
    distill_weight, distill_temperature: of the divergence from the answers of a partner (1 and 1 if None), or of a
        teacher (0.9, which leaves the labels 0.1, and 4).
    distill_gradient: what a partner's divergence moves: the network ("net"), the partner too ("both"), or each of them
        toward the other ("mutual").
    save_every_s: seconds between two saves of the state within an epoch; every epoch's end is saved anyway.
    time_limit_s: end at the first step after so many seconds, as if the epochs were over.
    """

    recipe: str | None = None
    published: dict[str, Any] = field(default_factory=dict)
    data: str = "digits"
    model: str = "mobilenetv3_small_050"
    task: TaskName = CLASSIFY
    task_options: dict[str, Any] = field(default_factory=dict)
    model_options: dict[str, Any] = field(default_factory=dict)
    pretrained: bool = False
    weights: str | None = None
    freeze: Literal["none", "backbone"] | int = "none"
    freeze_norm: bool = False
    drop_rate: float | None = None
    drop_path_rate: float = 0.0
    bn_momentum: float | None = None
    bn_eps: float | None = None
    val_fraction: float = 0.2
    strict: bool = False
    val: str | None = None
    label_column: str | None = None
    balanced: bool = False
    streaming: bool = False
    epoch_images: int | None = None
    val_images: int = 5000
    shuffle_buffer: int = 1000
    img_size: int | tuple[int, int] | None = None
    crop_pct: float | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    channels: Literal["RGB", "BGR"] | None = None
    batch_size: int = 64
    workers: int = 0
    epochs: int = 30
    optimizer: str = "adamw"
    lr: float = 0.002
    head_lr: float = 1.0
    momentum: float = 0.9
    weight_decay: float = 0.02
    opt_eps: float | None = None
    decay_norm_bias: bool = False
    decay_depthwise: bool = True
    schedule: Schedule = "cosine"
    warmup_epochs: float = 3.0
    warmup_start: float = 0.0
    decay_after_warmup: bool = True
    decay_epochs: float = 2.4
    decay_rate: float = 0.97
    decay_power: float = 1.0
    milestones: tuple[float, ...] = ()
    cycle_epochs: float = 5.0
    final_lr: float = 0.01
    grad_clip: float | None = None
    label_smoothing: float = 0.1
    condense_epochs: float | None = None
    group_lasso: float = 0.0
    mixup: float = 0.0
    mixup_ramp_epochs: float = 0.0
    ema_decay: float | None = None
    ema_warmup: EmaWarmup = "sqrt"
    partner: str | None = None
    teacher: str | None = None
    teacher_weights: str | None = None
    teacher_pretrained: bool = False
    distill_weight: float | None = None
    distill_temperature: float | None = None
    distill_gradient: Gradient = "net"
    rrc_scale: tuple[float, float] = (0.35, 1.0)
    rrc_ratio: tuple[float, float] = (3 / 4, 4 / 3)
    pad_crop: int = 0
    hflip: float = 0.5
    color_jitter: float | tuple[float, ...] = 0.2
    auto_augment: str | None = None
    re_prob: float = 0.0
    seed: int = 0
    precision: Precision = "32"
    channels_last: bool = False
    devices: int | str = 1
    nodes: int = 1
    accelerator: str = "auto"
    strategy: str = "auto"
    accumulate: int = 1
    sync_bn: bool = False
    save_every_s: float = 300.0
    time_limit_s: float | None = None

    def __post_init__(self) -> None:
        hints = get_type_hints(TrainConfig)
        for f in fields(self):
            object.__setattr__(self, f.name, checked(f.name, getattr(self, f.name), hints[f.name]))
        self._read_network_file()
        object.__setattr__(self, "model_options", canonical(self.model, self.model_options))
        if self.task != CLASSIFY:
            listed = {k: list(v) if isinstance(v, tuple) else v for k, v in self.task_options.items()}
            object.__setattr__(self, "task_options", listed)
            object.__setattr__(self, "model", network_for(self.task, self.model))
        check_rules(self)
        if self.task != CLASSIFY:
            object.__setattr__(self, "label_smoothing", 0.0)

    def _read_network_file(self) -> None:
        """Put what a network file says in the place of its name, so that the run does not need the file again."""
        if not is_network_file(self.model):
            return
        file = self.model
        found = read_network(file)
        object.__setattr__(self, "model", found.model)
        object.__setattr__(self, "model_options", {**found.options, **self.model_options})
        if found.widths and self.weights is None:
            if (beside := weights_beside(file)) is None:
                raise BadInput(f"{file} is a pruned network, which is trained from its weights; keep them beside it")
            object.__setattr__(self, "weights", str(beside))
        if self.img_size is None:
            _, height, width = found.input_size
            object.__setattr__(self, "img_size", height if height == width else (height, width))

    @property
    def size(self) -> tuple[int, int] | None:
        """`img_size` as height and width."""
        return (self.img_size, self.img_size) if isinstance(self.img_size, int) else self.img_size

    def with_overrides(self, pairs: list[str]) -> "TrainConfig":
        """The same with fields set as on the command line: `["optim.lr=0.1", "model.width=0.6", "epochs=3"]`.

        A name is a field, alone or behind its section or `train.`; any other `model.` name is an option of the network,
        and a `task.` name one of the task.

        Raises:
            BadInput: a pair has no `=`, its name is unknown, or its value is of another type.
        """
        changes, options, of_task = read_overrides(pairs)
        changes["model_options"] = {**self.model_options, **options}
        return replace(self, **changes, task_options={**self.task_options, **of_task})

    def to_json(self) -> dict[str, Any]:
        """JSON values; `from_json` is the inverse."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "TrainConfig":
        """Inverse of `to_json`.

        Raises:
            BadInput: a field is unknown, of another type or impossible.
        """
        known = [f.name for f in fields(cls)]
        for name in value:
            if name not in known:
                raise BadInput(f"this configuration has an unknown field {name!r}{nearest(name, known)}")
        return cls(**value)
