"""Every folder of the package says in its docstring what lies in it."""

import ast
import re
from pathlib import Path

import pytest

import pumice
from pumice.models.families import FAMILIES

ROOT = Path(pumice.__file__).parent
FOLDERS = sorted(file.parent for file in ROOT.rglob("__init__.py") if file.parent != ROOT)


def test_there_are_folders():
    assert len(FOLDERS) > 20


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(ROOT)))
def test_a_folder_maps_its_files(folder: Path):
    said = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))) or ""
    inside = {one.stem for one in folder.iterdir() if one.suffix == ".py" or (one / "__init__.py").is_file()}
    inside -= {"__init__", "__main__"}
    if "one file per family" in said or "a file per family" in said:
        inside -= {family.__name__.rpartition(".")[2] for family in FAMILIES}
    assert not [name for name in sorted(inside) if not re.search(rf"\b{re.escape(name)}\b", said)]
