"""`pumice VERB`: the verbs, imported lazily, and what a user sees when something is wrong."""

import errno
import os
import sys
import warnings
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

VERBS = {  # in the order in which people need them
    "list": "Networks, with sizes and published accuracy.",
    "info": "Everything known about one network.",
    "profile": "Parameters, multiply-adds, memory access and memory, layer by layer.",
    "benchmark": "Measure latency on this machine.",
    "fit": "Images and a budget in; a trained, measured, verified model file out.",
    "train": "Train one network on images.",
    "val": "Accuracy of a run or file on images.",
    "predict": "Classes of images.",
    "export": "Write a network as ONNX or OpenVINO file.",
    "verify": "Does a file compute what its checkpoint does?",
    "report": "Runs as one HTML page.",
    "doctor": "Check this machine and installation.",
}


class Verbs(TyperGroup):
    """Lists the verbs without importing them."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The verbs, in order."""
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A verb's name and help; `resolve_command` fetches the real one."""
        return _command(cmd_name, lambda: None) if cmd_name in VERBS else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The verb that runs."""
        name, stub, rest = super().resolve_command(ctx, args)
        if name in VERBS:
            return name, _command(name, import_module(f"pumice.cli.{name}").command), rest
        return name, stub, rest


def _command(name: str, function: Any) -> Any:
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(name, help=VERBS[name])(function)
    return typer.main.get_command(app)


app = typer.Typer(
    cls=Verbs, add_completion=False, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False
)


@app.callback()
def pumice(version: bool = typer.Option(False, "--version", help="Print the version.")) -> None:
    """Images and a budget in; a trained, measured and verified model file out."""
    if version:
        from pumice import __version__

        typer.echo(f"pumice {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command line: 0 on success, 1 on a failed check, 2 on bad usage, 130 when interrupted."""
    from pumice.errors import BadInput, CheckFailed

    # Damaged EXIF and very large images are read or refused by us; Pillow's warnings would only worry people.
    warnings.filterwarnings("ignore", module="PIL")
    try:
        app()
    except BadInput as error:
        _end(str(error), 2)
    except CheckFailed as error:
        _end(str(error), 1)
    except KeyboardInterrupt:
        _end("interrupted", 130)
    except BrokenPipeError:
        # The reader of our output went away (`| head`): there is nobody left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except OSError as error:
        reason = "the disk is full" if error.errno == errno.ENOSPC else (error.strerror or str(error))
        _end(f"{reason}: {error.filename}" if error.filename else reason, 1)


def _end(sentence: str, code: int) -> None:
    print(f"pumice: {sentence}", file=sys.stderr)
    raise SystemExit(code)


if __name__ == "__main__":
    main()
