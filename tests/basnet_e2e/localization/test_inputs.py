"""What a command line names: videos, features and arrays, alone and side by side."""

import logging

import numpy as np
import pytest

from basnet_e2e import BasnetError
from basnet_e2e.data.features.dataset import load_features
from basnet_e2e.localization.inputs import FeatureArrays, FeatureFile, VideoFile, find_inputs
from extract.errors import ExtractError
from extract.features.feature_file import Features
from extract.features.fingerprint import fingerprint


def put(path, text="no real video"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def features_of(path, video=None):
    facts = {"fingerprint": fingerprint(video)} if video else {}
    meta = {"settings": {"format": 1, "backbone": "test", "streams": ["rgb"]}, "facts": facts}
    meta["settings"]["weights"] = {"rgb": "aa"}
    path.parent.mkdir(parents=True, exist_ok=True)
    Features(np.ones((2, 3), np.float32), None, np.zeros(2), np.ones(2), meta).save(path)
    return path


def model_file(path):
    from safetensors.numpy import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({"x": np.zeros(2, np.float32)}, path, {"basnet": '{"kind": "head"}'})
    return path


def names(sources):
    return [(type(source), source.id) for source in sources]


def test_a_folder_of_videos_and_features_gives_both(tmp_path):
    put(tmp_path / "t1.mp4")
    features_of(tmp_path / "t3.safetensors")
    np.save(tmp_path / "t2.npy", np.ones((2, 3), np.float32))
    assert names(find_inputs([tmp_path])) == [
        (VideoFile, "t1"),
        (FeatureArrays, "t2"),
        (FeatureFile, "t3"),
    ]


@pytest.mark.parametrize("place", ["videos", "features"])
def test_a_video_whose_features_are_there_counts_once(tmp_path, place, caplog):
    video = put(tmp_path / "videos" / "t1.mp4", "one")
    put(tmp_path / "videos" / "t2.mp4", "two")
    features_of(tmp_path / place / "t1.safetensors", video)
    expected = [(FeatureFile, "t1"), (VideoFile, "t2")]
    paths = sorted({tmp_path / "videos", tmp_path / place}, key=lambda path: path.name)
    with caplog.at_level(logging.INFO):
        assert names(find_inputs(paths)) == expected
    assert "read from features that are there already: 1 video" in caplog.text


def test_features_of_a_changed_video_are_left_out(tmp_path, caplog):
    video = put(tmp_path / "t1.mp4", "one")
    features_of(tmp_path / "t1.safetensors", video)
    video.write_text("another")
    assert names(find_inputs([tmp_path])) == [(VideoFile, "t1")]
    assert "t1.safetensors was not made of" in caplog.text


def test_features_that_do_not_say_what_they_were_made_of_are_believed(tmp_path):
    put(tmp_path / "t1.mp4")
    features_of(tmp_path / "t1.safetensors")
    assert names(find_inputs([tmp_path])) == [(FeatureFile, "t1")]


def test_models_in_a_folder_are_skipped_with_a_line(tmp_path, caplog):
    put(tmp_path / "videos" / "t1.mp4")
    model_file(tmp_path / "videos" / "m.safetensors")
    assert names(find_inputs([tmp_path / "videos"])) == [(VideoFile, "t1")]
    assert "m.safetensors (a model)" in caplog.text
    features_of(tmp_path / "f" / "a.safetensors")
    model_file(tmp_path / "f" / "model.safetensors")
    assert names(find_inputs([tmp_path / "f"])) == [(FeatureFile, "a")]
    assert [video.id for video in load_features(tmp_path / "f").videos] == ["a"]
    assert "model.safetensors (a model)" in caplog.text


def test_a_model_given_as_features_is_named_for_what_it_is(tmp_path):
    model = model_file(tmp_path / "m.safetensors")
    for read in (lambda path: find_inputs([path]), load_features):
        with pytest.raises(BasnetError, match=r"m\.safetensors: a model, not features"):
            read(model)
    with pytest.raises(ExtractError, match=r"m\.safetensors: a model, not a feature file"):
        Features.load(model)


def test_a_published_folder_with_a_model_in_it_is_still_one(tmp_path):
    model_file(tmp_path / "m.safetensors")
    (tmp_path / "features" / "rgb").mkdir(parents=True)
    np.save(tmp_path / "features" / "rgb" / "v.npy", np.ones((2, 3), np.float32))
    assert names(find_inputs([tmp_path])) == [(FeatureArrays, "v")]
    assert [video.id for video in load_features(tmp_path).videos] == ["v"]


def test_ids_of_one_call_are_unique(tmp_path):
    for name in "ab":
        put(tmp_path / name / "game.mp4", name)
        features_of(tmp_path / name / "other.safetensors")
    found = find_inputs([tmp_path / "a", tmp_path / "b"])
    assert [source.id for source in found] == ["a/game", "a/other", "b/game", "b/other"]
    put(tmp_path / "a" / "game.mkv", "another")
    with pytest.raises(ExtractError, match=r"game\.mkv and .*game\.mp4 would both be called"):
        find_inputs([tmp_path / "a"])


def test_nothing_to_work_on(tmp_path):
    with pytest.raises(ExtractError, match="neither videos nor features"):
        find_inputs([tmp_path])
    with pytest.raises(ExtractError, match="no such file or folder"):
        find_inputs([tmp_path / "nowhere.mp4"])
