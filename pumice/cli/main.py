"""`pumice VERB`: the verbs, imported lazily, and what a user sees when something is wrong."""

import os
import sys
import warnings
from importlib import import_module
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from pumice.errors import BadInput, CheckFailed, nearest, reason_of

VERBS = {  # in the order in which people need them; a line has room for 63 characters in a terminal of 80
    "list": "Networks, with sizes and published accuracy.",
    "info": "Everything known about one network.",
    "profile": "What a network costs, layer by layer.",
    "audit": "What makes a network slow, and edits that would mend it.",
    "benchmark": "Measure latency on this machine.",
    "guidelines": "Do the papers' rules of speed hold on this machine?",
    "lut": "Tables that predict latency, of this machine or a device.",
    "fit": "Images and a budget in; a trained, verified model file out.",
    "train": "Train one network on images.",
    "val": "Accuracy of a run or file on images.",
    "predict": "Classes of images.",
    "search": "The network of a search space that fits a budget best.",
    "prune": "Cut a network to a latency or share of its multiply-adds.",
    "quantize": "A network as a file of 8-bit integers, where that pays.",
    "export": "Write a network as ONNX or OpenVINO file.",
    "verify": "Does a file compute what its checkpoint does?",
    "report": "Runs as one HTML page.",
    "data": "Is a data set fit to learn from?",
    "doctor": "Check this machine and installation.",
}
UsageError: Any = typer.BadParameter.__base__  # typer gives it no public name


class Verbs(TyperGroup):
    """Lists the verbs without importing them."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The verbs, in order."""
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A verb's name and help; `resolve_command` fetches the real one."""
        return _command(cmd_name, lambda: None, VERBS[cmd_name]) if cmd_name in VERBS else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The verb that runs.

        Raises:
            BadInput: there is none of this name.
        """
        name = args[0]
        if name not in VERBS:
            hint = nearest(name, list(VERBS)) or "; `pumice --help` names them all"
            raise BadInput(f"there is no verb {name!r}{hint}")
        module = import_module(f"pumice.cli.{name}")
        if hasattr(module, "app"):  # a verb with verbs of its own
            return name, typer.main.get_command(module.app), args[1:]
        return name, _command(name, module.command, module.command.__doc__), args[1:]

    def invoke(self, ctx: Any) -> Any:
        """Run the verb; say so when it was interrupted, which typer would do without a word."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            _end(str(stop) or "interrupted", 130)


def _command(name: str, function: Any, help: str) -> Any:
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(name, help=help)(function)
    return typer.main.get_command(app)


app = typer.Typer(cls=Verbs, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


def _print_version(asked: bool) -> None:
    if asked:
        from pumice import __version__

        typer.echo(f"pumice {__version__}")
        raise typer.Exit


@app.callback()
def pumice(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Images and a budget in; a trained, measured and verified model file out."""


def main() -> None:
    """Run the command line: 0 on success, 1 on a failed check, 2 on bad usage, 130 when interrupted.

    An error that nobody foresaw is a bug of ours and ends with 70; PUMICE_TRACEBACK=1 shows where it is.
    """
    # Damaged EXIF and very large images are read or refused by us; Pillow's warnings would only worry people.
    warnings.filterwarnings("ignore", module="PIL")
    try:
        code = app(sys.argv[1:] or ["--help"], prog_name="pumice", standalone_mode=False)
    except UsageError as error:
        _end(_usage(error), 2)
    except BadInput as error:
        _end(str(error), 2)
    except CheckFailed as error:
        _end(str(error), 1)
    except BrokenPipeError:
        # The reader of our output went away (`| head`): there is nobody left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except OSError as error:
        reason = reason_of(error)
        _end(f"{reason}: {error.filename}" if error.filename else reason, 1)
    except MemoryError:
        _end("there is not enough memory; try a smaller batch or input", 1)
    except Exception as error:
        if os.environ.get("PUMICE_TRACEBACK"):
            raise
        first = next(iter(str(error).splitlines()), "")
        _end(f"this is a bug of Pumice ({type(error).__name__}: {first}); PUMICE_TRACEBACK=1 shows where it is", 70)
    raise SystemExit(code)


def _usage(error: Any) -> str:
    """Typer's complaint as one sentence."""
    message = error.format_message().rstrip(".")
    verb = error.ctx.command_path if error.ctx else "pumice"
    return f"{message[:1].lower()}{message[1:]}; `{verb} --help` shows how it is used"


def _end(sentence: str, code: int) -> NoReturn:
    print(f"pumice: {sentence}", file=sys.stderr)
    raise SystemExit(code)


if __name__ == "__main__":
    main()
