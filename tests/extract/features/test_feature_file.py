import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from extract.errors import ExtractError
from extract.features.feature_file import Features, feature_path, read_meta
from extract.features.settings import essential, settings_difference, settings_for_streams

SETTINGS = {
    "format": 1,
    "backbone": "i3d",
    "streams": ["rgb", "flow"],
    "weights": {"rgb": "aa", "flow": "bb"},
    "flow": {"method": "tvl1"},
    "quantize": "uint8",
}


def features(rows=3, rgb=True, flow=True, duration=1.5):
    ramp = np.arange(rows * 4, dtype=np.float32).reshape(rows, 4)
    start = np.arange(rows) * 0.64
    return Features(
        rgb=ramp if rgb else None,
        flow=ramp + 100 if flow else None,
        start=start,
        end=np.minimum(start + 0.64, duration),
        meta={"settings": SETTINGS, "facts": {"duration": duration, "file": "a.mp4"}},
    )


@given(rows=st.integers(1, 9), rgb=st.booleans(), flow=st.booleans())
@settings(max_examples=20)
def test_a_file_gives_back_what_was_saved(tmp_path_factory, rows, rgb, flow):
    if not (rgb or flow):
        return
    path = tmp_path_factory.mktemp("f") / "deep" / "a.safetensors"
    saved = features(rows, rgb, flow)
    saved.save(path)
    loaded = Features.load(path)
    for name in ("rgb", "flow", "start", "end"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(saved, name))
    assert loaded.meta == saved.meta == read_meta(path)
    assert loaded.start.dtype == np.float64


def test_equal_features_give_equal_bytes(tmp_path):
    first, second = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    features().save(first)
    swapped = features()
    swapped.meta["settings"] = dict(reversed(SETTINGS.items()))
    swapped.save(second)
    assert first.read_bytes() == second.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.safetensors", "b.safetensors"]


def test_streams_stand_side_by_side():
    both = features()
    np.testing.assert_array_equal(both.matrix(), np.hstack([both.rgb, both.flow]))
    np.testing.assert_array_equal(both.matrix(["flow"]), both.flow)
    with pytest.raises(ExtractError, match="no flow stream in these features, which hold rgb"):
        features(flow=False).matrix(["rgb", "flow"])


def test_unequal_rows_and_no_stream_are_refused():
    good = features()
    with pytest.raises(ExtractError, match="equal, non-zero row counts"):
        Features(good.rgb, good.flow[:-1], good.start, good.end)
    with pytest.raises(ExtractError, match="neither an rgb nor a flow"):
        Features(None, None, good.start, good.end)


def test_nothing_is_written_when_a_value_is_not_finite(tmp_path):
    broken = features()
    broken.rgb[1, 2] = np.nan
    with pytest.raises(ExtractError, match="rgb holds NaN"):
        broken.save(tmp_path / "a.safetensors")
    assert not list(tmp_path.iterdir())


def test_other_files_are_refused_by_name(tmp_path):
    text = tmp_path / "text.safetensors"
    text.write_text("not a tensor file at all")
    foreign = tmp_path / "foreign.safetensors"
    save_file({"x": np.zeros(3)}, foreign)
    future = tmp_path / "future.safetensors"
    meta = {"basnet": json.dumps({"settings": {"format": 2}, "facts": {}})}
    save_file({"x": np.zeros(3)}, future, metadata=meta)
    for path, words in (
        (text, "cannot be read"),
        (foreign, "another program"),
        (future, "format 2"),
    ):
        with pytest.raises(ExtractError, match=words) as error:
            Features.load(path)
        assert str(path) in str(error.value)
    with pytest.raises(ExtractError, match=r"missing\.safetensors"):
        Features.load(tmp_path / "missing.safetensors")


def test_the_first_different_setting_is_named():
    assert settings_difference(SETTINGS, dict(SETTINGS)) is None
    other = SETTINGS | {"weights": {"rgb": "aa", "flow": "cc"}}
    assert settings_difference(SETTINGS, other) == "weights.flow: bb against cc"
    assert settings_difference({}, {"fps": "25"}) == "fps: none against 25"


def test_files_that_say_that_pairs_begin_afresh_equal_those_that_need_not_say_it():
    flow = {"method": "tvl1", "warps": 5}
    now, earlier = SETTINGS | {"flow": flow}, SETTINGS | {"flow": flow | {"warm_start": False}}
    assert settings_difference(now, earlier) is settings_difference(earlier, now) is None
    warm = SETTINGS | {"flow": flow | {"warm_start": True}}
    assert settings_difference(now, warm) == "flow.warm_start: false against true"


def test_files_of_before_there_were_precisions_are_float32():
    exact, rounded = (SETTINGS | {"precision": name} for name in ("float32", "float16"))
    assert settings_difference(SETTINGS, exact) is settings_difference(exact, SETTINGS) is None
    assert settings_difference(SETTINGS, rounded) == "precision: float32 against float16"
    assert essential(exact) == essential(SETTINGS) != essential(rounded)


def test_what_goes_without_saying_is_left_out_at_any_depth():
    given = {"precision": "float32", "flow": {"warm_start": False, "warps": 5}, "fps": "25"}
    assert essential(given) == {"flow": {"warps": 5}, "fps": "25"}
    assert essential({"flow": {"warm_start": True}}) == {"flow": {"warm_start": True}}


def test_a_head_on_rgb_does_not_care_about_flow():
    rgb = settings_for_streams(SETTINGS, ("rgb",))
    assert rgb["weights"] == {"rgb": "aa"}
    assert rgb["flow"] is rgb["quantize"] is None
    assert settings_for_streams(SETTINGS, ("rgb", "flow")) == SETTINGS


def test_ids_with_folders_name_files_in_folders(tmp_path):
    assert feature_path(tmp_path, "day1/cam.2") == tmp_path / "day1" / "cam.2.safetensors"


@pytest.mark.parametrize(
    ("left", "right", "words"),
    [
        (
            {"streams": ["rgb"], "flow": None, "weights": {"rgb": "a" * 64}, "quantize": None},
            {
                "streams": ["rgb", "flow"],
                "flow": {"method": "tvl1", "tau": 0.25},
                "weights": {"rgb": "a" * 64, "flow": "b" * 64},
                "quantize": "uint8",
            },
            "streams: rgb against rgb,flow",
        ),
        (
            {"flow": {"method": "tvl1", "epsilon": 0.01, "tau": 1}},
            {"flow": {"method": "raft", "updates": 12}},
            "flow: tvl1 against raft",
        ),
        ({"flow": None}, {"flow": {"method": "tvl1"}}, "flow: none against tvl1"),
        ({"stride": 8, "crop": 1}, {"stride": 16, "crop": 2}, "stride: 8 against 16"),
        ({"weights": {"rgb": "a" * 64}}, {"weights": {"rgb": "b" * 64}}, None),
    ],
)
def test_a_difference_names_what_a_user_chose(left, right, words):
    expected = words or "weights.rgb: aaaaaaaa against bbbbbbbb"
    assert settings_difference(left, right) == expected
