"""A long video resumes after its last finished part, to the same bytes."""

import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from standins import TinyBackbone, TinyClip, TinyFlow, random_pictures, stand_in, tiny_extractor

import extract
from extract.errors import DiskError
from extract.features.checkpoints import Checkpoints
from extract.machine.file_locks import UNFINISHED

PART = 16  # snippets, so that a short video has several parts


class CutError(Exception):
    """Stands for a SIGKILL."""


class CutBackbone(TinyBackbone):
    """Is cut off at its ``cut``-th call for rgb."""

    cut = None

    def rgb(self, clips):
        if self.cut is not None:
            self.cut -= 1
            if self.cut < 0:
                raise CutError
        return super().rgb(clips)

    flow = TinyBackbone.rgb


class CountedClip(TinyClip):
    """Tells which frame reading began with."""

    def frames(self, fps, first=0):
        self.first = first
        return super().frames(fps, first)


def extractor_of(patch, frames, stride=16):
    clip = CountedClip(random_pictures(frames))
    stand_in(patch, TinyFlow(), clip)
    backbone = CutBackbone()
    return tiny_extractor(extract.ExtractSettings(stride=stride), backbone), clip


def run(extractor, folder, cut=None):
    extractor.backbone.cut = cut
    return extractor.extract("tiny.mp4", checkpoints=Checkpoints(folder, "a/tiny", PART))


def bytes_of(features, folder):
    features.save(folder / "features")
    return (folder / "features").read_bytes()


@given(
    st.integers(1, 40).flatmap(lambda stride: st.tuples(st.just(stride), st.integers(1, 900))),
    st.lists(st.integers(0, 20), min_size=1, max_size=4),
)
@settings(max_examples=25, deadline=None)
def test_cut_off_anywhere_the_bytes_are_the_same(tmp_path_factory, video, cuts):
    stride, frames = video
    folder = tmp_path_factory.mktemp("chunks")
    with pytest.MonkeyPatch.context() as patch:
        extractor, _ = extractor_of(patch, frames, stride)
        extractor.backbone.cut = None
        expected = bytes_of(extractor.extract("tiny.mp4"), folder)
        for cut in cuts:
            try:
                run(extractor, folder, cut)
            except CutError:
                continue
        assert bytes_of(run(extractor, folder), folder) == expected


def test_what_is_finished_is_not_done_again(monkeypatch, tmp_path):
    extractor, clip = extractor_of(monkeypatch, 16 * 50)
    with pytest.raises(CutError):
        run(extractor, tmp_path, cut=11)  # groups of four: 44 snippets, so two whole parts
    assert len(list(tmp_path.rglob("*.part"))) == 2
    steps = []
    extractor.backbone.cut = None
    checkpoints = Checkpoints(tmp_path, "a/tiny", PART)
    extractor.extract(
        "tiny.mp4", checkpoints=checkpoints, on_progress=lambda *step: steps.append(step)
    )
    assert clip.first == 32 * 16
    assert steps[:2] == [(32, 50), (36, 50)]
    checkpoints.clear()
    assert not (tmp_path / UNFINISHED).exists()


@pytest.mark.parametrize("change", ["content", "settings", "damage", "decoder"])
def test_parts_made_otherwise_are_not_used(monkeypatch, tmp_path, change):
    extractor, clip = extractor_of(monkeypatch, 16 * 50)
    with pytest.raises(CutError):
        run(extractor, tmp_path, cut=11)
    if change == "content":
        monkeypatch.setattr("extract.pipeline.extractor.fingerprint", lambda path: "other")
    elif change == "settings":
        extractor.file_settings = extractor.file_settings | {"quantize": "none"}
    elif change == "decoder":
        extractor.decoding = extract.DecodeOptions("decord", stall=None)
    else:
        for part in tmp_path.rglob("*.part"):
            part.write_bytes(part.read_bytes()[:-100])
    run(extractor, tmp_path)
    assert clip.first == 0


def test_a_full_disk_is_not_the_fault_of_the_video(monkeypatch, tmp_path):
    extractor, _ = extractor_of(monkeypatch, 16 * 50)

    def full(path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("extract.features.checkpoints.atomic_write", full)
    with pytest.raises(DiskError, match="No space left"):
        run(extractor, tmp_path)


def test_rows_are_those_of_the_features(monkeypatch, tmp_path):
    extractor, _ = extractor_of(monkeypatch, 16 * 50)
    whole = extractor.extract("tiny.mp4")
    with pytest.raises(CutError):
        run(extractor, tmp_path, cut=9)
    parts = {"rgb": [], "flow": []}
    facts = {key: value for key, value in whole.facts.items() if key != "decoder"}
    made = {"settings": whole.settings, "facts": facts, "frames": 800, "decoding": "auto"}
    assert Checkpoints(tmp_path, "a/tiny", PART).resume(made, parts) == 32
    np.testing.assert_array_equal(np.concatenate(parts["flow"]), whole.flow[:32])


def test_a_folder_that_disappears_during_a_video_is_not_created_again(tmp_path, monkeypatch):
    out = tmp_path / "out"
    out.mkdir()
    extractor, _ = extractor_of(monkeypatch, 900)
    original = TinyBackbone.rgb

    def unplugged(self, clips):
        # Two lanes may come here at once.
        with contextlib.suppress(FileNotFoundError):
            out.rename(tmp_path / "away")
        return original(self, clips)

    monkeypatch.setattr(CutBackbone, "rgb", unplugged)
    with pytest.raises(DiskError, match="this folder is gone"):
        run(extractor, out)
    assert not out.exists()
