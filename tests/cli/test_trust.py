"""Files that are code, at the command line."""

import zipfile

import pytest

from tests.deploy.conftest import SIZE, manifest, small_net


@pytest.fixture
def foreign(tmp_path):
    """A program that is not among those that were written here."""
    from pumice.deploy.export import export

    file = export(small_net(), tmp_path / "net.pt2", manifest=manifest()).path
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("model/extra/more", "one byte")
    return file


def test_code_of_others_opens_only_when_it_is_trusted(pumice, foreign):
    words = ("benchmark", foreign, "--time", "1s", "--json")
    said = pumice(*words)
    assert said.code == 2
    assert "is code and was not written by Pumice on this machine" in said.sentence
    said = pumice(*words, "--trust")
    assert said.code == 0
    assert (said.json[0]["runtime"], said.json[0]["input_size"]) == ("eager", list(SIZE))
    assert pumice(*words).code == 0  # from now on
