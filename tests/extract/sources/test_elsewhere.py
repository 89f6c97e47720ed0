"""A folder of features that a URL names: planned, resumed, failed and locked as any other."""

import json
import uuid

import pytest
from fake_extractor import FILE_SETTINGS, FakeExtractor
from fake_extractor import run as run_plan

from extract.errors import ExtractError, VideoError
from extract.features.failure_lists import read_failures
from extract.features.output_folder import OutputFolder
from extract.jobs.plan import make_plan
from extract.jobs.resources import Division
from extract.jobs.video_job import ExtractorOptions
from extract.jobs.workers import events_of_workers
from extract.pipeline.settings import DecodeOptions, ExtractSettings
from extract.sources import storage
from extract.sources.find import find_videos
from extract.sources.urls import TransferError, Url


class Counting(FakeExtractor):
    """Notes what it extracts; ``b`` is broken."""

    def __init__(self):
        self.seen = []

    def extract(self, path, *, on_progress, checkpoints):
        self.seen.append(path.stem)
        if path.read_bytes() == b"broken":
            raise VideoError(f"{path}: decoding failed at 1.2 s")
        return self.features(path)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BASNET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def fill(folder):
    for name, data in (("a", b"A"), ("b", b"broken"), ("deep/c", b"C")):
        storage.write(folder / f"in/{name}.mp4", data)
    return folder


@pytest.fixture
def folder():
    return fill(Url(f"memory://{uuid.uuid4().hex}"))


@pytest.fixture
def bucket(wire):
    return fill(Url("s3://bucket/data"))


@pytest.fixture
def disk(tmp_path):
    return fill(Url(f"local://{tmp_path}/disk"))


def run(folder, extractor, **how):
    plan = make_plan(find_videos([folder / "in"]), folder / "out", FILE_SETTINGS, **how)
    return run_plan(plan, extractor)


@pytest.fixture(params=["folder", "bucket", "disk"])
def anywhere(request):
    """A place in memory, in an S3 bucket, and on a file system with real folders."""
    return request.getfixturevalue(request.param)


def test_existing_features_are_not_extracted_again(anywhere, cache):
    first, second = Counting(), Counting()
    summary = run(anywhere, first)
    assert sorted(summary.done) == ["a", "deep/c"]
    assert summary.failed == {"b": f"{anywhere}/in/b.mp4: decoding failed at 1.2 s"}
    out = anywhere / "out"
    assert storage.names_below(out) == ["a.safetensors", "deep/c.safetensors", "failures.json"]
    assert read_failures(out) == summary.failed
    storage.write(anywhere / "in/b.mp4", b"mended")
    storage.write(anywhere / "in/a.mp4", b"changed")
    assert sorted(run(anywhere, second).done) == ["a", "b"]
    assert sorted(second.seen) == ["a", "b"]
    assert "failures.json" not in storage.names_below(out)
    assert not [path for path in cache.rglob("*") if path.is_file()]


def test_the_bytes_are_those_of_a_folder_here(folder, tmp_path):
    run(folder, Counting())
    plan = make_plan(find_videos([folder / "in"]), tmp_path / "out", FILE_SETTINGS)
    run_plan(plan, Counting())
    for name in ("a.safetensors", "deep/c.safetensors", "failures.json"):
        assert storage.read(folder / "out" / name) == (tmp_path / "out" / name).read_bytes()


def test_other_settings_are_refused(folder):
    run(folder, Counting())
    videos = find_videos([folder / "in"])
    with pytest.raises(ExtractError, match=r"a.safetensors was made with other settings"):
        make_plan(videos, folder / "out", FILE_SETTINGS | {"backbone": "other"})
    assert len(make_plan(videos, folder / "out", {"backbone": "other"}, overwrite=True).todo) == 3


def test_other_files_are_not_overwritten(folder):
    storage.write(folder / "out/a.safetensors", b"something else")
    plan = make_plan(find_videos([folder / "in"]), folder / "out", FILE_SETTINGS)
    replaced = [job.video.id for job in plan.todo if job.version is not None]
    with pytest.raises(ExtractError, match="holds no features and is not overwritten"):
        plan.store.output.check_writable(replaced, force=False)
    plan.store.output.check_writable(replaced, force=True)
    assert storage.read(folder / "out/a.safetensors") == b"something else"


def test_an_empty_object_is_not_a_feature_file(anywhere):
    storage.write(anywhere / "out/a.safetensors", b"")
    assert "a" in run(anywhere, Counting()).done


def test_a_folder_that_cannot_be_written_is_an_error_before_work_starts(monkeypatch, wire):
    with pytest.raises(ExtractError, match=r"s3://nosuch/out: cannot be written"):
        OutputFolder(Url("s3://nosuch/out")).check_writable((), force=False)
    with pytest.raises(ExtractError, match="nothing can be written over https"):
        OutputFolder(Url("https://host/out"))


def test_shards_have_lists_of_their_own(folder):
    run(folder, Counting(), failures="failures-0-of-2.json")
    assert (
        json.loads(storage.read(folder / "out/failures-0-of-2.json"))["failed"][0]["video"] == "b"
    )
    assert read_failures(folder / "out").keys() == {"b"}


def test_several_processes_have_no_memory_in_common(folder):
    plan = make_plan(find_videos([folder / "in"]), folder / "out", FILE_SETTINGS)
    options = ExtractorOptions(ExtractSettings(), "cpu", DecodeOptions())
    with pytest.raises(ExtractError, match="is this process's own memory"):
        next(events_of_workers(plan, options, Division(2, 1)))


def test_a_dropped_connection_costs_nothing(bucket, wire):
    wire.word, wire.cuts = b"in/a.mp4", 2
    extractor = Counting()
    videos = find_videos([bucket / "in/a.mp4"])
    plan = make_plan(videos, bucket / "out", FILE_SETTINGS)
    assert run_plan(plan, extractor).done == ["a"]
    assert wire.cuts == 0


def test_a_connection_that_drops_for_good_costs_one_video(bucket, wire):
    plan = make_plan(find_videos([bucket / "in"]), bucket / "out", FILE_SETTINGS)
    wire.word, wire.cuts = b"in/a.mp4", 1000
    summary = run_plan(plan, Counting())
    assert summary.done == ["deep/c"]
    assert "in/a.mp4: the connection failed 4 times" in summary.failed["a"]


def test_an_object_that_goes_away_costs_one_video(bucket):
    plan = make_plan(find_videos([bucket / "in"]), bucket / "out", FILE_SETTINGS)
    storage.remove(bucket / "in/a.mp4")
    summary = run_plan(plan, Counting())
    assert summary.failed["a"] == f"{bucket}/in/a.mp4: no such file or folder"
    assert summary.done == ["deep/c"]


def test_a_folder_that_becomes_read_only_ends_the_run(folder, monkeypatch):
    plan = make_plan(find_videos([folder / "in"]), folder / "out", FILE_SETTINGS)

    def refuse(url, data):
        raise TransferError(5, "access denied", str(url))

    monkeypatch.setattr(storage, "write", refuse)
    with pytest.raises(OSError, match="access denied"):
        run_plan(plan, Counting())
