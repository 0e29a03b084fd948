from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image

from pumice.data.image import BadImage
from pumice.deploy.predict import predict, softmax
from pumice.deploy.probes import natural_images
from pumice.deploy.session import open_session
from pumice.errors import BadInput
from tests.deploy.conftest import Case


def named(count: int) -> list:
    return [(f"{i}.png", image.copy) for i, image in enumerate(natural_images(count, 70, 90, seed=4))]


def broken(name: str) -> Image.Image:
    raise BadImage(name, "it is cut short")


@pytest.mark.parametrize("kind", ["onnx", "xml"])
def test_predictions_are_those_of_the_network_on_its_own_preprocessing(case: Case, kind: str):
    images = named(7)
    with torch.inference_mode():
        x = np.stack([case.manifest.preprocess(load()) for _, load in images])
        want = torch.softmax(case.net(torch.from_numpy(x)), 1).numpy()
    with open_session(getattr(case, kind).path) as session:
        records = predict(session, images, top_k=3, batch=4)
    assert [record.name for record in records] == [name for name, _ in images]
    for record, row in zip(records, want, strict=True):
        order = np.argsort(-row)[:3]
        assert [label for label, _ in record.ranked] == [case.manifest.classes[i] for i in order]
        assert [p for _, p in record.ranked] == pytest.approx(row[order], abs=1e-5)
        assert (record.label, record.probability) == record.ranked[0]
    assert len({record.ranked for record in records}) > 1
    assert records[0].to_json()["class"] == records[0].label


def test_a_damaged_image_is_named_and_skipped_or_refused(case: Case):
    images = [*named(2), ("torn.jpg", partial(broken, "torn.jpg")), *named(1)]
    with open_session(case.onnx.path) as session:
        records = predict(session, images)
        assert [bool(record.error) for record in records] == [False, False, True, False]
        assert records[2].to_json()["error"] == "cannot read the image torn.jpg: it is cut short"
        assert records[0].ranked == records[3].ranked
        assert predict(session, [images[2]])[0].ranked == ()
        with pytest.raises(BadInput, match=r"torn\.jpg"):
            predict(session, images, strict=True)


def test_unnamed_classes_are_numbers_and_top_k_is_capped(case: Case):
    with open_session(case.onnx.path, manifest=replace(case.manifest, classes=())) as session:
        record = predict(session, named(1), top_k=100)[0]
    assert sorted(label for label, _ in record.ranked) == ["0", "1", "2", "3", "4"]
    assert sum(p for _, p in record.ranked) == pytest.approx(1)


def test_a_file_that_does_not_say_how_it_is_fed_is_refused(case: Case):
    with open_session(case.net, input_size=(3, 40, 48)) as session, pytest.raises(BadInput, match="does not say how"):
        predict(session, named(1))
    with open_session(case.onnx.path) as session, pytest.raises(BadInput, match="at least 1"):
        predict(session, named(1), top_k=0)


def test_softmax_of_large_logits():
    assert softmax(np.array([[1000.0, 1000.0]], np.float32)).tolist() == [[0.5, 0.5]]
