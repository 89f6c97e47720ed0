import json
from fractions import Fraction

import numpy as np
import pytest
from fake_extractor import FILE_SETTINGS, FakeExtractor
from fake_extractor import run as run_plan

import extract
from extract.errors import ExtractError, VideoError
from extract.features.failure_lists import FAILURES
from extract.features.feature_file import feature_path
from extract.features.fingerprint import fingerprint
from extract.jobs.plan import Summary, make_plan
from extract.sources.find import VideoInput
from weights.errors import WeightsError


class CountingExtractor(FakeExtractor):
    """Notes what it extracts."""

    def __init__(self, broken=(), interrupt_at=None, fail=None):
        self.seen = []
        self.broken = broken
        self.interrupt_at = interrupt_at
        self.fail = fail

    def extract(self, path, *, on_progress, checkpoints):
        self.seen.append(path.stem)
        if path.stem == self.interrupt_at:
            raise KeyboardInterrupt
        if path.stem in self.broken:
            raise self.fail or VideoError(f"{path}: decoding failed at 1.2 s")
        on_progress(1, 1)
        return self.features(path)


@pytest.fixture
def videos(tmp_path):
    inputs = []
    for name in "abc":
        path = tmp_path / "videos" / f"{name}.mp4"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"content of {name}")
        inputs.append(VideoInput(name, path))
    return inputs


def run(videos, folder, extractor, **how):
    return run_plan(make_plan(videos, folder, extractor.file_settings, **how), extractor)


def test_a_second_run_does_nothing(videos, tmp_path):
    assert run(videos, tmp_path / "out", CountingExtractor()).done == ["a", "b", "c"]
    again = CountingExtractor()
    assert run(videos, tmp_path / "out", again).done == []
    assert again.seen == []


def test_overwrite_does_everything_again(videos, tmp_path):
    run(videos, tmp_path / "out", CountingExtractor())
    again = CountingExtractor()
    run(videos, tmp_path / "out", again, overwrite=True)
    assert again.seen == ["a", "b", "c"]


def test_a_broken_video_is_recorded_and_the_others_continue(videos, tmp_path):
    out = tmp_path / "out"
    summary = run(videos, out, CountingExtractor(broken=["b"]))
    assert summary.done == ["a", "c"]
    assert not feature_path(out, "b").exists()
    rows = json.loads((out / FAILURES).read_text())["failed"]
    assert [row["video"] for row in rows] == ["b"]
    assert "decoding failed at 1.2 s" in rows[0]["error"]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ExtractError("b.mp4: rgb holds NaN"), "b.mp4: rgb holds NaN"),
        (PermissionError(13, "Permission denied"), "b.mp4: cannot be read (Permission denied)"),
        (MemoryError(), "b.mp4: MemoryError (not expected"),
        (RuntimeError("two\nlines"), "b.mp4: RuntimeError: two lines (not expected"),
    ],
)
def test_whatever_one_video_raises_is_its_failure(videos, tmp_path, error, words):
    summary = run(videos, tmp_path / "out", CountingExtractor(broken=["b"], fail=error))
    assert summary.done == ["a", "c"]
    assert words in summary.failed["b"]


def test_weights_stop_the_run(videos, tmp_path):
    extractor = CountingExtractor(broken=["b"], fail=WeightsError("no weights"))
    with pytest.raises(WeightsError, match="no weights"):
        run(videos, tmp_path / "out", extractor)
    assert extractor.seen == ["a", "b"]


def test_a_full_disk_stops_the_run(videos, tmp_path, monkeypatch):
    def full(path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("extract.sources.storage.atomic_write", full)
    extractor = CountingExtractor()
    with pytest.raises(OSError, match="No space left"):
        run(videos, tmp_path / "out", extractor)
    assert extractor.seen == ["a"]


def test_features_that_are_not_finite_are_one_videos_failure(videos, tmp_path):
    class Dividing(CountingExtractor):
        def extract(self, path, **how):
            made = super().extract(path, **how)
            if path.stem == "b":
                made.rgb[0, 1] = np.nan
            return made

    summary = run(videos, tmp_path / "out", Dividing())
    assert summary.done == ["a", "c"]
    assert summary.failed["b"].endswith("b.mp4: rgb holds NaN or infinity, nothing was written")


def test_a_video_that_is_gone_after_the_search_is_its_own_failure(videos, tmp_path):
    run(videos, tmp_path / "out", CountingExtractor())
    videos[1].path.unlink()
    summary = run(
        videos, tmp_path / "out", CountingExtractor(["b"], fail=VideoError("b.mp4: no such file"))
    )
    assert summary.failed == {"b": "b.mp4: no such file"}


def test_a_repaired_video_leaves_the_list(videos, tmp_path):
    out = tmp_path / "out"
    run(videos, out, CountingExtractor(broken=["a", "b"]))
    run(videos[1:], out, CountingExtractor())
    assert [row["video"] for row in json.loads((out / FAILURES).read_text())["failed"]] == ["a"]
    run(videos[:1], out, CountingExtractor())
    assert not (out / FAILURES).exists()


def test_an_interrupted_run_is_resumed(videos, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        run(videos, out, CountingExtractor(broken=["a"], interrupt_at="c"))
    assert (out / FAILURES).exists()
    assert not list(out.rglob("*.part"))
    again = CountingExtractor()
    run(videos, out, again)
    assert again.seen == ["a", "c"]


def test_a_changed_video_is_extracted_again(videos, tmp_path, caplog):
    run(videos, tmp_path / "out", CountingExtractor())
    videos[1].path.write_text("another content")
    again = CountingExtractor()
    run(videos, tmp_path / "out", again)
    assert again.seen == ["b"]
    assert "has changed" in caplog.text


def test_other_settings_in_the_folder_are_refused_by_name(videos, tmp_path):
    out = tmp_path / "out"
    run(videos[:1], out, CountingExtractor())
    with pytest.raises(ExtractError, match=r"a\.safetensors .*weights\.rgb: aa against bb"):
        make_plan(videos[1:], out, FILE_SETTINGS | {"weights": {"rgb": "bb"}})
    plan = make_plan(videos, out, FILE_SETTINGS | {"weights": {"rgb": "bb"}}, overwrite=True)
    assert len(plan.todo) == 3


def test_a_damaged_feature_file_is_made_again(videos, tmp_path, caplog):
    out = tmp_path / "out"
    run(videos, out, CountingExtractor())
    feature_path(out, "b").write_bytes(b"damaged")
    again = CountingExtractor()
    run(videos, out, again)
    assert again.seen == ["b"]
    assert "cannot be read" in caplog.text


def test_a_fingerprint_sees_the_ends_the_middle_and_the_size(tmp_path):
    path = tmp_path / "big"
    content = bytearray(5 << 20)
    prints = set()
    for change in (None, 10, (5 << 20) // 2 + 5, (5 << 20) - 1):
        if change is not None:
            content[change] ^= 1
        path.write_bytes(content)
        prints.add(fingerprint(path))
    path.write_bytes(content + b"x")
    prints.add(fingerprint(path))
    assert len(prints) == 5


def test_a_folder_in_one_call(tmp_path, make_video):
    video = make_video("a.mp4", range(20), Fraction(1, 25)).path
    settings = extract.ExtractSettings("i3d-mini", streams=("rgb",))
    events, out = [], tmp_path / "out"

    def refuse(plan):
        raise ExtractError(f"{len(plan.todo)} to do")

    with pytest.raises(ExtractError, match="1 to do"):
        extract.extract_folder(video, out, settings, device="cpu", on_plan=refuse)
    assert not out.exists()
    summary = extract.extract_folder(
        [video], out, settings, device="cpu", on_event=lambda event: events.append(event.kind)
    )
    assert summary == Summary(done=["a"])
    assert events == ["start", "progress", "progress", "done"]
    assert extract.Features.load(out / "a.safetensors").settings["backbone"] == "i3d-mini"
    again = extract.extract_folder(str(video), str(out), settings, device="cpu")
    assert again == Summary(present=["a"])
