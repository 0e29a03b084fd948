"""Run the command line in this process, as a user would; importing torch anew costs seconds."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pumice.cli.main import main


@dataclass(frozen=True)
class Said:
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as JSON; it must hold nothing else."""
        return json.loads(self.out)

    @property
    def sentence(self) -> str:
        """The one line on standard error of a command that was refused."""
        assert self.err.startswith("pumice: "), self.err
        assert self.err.count("\n") == 1, self.err
        for never in ("Traceback", "site-packages", "/pumice/"):
            assert never not in self.err
        return self.err.removeprefix("pumice: ").rstrip()


Pumice = Callable[..., Said]


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads or writes the user's measurements; nobody's settings change what is printed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PUMICE_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.delenv("COLUMNS", raising=False)
        patch.delenv("PUMICE_TRACEBACK", raising=False)
        yield


@contextmanager
def one_thread() -> Iterator[None]:
    """These nets are too small for two threads, which wait for each other for minutes when the machine is busy."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def single_threaded() -> Iterator[None]:
    """Every test here runs torch in one thread."""
    with one_thread():
        yield


@pytest.fixture
def pumice(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Pumice:
    """`pumice("list", "--json")` -> what it printed (native libraries included) and its exit code."""

    def run(*args: object) -> Said:
        monkeypatch.setattr("sys.argv", ["pumice", *map(str, args)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        printed = capfd.readouterr()
        code = end.value.code
        assert code is None or isinstance(code, int)
        return Said(code or 0, printed.out, printed.err)

    return run


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to stand in."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(scope="session")
def photo() -> Callable[[int], Image.Image]:
    """`photo(7)`: a coloured image of its own; images of an even number are bright, of an odd one dark."""

    def photo(number: int) -> Image.Image:
        random = np.random.default_rng(number)
        low, high = (0, 100) if number % 2 else (155, 256)
        return Image.fromarray(random.integers(low, high, (20, 24, 3), dtype=np.uint8))

    return photo


@pytest.fixture(scope="session")
def folder_of(photo: Callable[[int], Image.Image]) -> Callable[..., Path]:
    """`folder_of(root, bright=8, dark=8)` writes so many images of each class below root."""

    def make(root: Path, **classes: int) -> Path:
        for which, (name, count) in enumerate(classes.items()):
            (root / name).mkdir(parents=True)
            for i in range(count):
                photo(2 * i + which).save(root / name / f"{i}.png")
        return root

    return make


def listing(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, with its bytes; folders too."""
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else b"" for p in sorted(folder.rglob("*"))}


@pytest.fixture(scope="session")
def files_in() -> Callable[[Path], dict[str, bytes]]:
    """`files_in(folder)`: what a command must leave as it was."""
    return listing


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on digits, trained once by the command line for all tests here: about 40 % right after 46 steps."""
    out = tmp_path_factory.mktemp("runs") / "digits"
    args = ["train", "digits", "--model", "shufflenetv2_050", "--epochs", "2", "--img-size", "32", "--batch-size", "32"]
    args += ["--set", "data.val_fraction=0.6", "--set", "train.ema_decay=none", "--out", str(out)]
    with pytest.MonkeyPatch.context() as patch, one_thread():
        patch.setattr("sys.argv", ["pumice", *args])
        with pytest.raises(SystemExit) as end:
            main()
    assert end.value.code in (None, 0)
    return out
