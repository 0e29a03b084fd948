"""`space:NAME` is an ordinary network; a network file is accepted where a name is."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pumice.cost.count import profile
from pumice.errors import BadInput
from pumice.models.build import rebuild, reset_classes
from pumice.models.checkpoint import load_checkpoint, manifest_of, save_checkpoint
from pumice.models.create import create_model
from pumice.models.described import config_of, preprocess_of
from pumice.models.families import family_of, options_of
from pumice.models.fbnet import A
from pumice.models.manifest import Manifest, ModelConfig
from pumice.models.network_file import NetworkFile, read_network
from pumice.models.source import load_source
from pumice.models.spaces.fbnet import CANDIDATES
from pumice.models.spaces.names import SPACES, create_space, read_choice
from pumice.train.config import TrainConfig

CHOICE = [1, 0, 2, 0, 1, 0, 0, 2]
SMALL: dict[str, Any] = {"choice": CHOICE, "width": 0.25}


@pytest.mark.parametrize("name", SPACES)
def test_every_space_is_rebuilt_from_its_name(name: str) -> None:
    space = create_space(name)
    assert (space.name, space.options) == (name, {})
    choice = space.random(np.random.default_rng(0))
    with torch.device("meta"):
        net = create_model(f"space:{name}", choice=choice)
    config, preprocess = config_of(net), preprocess_of(net)
    assert config is not None
    assert config == ModelConfig(f"space:{name}", space.num_classes, options={"choice": list(choice)})
    assert preprocess.size == space.image_of(choice)
    assert family_of(config.name).__name__ == type(space).__module__
    carried = Manifest.loads(manifest_of(net).dumps()).model
    with torch.device("meta"):
        again = rebuild(carried)
    assert {k: v.shape for k, v in again.state_dict().items()} == {k: v.shape for k, v in net.state_dict().items()}


def test_a_choice_is_the_rows_it_names() -> None:
    """FBNet-A, whose last convolution alone differs from that of the space."""
    choice = [list(CANDIDATES.values()).index(candidate) for candidate in A]
    with torch.device("meta"):
        theirs, ours = create_model("fbnet_a"), create_model("space:fbnet", choice=choice)
    theirs, ours = theirs.state_dict(), ours.state_dict()
    assert theirs.keys() == ours.keys()
    differ = {key for key in ours if ours[key].shape != theirs[key].shape}
    assert {key.rsplit(".", 2)[0] for key in differ} == {"blocks.23", "head"}


def test_options_of_the_space_and_of_the_model() -> None:
    net = create_model("space:macro", num_classes=4, in_chans=1, **SMALL)
    assert net(torch.zeros(2, 1, 32, 32)).shape == (2, 4)
    assert config_of(net) == ModelConfig("space:macro", 4, 1, SMALL)
    assert create_space("macro", width=0.25).options == {"width": 0.25}
    assert options_of("space:macro") == {"choice": None, "width": 1.0}
    assert config_of(reset_classes(net, 3)) == ModelConfig("space:macro", 3, 1, SMALL)
    maps = create_model("space:macro", features_only=True, **SMALL)(torch.zeros(1, 3, 32, 32))
    assert [m.shape[2] for m in maps] == [32, 16, 8, 4]
    dense = create_model("lraspp:space:macro", num_classes=2, **SMALL).eval()
    assert dense(torch.zeros(1, 3, 64, 64)).shape == (1, 2, 64, 64)


@pytest.mark.parametrize("text", ["1.0.2.0.1.0.0.2", "[1,0,2,0,1,0,0,2]", CHOICE, tuple(CHOICE), np.array(CHOICE)])
def test_how_a_choice_is_written(text: Any) -> None:
    given = TrainConfig(model="space:macro").with_overrides([f"model.choice={text}"]) if isinstance(text, str) else None
    options = {"choice": text} if given is None else given.model_options
    assert given is None or options == {"choice": CHOICE}
    config = config_of(create_model("space:macro", **options))
    assert config is not None
    assert config.options == {"choice": CHOICE}
    json.dumps(config.options)


def test_a_choice_of_one_position() -> None:
    assert read_choice(3) == read_choice("3") == [3]


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("space:macro", {}, "8 numbers; `pumice info space:macro`"),
        ("space:macro", {"choice": [0] * 7}, "has 8 numbers, not 7"),
        ("space:macro", {"choice": [0] * 7 + [3]}, "layer 8 has the options 0 to 2, not 3"),
        ("space:macro", {"choice": "0-1"}, "no list of whole numbers"),
        ("space:macro", {"choice": 0.3}, "no list of whole numbers"),
        ("space:macro", {"choice": [0.5] * 8}, "no list of whole numbers"),
        (
            "space:macro",
            {"choice": CHOICE, "widht": 1.0},
            "has no option 'widht'; it takes choice, width; did you mean",
        ),
        ("space:macro", {"choice": CHOICE, "width": 0}, "width must be a number above 0"),
        ("space:macros", {}, "no search space is called 'macros'; did you mean 'macro'?"),
        ("lraspp:space:macro", {}, "give one as choice="),
    ],
)
def test_bad_choices_are_one_sentence(name: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput) as said:
        create_model(name, **options)
    assert words in str(said.value)
    assert "\n" not in str(said.value)


def test_there_are_no_published_weights() -> None:
    with pytest.raises(BadInput, match="no published weights of space:macro"):
        create_model("space:macro", pretrained=True, **SMALL)


# ---- network files


@pytest.fixture
def file(tmp_path: Path) -> Path:
    found = NetworkFile("space:macro", SMALL, 5, 3, (3, 24, 24), {"accuracy": 0.5, "method": "random"})
    return found.write(tmp_path / "best.json")


def test_a_file_stands_for_its_network(file: Path) -> None:
    assert read_network(file) == NetworkFile(**json.loads(file.read_text()) | {"input_size": (3, 24, 24)})
    net = create_model(str(file))
    assert config_of(net) == ModelConfig("space:macro", 5, options=SMALL)
    assert preprocess_of(net).size == (24, 24)
    assert profile(str(file)).madds == profile(net).madds < profile(create_model("space:macro", **SMALL)).madds
    other = config_of(create_model(str(file), num_classes=7, width=0.5))
    assert other == ModelConfig("space:macro", 7, options={**SMALL, "width": 0.5})
    config = TrainConfig(model=str(file))
    assert (config.model, config.model_options, config.img_size) == ("space:macro", SMALL, 24)
    assert TrainConfig(model=str(file), img_size=32).img_size == 32


def test_weights_beside_it_come_back_to_the_last_bit(file: Path) -> None:
    torch.manual_seed(1)
    net = create_model(str(file)).eval()
    images = torch.randn(4, 3, 24, 24)
    save_checkpoint(file.with_suffix(".safetensors"), net, manifest_of(net, classes=tuple("abcde")))
    back, manifest = load_source(str(file))
    assert torch.equal(back(images), net(images))
    assert manifest.classes == tuple("abcde")
    assert manifest.input_size == (3, 24, 24)
    whole, _ = load_checkpoint(file.with_suffix(".safetensors"))
    assert torch.equal(whole(images), net(images))
    file.with_suffix(".safetensors").unlink()
    assert not torch.equal(load_source(str(file))[0](images), net(images)), "fresh weights without it"


def test_weights_of_another_network_are_refused(file: Path) -> None:
    net = create_model("space:macro", **{**SMALL, "choice": [0] * 8})
    save_checkpoint(file.with_suffix(".safetensors"), net, manifest_of(net))
    with pytest.raises(BadInput, match="holds another network than"):
        load_source(str(file))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "no file "),
        ("[1", "is not JSON"),
        ("[]", "describes no network"),
        ('{"epochs": 3}', "describes no network"),
        ('{"model": "fbnet_a"}', "is no network file: missing"),
        ({"input_size": [3, 24]}, "is no network file: a value of the wrong kind"),
        ({"input_size": [3, 0, 24]}, "is no network file: a value of the wrong kind"),
        ({"num_classes": 2.5}, "is no network file: a value of the wrong kind"),
        ({"model": "best.json"}, "is no network file: no name of a network"),
        ({"model": "mobilenet"}, "no network is called"),
        ({"options": {"choice": "x"}}, "no list of whole numbers"),
        ({"more": 1}, "is no network file: got an unexpected keyword argument 'more'"),
    ],
)
def test_bad_files_are_one_sentence(file: Path, content: Any, words: str) -> None:
    if content is None:
        file.unlink()
    else:
        file.write_text(content if isinstance(content, str) else json.dumps(json.loads(file.read_text()) | content))
    with pytest.raises(BadInput) as said:
        load_source(str(file))
    assert words in str(said.value)
    assert "\n" not in str(said.value)
