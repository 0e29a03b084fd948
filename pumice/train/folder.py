"""The folder of a run: taken before anything is written, given back when nothing came of it."""

from pathlib import Path

from pumice.errors import BadInput
from pumice.files import scratch_of
from pumice.train.lock import LOCK

FILES = (  # that training writes, whose scratch files a kill may leave
    *("config.json", "environment.json", "data.json", "profile.json", "metrics.csv", "metrics.json", "resume.pt"),
    *("best.safetensors", "last.safetensors", "condensed.safetensors", "predictions.csv", "predictions.json"),
    "partner.safetensors",
)


def claim(out: Path) -> bool:
    """Make the folder; whether it was not there.

    Raises:
        BadInput: it holds something already, or cannot be made.
    """
    if out.is_file():
        raise BadInput(f"{out} is a file; name a folder for the run")
    made = not out.exists()
    if not made:
        check_free(out)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"cannot make the folder {out}: {error.strerror}") from error
    return made


def check_free(out: Path) -> None:
    """Raises BadInput when a folder holds more than what a run leaves that was killed before it began."""
    if (out / "config.json").is_file():
        raise BadInput(f"{out} holds another run; choose another --out, or go on with `pumice train --resume {out}`")
    if {*out.iterdir()} - {out / LOCK, *scratch_of(out, FILES)}:
        raise BadInput(f"{out} is not empty; choose another --out")


def abandon(out: Path) -> None:
    """Remove what a run that could not begin has left; one that has saved something can be resumed."""
    from pumice.train.latest import Latest

    if not Latest(out).exists:
        for name in ("config.json", "environment.json", "data.json", "profile.json"):
            (out / name).unlink(missing_ok=True)
