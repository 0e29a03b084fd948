import json

import pytest

from pumice.report.html import flatten, script_json, thumbnail


def test_json_in_a_script_element_cannot_end_it():
    value = {"a": "</script><!-- & \u2028 \u2029", "b": [1, None]}
    text = script_json(value)
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == value


@pytest.mark.parametrize("uri", [None, "", "x.png", "data:text/html;base64,AAAA", 'data:image/png;base64,AA" x="', 3])
def test_only_embedded_images_are_shown(uri):
    assert "<img" not in thumbnail(uri, "a photo")


def test_descriptions_are_escaped():
    assert 'alt="&quot;&gt;&lt;b&gt;"' in thumbnail("data:image/png;base64,AAAA", '"><b>')


def test_records_as_lines():
    assert flatten({"a": {"b": 1, "c": ["x", 2]}, "d": True, "e": None}) == [
        ("a.b", "1"),
        ("a.c", "x, 2"),
        ("d", "true"),
    ]
