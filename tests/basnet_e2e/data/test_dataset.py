"""Features of every layout, what must agree in a folder, and how labels find their videos."""

import json
import logging

import numpy as np
import pytest

from basnet_e2e import BasnetError
from basnet_e2e.data.features import dataset
from basnet_e2e.data.features.dataset import load_features, load_labelled
from basnet_e2e.data.features.layout_writer import export_features
from extract.features.feature_file import Features


def rows(count, width=3, seed=0):
    return np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)


def feature_file(folder, video, count=4, streams=("rgb", "flow"), **changes):
    start = np.arange(count) * 0.64
    settings = {
        "format": 1,
        "fps": "25",
        "length": 16,
        "stride": 16,
        "backbone": "i3d",
        "streams": list(streams),
        "weights": {name: name * 2 for name in streams},
        "flow": {"method": "tvl1"} if "flow" in streams else None,
        "quantize": "uint8" if "flow" in streams else None,
    }
    Features(
        rgb=rows(count, seed=1) if "rgb" in streams else None,
        flow=rows(count, seed=2) if "flow" in streams else None,
        start=start,
        end=start + 0.64,
        meta={"settings": settings | changes, "facts": {"duration": count * 0.64 - 0.1}},
    ).save(folder / f"{video}.safetensors")


def array(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, values)


def test_our_feature_files_in_depth(tmp_path):
    feature_file(tmp_path, "b")
    feature_file(tmp_path, "deep/a.v2", 6)
    found = load_features(tmp_path)
    assert [video.id for video in found.videos] == ["b", "deep/a.v2"]
    assert (found.dimension, found.videos[1].x.shape) == (6, (6, 6))
    assert found.videos[0].duration == pytest.approx(2.46)
    assert found.settings["streams"] == ["rgb", "flow"]
    one = load_features(tmp_path / "deep" / "a.v2.safetensors")
    assert [video.id for video in one.videos] == ["a.v2"]


def test_one_stream_of_both_has_the_settings_of_that_stream(tmp_path):
    feature_file(tmp_path / "both", "a")
    feature_file(tmp_path / "one", "a", streams=("rgb",))
    both, one = (load_features(tmp_path / name, streams=["rgb"]) for name in ("both", "one"))
    np.testing.assert_array_equal(both.videos[0].x, one.videos[0].x)
    assert both.settings == one.settings
    with pytest.raises(BasnetError, match=r"a\.safetensors: no flow stream"):
        load_features(tmp_path / "one", streams=["flow"])


def test_different_settings_in_a_folder_are_named_with_both_files(tmp_path):
    feature_file(tmp_path, "a")
    feature_file(tmp_path, "b", stride=8)
    with pytest.raises(BasnetError, match=r"stride: 16 against 8 .*a\.safetensors.*b\.safetensors"):
        load_features(tmp_path)


def test_stream_trees(tmp_path):
    for name, seed in (("rgb", 0), ("flow", 1)):
        array(tmp_path / name / "v.npy", rows(5, seed=seed).astype(np.float16))
    video = load_features(tmp_path).videos[0]
    assert (video.id, video.x.dtype, video.x.shape) == ("v", np.float32, (5, 6))
    np.testing.assert_array_equal(video.x[:, 3:], np.load(tmp_path / "flow" / "v.npy"))
    np.testing.assert_allclose(video.start, np.arange(5) * 0.64)
    assert video.duration == pytest.approx(3.2)
    video = load_features(tmp_path, grid="30,16,4").videos[0]
    np.testing.assert_allclose(video.end, (np.arange(5) * 4 + 16) / 30)
    assert load_features(tmp_path, streams=["flow"]).videos[0].x.shape == (5, 3)
    with pytest.raises(BasnetError, match="not fps,length,stride"):
        load_features(tmp_path, grid="25,16")


def test_unequal_streams_are_cut_with_a_warning(tmp_path, caplog):
    array(tmp_path / "rgb" / "v.npy", rows(5))
    array(tmp_path / "flow" / "v.npy", rows(4, seed=1))
    with caplog.at_level(logging.WARNING):
        video = load_features(tmp_path).videos[0]
    assert video.x.shape == (4, 6)
    assert "'v (rgb 5, flow 4)'" in caplog.text


def test_a_video_without_one_of_the_streams_is_an_error(tmp_path):
    array(tmp_path / "rgb" / "v.npy", rows(5))
    array(tmp_path / "rgb" / "w.npy", rows(5))
    array(tmp_path / "flow" / "v.npy", rows(5))
    with pytest.raises(BasnetError, match="have rgb but no flow features, such as 'w'"):
        load_features(tmp_path)
    with pytest.raises(BasnetError, match="no depth features, only rgb and flow"):
        load_features(tmp_path, streams=["depth"])


def test_subset_folders(tmp_path):
    array(tmp_path / "features" / "train" / "rgb" / "a.npy", rows(3))
    array(tmp_path / "features" / "test" / "rgb" / "b.npy", rows(3))
    assert [v.id for v in load_features(tmp_path).videos] == ["a", "b"]
    assert [v.id for v in load_features(tmp_path, subset="train").videos] == ["a"]
    assert [v.id for v in load_features(tmp_path / "features" / "test").videos] == ["b"]
    array(tmp_path / "features" / "test" / "rgb" / "a.npy", rows(3))
    with pytest.raises(BasnetError, match="both features of 'a'"):
        load_features(tmp_path)


def test_joint_arrays_and_archives(tmp_path):
    wide = rows(4, 2048)
    array(tmp_path / "npy" / "v.npy", wide)
    found = load_features(tmp_path / "npy")
    assert found.settings["dimensions"] == {"rgb": 1024, "flow": 1024}
    np.testing.assert_array_equal(
        load_features(tmp_path / "npy", streams=["flow"]).videos[0].x, wide[:, 1024:]
    )
    (tmp_path / "npz").mkdir()
    np.savez(tmp_path / "npz" / "v.npz", rgb=wide[:, :5], flow=wide[:, 5:8], fps=25)
    np.testing.assert_array_equal(load_features(tmp_path / "npz").videos[0].x, wide[:, :8])
    np.savez(tmp_path / "npz" / "v.npz", feats=wide[:, :5])
    np.testing.assert_array_equal(load_features(tmp_path / "npz").videos[0].x, wide[:, :5])
    with pytest.raises(BasnetError, match="not recorded"):
        load_features(tmp_path / "npz", streams=["rgb"])


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.zeros((2, 3, 4), np.float32), r"shape \(2, 3, 4\)"),
        (np.zeros((0, 4), np.float32), r"shape \(0, 4\)"),
        (np.array([["a"]]), "expected numbers"),
        (np.full((2, 2), np.nan, np.float32), "NaN"),
        (np.array([[{}]], object), "cannot be read as an array"),
    ],
)
def test_damaged_arrays_are_named(tmp_path, values, words):
    array(tmp_path / "v.npy", values)
    with pytest.raises(BasnetError, match=words) as caught:
        load_features(tmp_path)
    assert str(tmp_path / "v.npy") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_broken_files_are_named(tmp_path):
    (tmp_path / "v.npz").write_bytes(b"no archive")
    with pytest.raises(BasnetError, match=r"v\.npz: cannot be read"):
        load_features(tmp_path)
    (tmp_path / "v.safetensors").write_bytes(b"no tensors")
    with pytest.raises(BasnetError, match=r"v\.safetensors: cannot be read"):
        load_features(tmp_path)


def test_nothing_to_read(tmp_path):
    with pytest.raises(BasnetError, match="no features in this folder"):
        load_features(tmp_path)
    with pytest.raises(BasnetError, match="no such file or folder"):
        load_features(tmp_path / "none")


def test_a_large_set_is_mapped_and_equal(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("BASNET_CACHE", str(tmp_path / "cache"))
    for name in ("a", "b", "c"):
        array(tmp_path / "rgb" / f"{name}.npy", rows(7, seed=ord(name)))
    with caplog.at_level(logging.WARNING):
        small_videos = load_features(tmp_path).videos
        monkeypatch.setattr(dataset, "memory_of_machine", lambda: 10)
        mapped = load_features(tmp_path)
    assert "scratch file" in caplog.text
    for small, large in zip(small_videos, mapped.videos, strict=True):
        assert isinstance(large.x, np.memmap)
        assert not large.x.flags.writeable
        np.testing.assert_array_equal(small.x, large.x)
    assert list((tmp_path / "cache").iterdir()) == []


def labels(path, text):
    path.write_text("video,labels\n" + text)
    return path


def test_labels_find_their_features(tmp_path, caplog):
    for name in ("train/a", "train/b", "test/c"):
        feature_file(tmp_path / "f", name)
    with caplog.at_level(logging.WARNING):
        found = load_labelled(tmp_path / "f", labels(tmp_path / "l.csv", "b,x;y\ntrain/a.mp4,\n"))
    assert [video.id for video in found.videos] == ["train/a", "train/b"]
    assert found.labels == [(), ("x", "y")]
    np.testing.assert_array_equal(found.targets(), [[0, 0], [1, 1]])
    assert caplog.text == ""  # the test subset is none of the training's business


def test_features_without_labels_are_listed_and_left_out(tmp_path, caplog):
    for name in ("a", "b"):
        feature_file(tmp_path / "f", name)
    with caplog.at_level(logging.WARNING):
        found = load_labelled(tmp_path / "f", labels(tmp_path / "l.csv", "a,x\n"))
    assert [video.id for video in found.videos] == ["a"]
    assert "no labels, not used (1): 'b'" in caplog.text


def test_labels_of_unknown_videos_are_an_error_with_a_hint(tmp_path):
    feature_file(tmp_path / "f", "video_1")
    path = labels(tmp_path / "l.csv", "video_1,x\nvidoe_2,x\n")
    with pytest.raises(BasnetError, match=r"l\.csv.*'vidoe_2' \(did you mean 'video_1'\?\)"):
        load_labelled(tmp_path / "f", path)
    with pytest.raises(BasnetError, match="its only video has no features"):
        load_labelled(tmp_path / "f", labels(path, "other,x\n"))
    with pytest.raises(BasnetError, match="mean the same video 'video_1'"):
        load_labelled(tmp_path / "f", labels(path, "video_1,x\nvideo_1.mp4,y\n"))
    with pytest.raises(BasnetError, match="nothing to learn"):
        load_labelled(tmp_path / "f", labels(path, "video_1,\n"))


def test_videos_whose_extraction_failed_are_left_out(tmp_path, caplog):
    feature_file(tmp_path / "f", "a")
    failures = {"failed": [{"video": "b", "error": "b.mp4: damaged"}]}
    (tmp_path / "f" / "failures.json").write_text(json.dumps(failures))
    with caplog.at_level(logging.WARNING):
        found = load_labelled(tmp_path / "f", labels(tmp_path / "l.csv", "a,x\nb,x\n"))
    assert len(found.videos) == 1
    assert "could not be extracted, left out (1): 'b'" in caplog.text


def test_published_labels_may_name_videos_that_are_gone(tmp_path, caplog):
    array(tmp_path / "features" / "train" / "rgb" / "a.npy", rows(4))
    entry = {"subset": "train", "duration": 2.5, "annotations": [{"label": "x"}]}
    path = tmp_path / "gt.json"
    path.write_text(json.dumps({"database": {"a": entry, "gone": entry}}))
    with caplog.at_level(logging.WARNING):
        found = load_labelled(tmp_path, path)
    assert "'gone'" in caplog.text
    assert (found.videos[0].duration, found.videos[0].end[-1]) == (2.5, 2.5)


def test_one_video_in_two_class_folders_has_both_labels(tmp_path):
    for name in ("run/a.mp4", "jump/a.mp4"):
        (tmp_path / "videos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "videos" / name).touch()
    feature_file(tmp_path / "f", "a")
    found = load_labelled(tmp_path / "f", tmp_path / "videos")
    assert (found.labels, found.classes) == ([("jump", "run")], ("jump", "run"))


def class_folders(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def test_class_folders_name_videos_with_and_without_the_class(tmp_path, caplog):
    for name in ("run/a", "day/b", "c", "d"):
        feature_file(tmp_path / "f", name)
    videos = class_folders(tmp_path / "v", "run/a.mp4", "run/day/b.mp4", "jump/c.mp4", "d.mp4")
    with caplog.at_level(logging.INFO):
        found = load_labelled(tmp_path / "f", videos)
    by_id = {video.id: names for video, names in zip(found.videos, found.labels, strict=True)}
    assert by_id == {"run/a": ("run",), "day/b": ("run",), "c": ("jump",), "d": ()}
    assert "matched" not in caplog.text


def test_a_class_folder_never_means_a_video_of_another_class(tmp_path):
    for name in ("jump/a", "run/b"):
        feature_file(tmp_path / "f", name)
    videos = class_folders(tmp_path / "v", "run/a.mp4", "jump/a.mp4", "run/b.mp4")
    with pytest.raises(BasnetError, match=r"without features.*'run/a'"):
        load_labelled(tmp_path / "f", videos)


def test_a_label_of_another_folder_is_no_label(tmp_path):
    for name in ("day1/cam.a/street.2024.01", "day2/x"):
        feature_file(tmp_path / "f", name)
    path = labels(tmp_path / "l.csv", "day2/x,run\nday3/street.2024.01,fight\n")
    with pytest.raises(BasnetError, match=r"without features.*'day3/street\.2024\.01'"):
        load_labelled(tmp_path / "f", path)


def test_labels_that_match_by_file_name_are_counted(tmp_path, caplog):
    for name in ("day1/a", "day1/b", "day2/c"):
        feature_file(tmp_path / "f", name)
    path = labels(tmp_path / "l.csv", "a,run\nb,jump\nvideos/day2/c.mp4,\n")
    with caplog.at_level(logging.INFO):
        load_labelled(tmp_path / "f", path)
    assert caplog.messages == [
        f"{path}: 2 labels matched by file name, 1 by the end of the path (-v lists them)"
    ]


def test_a_label_in_another_unicode_form_finds_its_video(tmp_path):
    feature_file(tmp_path / "f", "caf\u00e9")
    found = load_labelled(tmp_path / "f", labels(tmp_path / "l.csv", "cafe\u0301,x\n"))
    assert found.labels == [("x",)]


def test_the_published_tree_trains_on_its_training_part(shared_data):
    folder = shared_data / "ucf_vgg16"
    found = load_labelled(folder, folder / "gt.json")
    listed = (folder / "split_train.txt").read_text().split()
    assert {video.id for video in found.videos} == set(listed)
    assert (len(found.classes), found.videos[0].x.shape[1]) == (10, 1024)
    assert {video.id for video in load_features(folder, subset="test").videos} == set(
        (folder / "split_test.txt").read_text().split()
    )


@pytest.mark.parametrize("layout", ["basnet", "actionformer", "npz"])
def test_exported_features_are_read_back(tmp_path, layout):
    for name in ("a", "deep/b"):
        feature_file(tmp_path / "f", name)
    assert export_features(tmp_path / "f", tmp_path / "out", layout) == 2
    for ours, theirs in zip(
        load_features(tmp_path / "f").videos, load_features(tmp_path / "out").videos, strict=True
    ):
        assert ours.id == theirs.id
        np.testing.assert_array_equal(ours.x, theirs.x)
        np.testing.assert_allclose(ours.start, theirs.start)
    with pytest.raises(BasnetError, match="another folder"):
        export_features(tmp_path / "f", tmp_path / "f", layout)


@pytest.mark.parametrize(("bytes_of_group", "mapped"), [("100\n", True), ("max\n", False)])
def test_a_set_that_a_container_has_no_memory_for_is_mapped(
    tmp_path, monkeypatch, caplog, bytes_of_group, mapped
):
    (tmp_path / "memory.max").write_text(bytes_of_group)
    monkeypatch.setattr("extract.machine.memory.GROUP_LIMITS", (str(tmp_path / "memory.max"),))
    monkeypatch.setenv("BASNET_CACHE", str(tmp_path / "cache"))
    array(tmp_path / "f" / "rgb" / "a.npy", rows(7))
    with caplog.at_level(logging.WARNING):
        (video,) = load_features(tmp_path / "f").videos
    assert isinstance(video.x, np.memmap) == mapped
    assert ("scratch file" in caplog.text) == mapped


def test_a_system_that_does_not_tell_its_memory_has_some(tmp_path, monkeypatch):
    monkeypatch.setattr("extract.machine.memory.GROUP_LIMITS", ())
    monkeypatch.delattr("os.sysconf")
    array(tmp_path / "rgb" / "a.npy", rows(7))
    assert not isinstance(load_features(tmp_path).videos[0].x, np.memmap)
