"""Evidence: kept, found beside a result, refused when damaged."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from basnet_e2e.errors import BasnetError
from basnet_e2e.report.evidence import (
    MOST_CLASSES,
    Evidence,
    Thumbnail,
    evidence_path,
    find_evidence,
    shown_classes,
)

values = st.floats(0, 1, width=32)
name = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=8
)


def same(left, right):
    assert (left.video, left.duration, left.classes) == (right.video, right.duration, right.classes)
    assert left.thumbnails == right.thumbnails
    np.testing.assert_array_equal(left.centres, right.centres)
    np.testing.assert_array_equal(left.cas, right.cas)
    if left.foreground is None:
        assert right.foreground is None
    else:
        np.testing.assert_array_equal(left.foreground, right.foreground)


@settings(max_examples=40, deadline=None)
@given(data=st.data(), rows=st.integers(0, 5), names=st.lists(name, unique=True))
def test_what_is_saved_is_loaded(data, rows, names, tmp_path_factory):
    curve = st.lists(values, min_size=rows, max_size=rows)
    pictures = data.draw(st.lists(st.tuples(st.floats(0, 9), st.binary(max_size=20))))
    made = Evidence.of(
        "a/b",
        9.5,
        data.draw(curve),
        {name: data.draw(curve) for name in names},
        data.draw(st.none() | curve),
        [Thumbnail(*each) for each in pictures],
    )
    path = tmp_path_factory.mktemp("evidence") / "b.evidence"
    made.save(path)
    loaded = Evidence.load(path)
    same(made, loaded)
    first = path.read_bytes()
    loaded.save(path)
    assert path.read_bytes() == first


def test_curves_are_kept_to_a_255th():
    curve = np.linspace(0, 1, 50)
    made = Evidence.of("v", 50.0, np.arange(50), {"dive": curve}, 1 - curve)
    np.testing.assert_allclose(made.cas[:, 0] / 255, curve, atol=0.5 / 255)
    np.testing.assert_allclose(made.foreground / 255, 1 - curve, atol=0.5 / 255)


@pytest.mark.parametrize("damage", ["cut", "other", "text"])
def test_a_damaged_file_is_one_line_that_names_it(tmp_path, damage):
    path = tmp_path / "out.evidence"
    Evidence.of("v", 2.0, [0.5], {"dive": [0.5]}, None, [Thumbnail(0.1, b"jpeg")]).save(path)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-2])
    elif damage == "text":
        path.write_text("hello")
    else:
        from safetensors.numpy import save_file

        save_file({"rgb": np.zeros((2, 3), np.float32)}, path)
    with pytest.raises(
        BasnetError, match=r"out\.evidence: cannot be read as the evidence"
    ) as error:
        Evidence.load(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("many", [False, True])
def test_it_is_found_beside_its_result(tmp_path, many):
    result = tmp_path / "out.json"
    assert find_evidence(result, "day/game") is None
    made = Evidence.of("day/game", 2.0, [0.5], {"dive": [0.5]})
    made.save(evidence_path(result, "day/game", many=many))
    same(made, find_evidence(result, "day/game"))
    assert find_evidence(result, "day/other") is None


def test_classes_with_intervals_come_first():
    scores = {f"class {n}": n / 40 for n in range(40)}
    shown = shown_classes(["class 3", "class 1", "class 3"], scores)
    assert shown[:3] == ("class 3", "class 1", "class 39")
    assert len(shown) == MOST_CLASSES
    assert len(shown_classes([f"class {n}" for n in range(40)], scores)) == 40
