"""The last step of `pumice search`: the best networks, trained at length."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pumice.search.study.run import Searched


def retrained(result: "Searched") -> list[dict[str, Any]]:
    """Train the best within the target at length, each in a run folder below the search's; what is there stays."""
    from pumice.search.study.run import ranked

    config, found = result.config, []
    if not config.retrain:
        return []
    from pumice.report.tables import write_card
    from pumice.train.config import TrainConfig
    from pumice.train.run import resume, train

    short = TrainConfig.from_json(config.training)
    for trial in ranked(result)[: config.retrain]:
        folder = result.out / f"trial-{trial.number}"
        options = {**config.space_options, "choice": list(trial.choice)}
        if (folder / "config.json").exists():
            run = resume(folder)
        else:
            longer = replace(short, epochs=config.retrain_epochs, seed=config.seed, model_options=options)
            run = train(replace(longer, **result.recipes[trial.number]), folder)
        if run.interrupted:
            raise KeyboardInterrupt(f"{run.sentence}; `pumice search --resume {result.out}` goes on with all")
        if not (folder / "README.md").exists():
            write_card(folder)
        top1 = run.scores.to_json()["top1"] if run.scores else None
        found.append({"trial": trial.number, "out": str(folder), "top1": top1, "proxy": trial.accuracy})
    return found
