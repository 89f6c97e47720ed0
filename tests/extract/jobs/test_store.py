"""Kept features: never an error for the user, never a wrong feature."""

import multiprocessing
import os

import numpy as np
import pytest
from fake_extractor import FILE_SETTINGS, FakeExtractor

from extract import DecodeOptions
from extract.errors import ExtractError, VideoError
from extract.features.feature_file import Features, feature_path
from extract.jobs.store import FeatureCache, FeatureFolder, FeatureStore, choose_store
from extract.sources.find import VideoInput


class Counting(FakeExtractor):
    """Rows made of the video's content; counts how often."""

    def __init__(self, partial=None, keep_partial=False, **settings):
        self.file_settings = FILE_SETTINGS | settings
        self.decoding = DecodeOptions(keep_partial=keep_partial)
        self.made = 0
        self.partial = partial

    def extract(self, path, *, checkpoints=None):
        if self.partial and not self.decoding.keep_partial:
            raise VideoError(f"{path}: damaged")
        self.made += 1
        rows = np.frombuffer(path.read_bytes().ljust(8)[:8], np.uint8).astype(np.float32)
        facts = {"partial": self.partial} if self.partial else {}
        return self.features(path, rows.reshape(2, 4), **facts)


@pytest.fixture
def video(tmp_path):
    path = tmp_path / "v.mp4"
    path.write_text("abcdefgh")
    return VideoInput("v", path)


@pytest.fixture(params=["cache", "folder"])
def store(request, tmp_path):
    return {"cache": FeatureCache, "folder": FeatureFolder}[request.param](tmp_path / "kept")


def get(store, video, extractor):
    return store.features(video, extractor)


def test_the_second_time_nothing_is_extracted(store, video):
    extractor = Counting()
    first, second = get(store, video, extractor), get(store, video, extractor)
    assert extractor.made == 1
    np.testing.assert_array_equal(first.rgb, second.rgb)
    assert first.meta == second.meta


def test_another_content_is_extracted(store, video):
    extractor = Counting()
    get(store, video, extractor)
    video.path.write_text("hgfedcba")
    assert get(store, video, extractor).rgb[0, 0] == ord("h")
    assert extractor.made == 2


def test_other_settings_are_other_features(tmp_path, video):
    cache = FeatureCache(tmp_path / "kept")
    get(cache, video, Counting())
    other = Counting(stride=8)
    assert get(cache, video, other).settings["stride"] == 8
    assert other.made == 1
    folder = FeatureFolder(tmp_path / "folder")
    get(folder, video, Counting())
    with pytest.raises(ExtractError, match=r"v\.safetensors .*stride: none against 8"):
        get(folder, video, other)


def test_what_an_older_version_kept_is_of_use(store, video):
    get(store, video, Counting())
    now = Counting(precision="float32")
    assert "precision" not in get(store, video, now).settings
    assert now.made == 0


def test_a_cached_file_goes_by_what_it_holds(tmp_path, video):
    cache, extractor = FeatureCache(tmp_path / "kept"), Counting()
    get(cache, video, extractor)
    renamed = tmp_path / "w.mp4"
    video.path.rename(renamed)
    assert get(cache, VideoInput("w", renamed), extractor).facts["file"] == "w.mp4"
    assert extractor.made == 1
    assert cache.size()[0] == 1


def test_a_part_of_a_video_is_not_given_out_for_the_whole(store, video):
    extractor = Counting("cut off at 3 s", keep_partial=True)
    assert get(store, video, extractor).facts["partial"]
    get(store, video, extractor)
    assert extractor.made == 1
    with pytest.raises(VideoError, match="damaged"):
        get(store, video, Counting("cut off at 3 s"))


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "no seal", "swapped"])
def test_a_damaged_cache_file_is_replaced(tmp_path, video, damage):
    cache, extractor = FeatureCache(tmp_path / "kept"), Counting()
    expected = get(cache, video, extractor)
    (path,) = (tmp_path / "kept").rglob("*.safetensors")
    data = bytearray(path.read_bytes())
    if damage == "flip":
        data[-70] ^= 1  # a number of the features, so the file still reads
        path.write_bytes(data)
    elif damage == "cut":
        path.write_bytes(data[:-5])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "no seal":
        path.with_suffix(".sha256").unlink()
    else:
        other = VideoInput("o", tmp_path / "o.mp4")
        other.path.write_text("other")
        get(cache, other, Counting())
        (wrong,) = set((tmp_path / "kept").rglob("*.safetensors")) - {path}
        path.write_bytes(wrong.read_bytes())
    np.testing.assert_array_equal(get(cache, video, extractor).rgb, expected.rgb)
    assert extractor.made == 2
    get(cache, video, extractor)
    assert extractor.made == 2


def test_a_full_disk_is_reported_once(tmp_path, video, monkeypatch, caplog):
    def full(features, path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Features, "save", full)
    cache, extractor = FeatureCache(tmp_path / "kept"), Counting()
    get(cache, video, extractor)
    get(cache, video, extractor)
    assert extractor.made == 2
    assert caplog.text.count("features are not kept") == 1


def test_a_cache_that_cannot_be_a_folder(tmp_path, video, caplog):
    (tmp_path / "kept").write_text("a file")
    extractor = Counting()
    get(FeatureCache(tmp_path / "kept"), video, extractor)
    assert extractor.made == 1
    assert "features are not kept" in caplog.text


def _many(folder, video, times):
    for _ in range(times):
        for path in folder.rglob("*.safetensors"):
            path.unlink(missing_ok=True)
        rows = get(FeatureCache(folder), video, Counting()).rgb
        if rows[0].tolist() != [97, 98, 99, 100]:
            os._exit(3)


def test_two_processes_at_once(tmp_path, video):
    context = multiprocessing.get_context("fork")
    folder = tmp_path / "kept"
    runs = [context.Process(target=_many, args=(folder, video, 40)) for _ in range(3)]
    for run in runs:
        run.start()
    for run in runs:
        run.join(60)
        assert run.exitcode == 0


def test_a_folder_is_one_that_extract_leaves(tmp_path, video):
    made = get(FeatureFolder(tmp_path / "kept"), video, Counting())
    found = Features.load(feature_path(tmp_path / "kept", "v"))
    assert found.meta == made.meta
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["v.safetensors"]


def test_choosing():
    assert isinstance(choose_store(None, False), FeatureCache)
    assert type(choose_store(None, True)) is FeatureStore
    with pytest.raises(ExtractError, match="give one of them"):
        choose_store(os.curdir, True)
