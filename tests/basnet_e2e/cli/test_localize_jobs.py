"""`localize --jobs` and `Localizer.videos`: other processes make features, the rest is as ever."""

import json
import multiprocessing

import numpy as np
import pytest
from random_model import make_model

from basnet_e2e import Localizer
from basnet_e2e.demo.footage.encode import write_video
from extract.errors import ExtractError
from extract.jobs.store import FeatureCache, FeatureFolder, FeatureStore
from extract.pipeline.extractor import Extractor
from extract.pipeline.settings import ExtractSettings
from extract.sources.find import find_videos

NAMES = ("a", "b", "c")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three short videos, one that is none, and a model for their features."""
    folder = tmp_path_factory.mktemp("several")
    pictures = np.random.default_rng(0).integers(0, 255, (40, 96, 128, 3), np.uint8)
    for index, name in enumerate(NAMES):
        write_video(folder / "videos" / f"{name}.mp4", list(pictures[index:]), 25, (128, 96))
    (folder / "videos" / "broken.mp4").write_text("no video")
    settings = Extractor(ExtractSettings("i3d-mini", streams=("rgb",))).file_settings
    make_model(folder / "m.safetensors", settings, 256)
    return folder


@pytest.fixture
def nothing_here(monkeypatch):
    """This process extracts nothing."""

    def extract(self, path, **how):
        raise AssertionError(f"{path} is extracted in this process")

    monkeypatch.setattr(Extractor, "extract", extract)


def localize(run, folder, out, *options):
    model = ("-m", folder / "m.safetensors", "--device", "cpu")
    code, _, err = run("localize", folder / "videos", *model, "-o", out, *options)
    return code, json.loads(out.read_text()), err


def test_two_processes_find_what_one_finds(folder, tmp_path, run, request):
    code, one, _ = localize(run, folder, tmp_path / "one.json", "--jobs", 1, "--no-cache")
    assert code == 1
    request.getfixturevalue("nothing_here")
    code, two, err = localize(run, folder, tmp_path / "two.json", "--jobs", 2, "--no-cache")
    assert code == 1
    assert one == two
    assert [result["video"] for result in two["videos"]] == list(NAMES)
    assert [each["video"] for each in two["failed"]] == ["broken"]
    assert any(line.startswith("2 workers with ") for line in err)


@pytest.mark.parametrize("options", [(), ("--features", "kept")])
def test_what_they_made_is_kept(folder, tmp_path, run, monkeypatch, nothing_here, options):
    monkeypatch.setenv("BASNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    first = localize(run, folder, tmp_path / "first.json", "--jobs", 2, *options)
    store = FeatureFolder(tmp_path / "kept") if options else FeatureCache()
    extractor = Extractor(ExtractSettings("i3d-mini", streams=("rgb",)))
    kept = [video.id for video in find_videos([folder / "videos"]) if store.has(video, extractor)]
    assert kept == list(NAMES)
    monkeypatch.setattr(
        "extract.jobs.prefetched_features.events_of_workers",
        lambda plan, *rest: pytest.fail(str(plan.todo)),
    )
    (folder / "videos" / "broken.mp4").rename(tmp_path / "broken.mp4")
    try:
        again = localize(run, folder, tmp_path / "again.json", "--jobs", 2, *options)
    finally:
        (tmp_path / "broken.mp4").rename(folder / "videos" / "broken.mp4")
    assert again[0] == 0
    assert again[1]["videos"] == first[1]["videos"]


def test_videos_of_a_program(folder, nothing_here):
    localizer = Localizer(folder / "m.safetensors", device="cpu", store=FeatureStore())
    failures = []
    found = list(localizer.videos([folder / "videos"], jobs=2, failed=failures.append))
    assert [one.video for one in found] == list(NAMES)
    assert [one.video for one in failures] == ["broken"]
    with pytest.raises(ExtractError, match=r"broken\.mp4"):
        list(localizer.videos([folder / "videos"], jobs=2))


def test_videos_one_after_the_other_and_features(folder, tmp_path):
    localizer = Localizer(folder / "m.safetensors", device="cpu")
    extractor = Extractor(ExtractSettings("i3d-mini", streams=("rgb",)), device="cpu")
    extractor.extract(folder / "videos" / "b.mp4").save(tmp_path / "b.safetensors")
    paths = [folder / "videos" / "a.mp4", tmp_path / "b.safetensors"]
    assert [one.video for one in localizer.videos(paths)] == ["a", "b"]


def test_a_video_that_is_asked_for_twice_does_not_wait_for_the_others(folder, monkeypatch):
    from extract.jobs import prefetched_features

    plain, heard = prefetched_features.events_of_workers, []

    def counted(*arguments):
        for event in plain(*arguments):
            heard.append(event)
            yield event

    monkeypatch.setattr(prefetched_features, "events_of_workers", counted)
    localizer = Localizer(folder / "m.safetensors", device="cpu")
    videos = find_videos([folder / "videos"])
    with localizer.prefetch(videos, 2):
        first = localizer.video(videos[0])
        before = len(heard)
        assert localizer.video(videos[0]) == first
        assert len(heard) == before


def test_who_stops_asking_ends_the_processes(folder):
    localizer = Localizer(folder / "m.safetensors", device="cpu")
    results = localizer.videos([folder / "videos"], jobs=2)
    assert next(results).video == "a"
    before = {child.pid for child in multiprocessing.active_children()}
    results.close()
    left = {child.pid for child in multiprocessing.active_children()}
    assert len(before - left) >= 2
