"""A training run and its folder: `config.json` first, then torch."""

import errno
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pumice.data.changes import changed_classes, changed_images, fingerprint
from pumice.errors import BadInput, CheckFailed, reason_of
from pumice.files import read_json, scratch_of, write_json
from pumice.tasks.names import CLASSIFY, LIBRARIES, scores_from
from pumice.tasks.task import TaskScores
from pumice.train.config import TrainConfig
from pumice.train.environment import environment
from pumice.train.folder import FILES, abandon, check_free, claim
from pumice.train.launch import is_first_process
from pumice.train.lock import locked

if TYPE_CHECKING:
    from torch import nn

    from pumice.data.images import Splits

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)  # a disk that takes no more


@dataclass(frozen=True)
class TrainResult:
    """What a run came to.

    out: the run's folder.
    scores: of best.safetensors on the validation images; None before the first epoch has ended.
    seconds: trained, by all processes that worked on the run.
    epochs: that have ended.
    best_epoch: counted from 1; None before the first has ended.
    interrupted: whether the user stopped it; `resume(out)` goes on.
    condensed: what became of the condensed form of a net that learns its groups, in words; "" of other nets.
    partner: likewise of the network that trained beside it.
    """

    out: Path
    scores: TaskScores | None
    seconds: float
    epochs: int
    best_epoch: int | None
    interrupted: bool
    condensed: str = ""
    partner: str = ""

    @property
    def sentence(self) -> str:
        """How it ended, in one sentence."""
        if self.interrupted:
            return f"stopped at epoch {self.epochs + 1}; continue with `pumice train --resume {self.out}`"
        assert self.scores is not None
        ending = f"{self.out}: {self.scores.sentence()} at epoch {self.best_epoch} of {self.epochs}"
        return "; ".join(part for part in (ending, self.condensed, self.partner) if part)


def train(
    config: TrainConfig, out: str | Path, *, splits: "Splits | None" = None, state: dict[str, Any] | None = None
) -> TrainResult:
    """Train into a new run folder.

    On Ctrl-C or SIGTERM the step is finished, the state saved, and a result with `interrupted` returned.

    Args:
        config: everything that decides the result.
        out: the folder; it may exist if it is empty.
        splits: the data, if they are open already; `config.data` otherwise.
        state: where to go on from, of `train_once` with the same configuration.

    Raises:
        BadInput: the folder holds something, or network, weights, data or settings cannot work; then nothing is left.
        CheckFailed: the loss became infinite or no number, or the results could not be written.
    """
    out = Path(out)
    if not is_first_process():
        return _continue(config, out, splits, state)
    made = claim(out)
    try:
        with locked(out):
            check_free(out)  # again: another process may have taken the folder meanwhile
            write_json(out / "config.json", config.to_json())
            write_json(out / "environment.json", environment())
            try:
                return _continue(config, out, splits, state)
            except BadInput:
                abandon(out)
                raise
    finally:
        if made and out.is_dir() and not any(out.iterdir()):
            out.rmdir()


def resume(out: str | Path, *, splits: "Splits | None" = None) -> TrainResult:
    """Go on with a run; the weights become those of a run that was never stopped.

    A finished run is not touched.  One that was killed before it saved anything starts again.  A damaged resume.pt is
    said to be so, and the state before it taken.

    Raises:
        BadInput: the folder holds no run, its data have changed, another process trains in it, or no state is good.
        CheckFailed: see `train`.
    """
    out = Path(out)
    if not (out / "config.json").is_file():
        raise BadInput(f"{out} holds no run to resume; name the folder of a run")
    if (out / "metrics.json").is_file():
        return _finished(out)
    config = TrainConfig.from_json(read_json(out / "config.json"))
    if not is_first_process():
        return _continue(config, out, splits, None)
    with locked(out):
        for left in scratch_of(out, FILES):
            left.unlink(missing_ok=True)
        if not (out / "environment.json").is_file():
            write_json(out / "environment.json", environment())
        return _continue(config, out, splits, None)


def _continue(config: TrainConfig, out: Path, splits: "Splits | None", state: dict[str, Any] | None) -> TrainResult:
    """Train from the state given, else from the one in the folder, else from the start."""
    from pumice.train.interrupt import Interrupt, Interrupted

    with Interrupt() as interrupt:
        try:
            return _train(config, out, splits, state, interrupt)
        except Interrupted:
            return _stopped(config.task, out)
        except OSError as error:
            if error.errno not in FULL:
                raise
            mend = f"make room there, then go on with `pumice train --resume {out}`"
            raise CheckFailed(f"the results in {out} cannot be written: {reason_of(error)}; {mend}") from error


def _train(
    config: TrainConfig, out: Path, splits: "Splits | None", state: dict[str, Any] | None, interrupt: Any
) -> TrainResult:
    """See `train`; everything that needs torch is imported from here on."""
    if splits is None:
        from pumice.train.open import open_for

        splits = open_for(config)
    if find_spec("lightning") is None or find_spec("timm") is None:
        raise BadInput("training needs lightning and timm; install them with `pip install 'pumice[train]'`")
    from pumice.data.describe import description
    from pumice.data.memory import keep_decoded
    from pumice.models.catalogue import entry
    from pumice.models.checkpoint import load_checkpoint, manifest_of, save_checkpoint
    from pumice.tasks.classify import evaluate
    from pumice.tasks.pictures import pictured
    from pumice.tasks.predictions import read_answers, sheet
    from pumice.train.condense import learning_form, learns_groups, save_condensed
    from pumice.train.console import Console
    from pumice.train.dense import carried
    from pumice.train.latest import Latest
    from pumice.train.net import build_net
    from pumice.train.records import Records, write_metrics
    from pumice.train.trainer import run_epochs
    from pumice.train.writer import Writer

    latest = Latest(out)
    if state is not None:
        if is_first_process():
            latest.write(state)
    else:
        state = latest.read()
    images = fingerprint(splits)
    if state is not None:
        _check_data(out, splits, images, state)
    net = build_net(learning_form(config), splits.classes)
    manifest = manifest_of(net, classes=splits.classes)
    manifest.needs(config.task)
    if config.task != CLASSIFY:
        manifest = replace(manifest, decode=carried(config, splits, manifest.decode))
    if state is not None and is_first_process():
        write_metrics(out / "metrics.csv", state["history"])
    *libraries, name = config.model.split(":")
    catalogue = None if {*libraries} & {*LIBRARIES} else entry(name).to_json()
    madds = None
    if is_first_process():
        write_json(out / "data.json", description(splits))
        madds = None if learns_groups(net) else _costs(net, out)
    writer = Writer(out, latest, 0 if state is None else state["step"])
    records = Records(writer, manifest, images, config.save_every_s)
    trainer, module = run_epochs(net, splits, config, interrupt, state=state, records=records, more=(Console(),))
    assert module.best is not None
    if trainer.is_global_zero:
        records.log_epochs(module)
        record = {
            "finished": True,
            "task": config.task,
            "model": config.model,
            "data": config.data,
            "classes": list(splits.classes),
            "images": {"train": splits.train_images, "val": len(splits.val), "skipped": len(splits.skipped)},
            "params": sum(p.numel() for p in net.parameters()),
            "madds": madds,
            "input_size": list(manifest.input_size),
            "epochs": module.history[-1]["epoch"],
            "best_epoch": module.best["epoch"],
            "seconds": module.history[-1]["seconds"],
            "val": module.best["scores"],
            "manifest": manifest.to_json(),
            "catalogue": catalogue,
        }
        if learns_groups(net):
            record["condensed"] = None
            if (written := save_condensed(out)) is not None:
                small, made = written
                record["madds"] = _costs(small, out)
                record["condensed"] = {
                    "params": sum(p.numel() for p in small.parameters()),
                    "val": evaluate(small, made.preprocess, splits.val).to_json(),
                }
        if (out / "predictions.csv").is_file():  # not when the best epoch is that of a state given to `train`
            # The decoded images are those that validation kept in memory.
            answers = read_answers(out / "predictions.csv")
            write_json(out / "predictions.json", sheet(keep_decoded(splits.val), answers))
        elif config.task != CLASSIFY and (out / "best.safetensors").is_file():
            best, made = load_checkpoint(out / "best.safetensors")
            write_json(out / "predictions.json", pictured(best, made, keep_decoded(splits.val)))
        if module.partner is not None:
            made = manifest_of(module.partner, classes=splits.classes)
            save_checkpoint(out / "partner.safetensors", module.partner, made)
            record["partner"] = {
                "model": made.model.name,
                "options": made.model.options,
                "params": sum(p.numel() for p in module.partner.parameters()),
                "top1": module.history[-1]["partner_top1"],
            }
        write_json(out / "metrics.json", record)
        latest.discard_previous()
        return _finished(out)
    last = module.history[-1]
    scores = scores_from(config.task, module.best["scores"])
    return TrainResult(out, scores, last["seconds"], last["epoch"], module.best["epoch"], interrupted=False)


def _costs(net: "nn.Module", out: Path) -> int | None:
    """The network's multiply-adds, and profile.json; None where it cannot be traced, which hinders no training."""
    from pumice.cost.count import profile

    try:
        found = profile(net)
    except Exception:  # of a network of any maker, any error
        return None
    write_json(out / "profile.json", found.to_json())
    return found.madds


def _check_data(out: Path, splits: "Splits", images: dict[str, Any], state: dict[str, Any]) -> None:
    """Raises BadInput when the data are not those that the run was begun with; a state from elsewhere may not say."""
    said = changed_classes(splits.classes, tuple(state.get("classes", splits.classes)), splits.source, str(out))
    if said is None and "images" in state:
        said = changed_images(images, state["images"], splits.source, str(out))
    if said is not None:
        raise BadInput(said)


def _finished(out: Path) -> TrainResult:
    """The result of a finished run, from its record."""
    record = read_json(out / "metrics.json")
    scores = scores_from(record["task"], record["val"])
    return TrainResult(
        *(out, scores, record["seconds"], record["epochs"], record["best_epoch"]),
        interrupted=False,
        condensed=_condensed(record),
        partner=f"partner.safetensors: top-1 {record['partner']['top1']:.1%}" if "partner" in record else "",
    )


def _condensed(record: dict[str, Any]) -> str:
    """What metrics.json says of a net's condensed form, in words."""
    if "condensed" not in record:
        return ""
    if record["condensed"] is None:
        return "no condensed form, for training ended before the last pruning"
    return f"condensed.safetensors: top-1 {record['condensed']['val']['top1']:.1%}"


def _stopped(task: str, out: Path) -> TrainResult:
    """The result of an interrupted run, from its state if it has come that far."""
    from pumice.train.latest import Latest

    state = Latest(out).read()
    if state is None:
        return TrainResult(out, None, 0.0, 0, None, interrupted=True)
    best, epochs = state["best"], state["history"][-1]["epoch"] if state["history"] else 0
    scores = None if best is None else scores_from(task, best["scores"])
    return TrainResult(out, scores, state["seconds"], epochs, None if best is None else best["epoch"], interrupted=True)
