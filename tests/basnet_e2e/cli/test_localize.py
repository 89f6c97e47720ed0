"""`basnet localize` over many inputs: nothing lost, nothing done twice, nothing silent."""

import json
import shutil

import numpy as np
import pytest
from random_model import make_model

from basnet_e2e.demo.footage.encode import write_video
from basnet_e2e.localization.localizer import Localizer
from extract.features.feature_file import Features
from extract.pipeline.extractor import Extractor
from extract.pipeline.settings import ExtractSettings

SETTINGS = {
    **{"format": 1, "fps": "25", "length": 16, "stride": 16, "backbone": "test"},
    **{"streams": ["rgb"], "weights": {"rgb": "aa"}, "flow": None, "quantize": None},
}


def make_features(folder, *names, **changed):
    for seed, name in enumerate(names):
        start = np.arange(8) * 0.64
        rows = np.random.default_rng(seed).normal(size=(8, 5)).astype(np.float32)
        meta = {"settings": SETTINGS | changed, "facts": {"file": f"{name}.mp4"}}
        folder.mkdir(parents=True, exist_ok=True)
        Features(rows, None, start, start + 0.64, meta).save(folder / f"{name}.safetensors")
    return folder


@pytest.fixture
def features(tmp_path):
    return make_features(tmp_path / "f", "a", "b", "c")


@pytest.fixture
def model(tmp_path):
    return make_model(tmp_path / "m.safetensors", SETTINGS, 5)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Two short videos and a model for their features."""
    folder = tmp_path_factory.mktemp("clips")
    texture = np.random.default_rng(0).integers(0, 255, (96, 240, 3), np.uint8)
    for index, name in enumerate(("one", "two")):
        frames = (texture[:, index * 9 + n : index * 9 + n + 128] for n in range(32))
        write_video(folder / "videos" / f"{name}.mp4", frames, 25, (128, 96))
    extractor = Extractor(ExtractSettings("i3d-mini", streams=("rgb",)))
    make_model(folder / "m.safetensors", extractor.file_settings, 256)
    return folder


def count_work(monkeypatch, fail=lambda video_id: None):
    """Ids that are localized from features; ``fail`` may raise in their place."""
    seen = []
    work = Localizer.features

    def features(self, found, video_id, file=None):
        seen.append(video_id)
        fail(video_id)
        return work(self, found, video_id, file)

    monkeypatch.setattr(Localizer, "features", features)
    return seen


def interrupt_at(stop):
    def fail(video_id):
        if video_id == stop:
            raise KeyboardInterrupt

    return fail


# One file per video ------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["json", "activitynet"])
def test_a_folder_gets_each_result_as_it_is_done(
    features, model, run, tmp_path, monkeypatch, layout
):
    out = tmp_path / "out"
    command = ("localize", features, "-m", model, "-o", f"{out}/", "--format", layout)
    with monkeypatch.context() as patch:
        count_work(patch, interrupt_at("c"))
        code, printed, err = run(*command)
    assert (code, printed) == (130, "")
    line = "2 of 3 videos are done; run the same command to continue with the rest"
    assert [text for text in err if line in text and "warning" in text]
    assert sorted(path.name for path in out.iterdir()) == ["a.json", "b.json"]
    seen = count_work(monkeypatch)
    code, _, err = run(*command)
    assert (code, seen) == (0, ["c"])
    assert "2 of 3 done before" in err
    before = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    assert run(*command)[0] == 0
    assert (seen, len(before)) == (["c"], 3)
    assert before == {path: path.stat().st_mtime_ns for path in out.iterdir()}


def test_only_what_agrees_is_skipped(features, model, run, tmp_path, monkeypatch):
    seen = count_work(monkeypatch)
    command = ("localize", features, "-m", model, "-o", f"{tmp_path / 'out'}/", "-q")

    def done(*more):
        seen.clear()
        assert run(*command, *more)[0] == 0
        return list(seen)

    assert done() == ["a", "b", "c"]
    assert done() == []
    make_features(features, "z", "a")  # a again, of other content
    (features / "z.safetensors").unlink()
    assert done() == ["a"]
    assert done("--min-length", "1") == ["a", "b", "c"]
    assert done("--keep", "all") == ["a", "b", "c"]
    assert done("--keep", "all") == []
    make_model(model, SETTINGS, 5, seed=2)
    assert done("--keep", "all") == ["a", "b", "c"]
    (tmp_path / "out" / "b.json").write_text("{}")
    assert run(*command, "--keep", "all")[0] == 2  # of another kind: not overwritten
    (tmp_path / "out" / "b.json").unlink()
    assert done("--keep", "all") == ["b"]


def test_failures_stand_beside_the_results(features, model, run, tmp_path):
    out = tmp_path / "out"
    (features / "b.safetensors").write_bytes(b"damaged")
    command = ("localize", features, "-m", model, "-o", f"{out}/", "-q")
    assert run(*command)[0] == 1
    rows = json.loads((out / "failures.json").read_text())["failed"]
    assert [row["video"] for row in rows] == ["b"]
    make_features(features, "b")
    assert run(*command)[0] == 0
    assert sorted(path.name for path in out.iterdir()) == ["a.json", "b.json", "c.json"]


@pytest.mark.parametrize("layout", ["json", "activitynet"])
def test_force_replaces_files_of_other_kinds(features, model, run, tmp_path, layout):
    out = tmp_path / "out"
    out.mkdir()
    for name, text in (("a.json", "[1]"), ("b.json", "text"), ("failures.json", "[2]")):
        (out / name).write_text(text)
    command = ("localize", features, "-m", model, "-o", out, "--format", layout)
    assert run(*command)[0] == 2
    assert (out / "failures.json").read_text() == "[2]"
    assert run(*command, "--force")[0] == 0
    assert sorted(path.name for path in out.iterdir()) == ["a.json", "b.json", "c.json"]


def test_an_existing_folder_needs_no_slash(features, model, run, tmp_path):
    (tmp_path / "out").mkdir()
    assert run("localize", features / "a.safetensors", "-m", model, "-o", tmp_path / "out")[0] == 0
    assert json.loads((tmp_path / "out" / "a.json").read_text())["video"] == "a"
    code, _, err = run("localize", features, "-m", model, "-o", f"{model}/")
    assert code == 2
    assert "is a file, not a folder" in err[-1]


# One document ------------------------------------------------------------------------------------


def test_an_interrupted_document_holds_what_is_done(features, model, run, tmp_path, monkeypatch):
    path = tmp_path / "all.json"
    command = ("localize", features, "-m", model, "-o", path)
    with monkeypatch.context() as patch:
        count_work(patch, interrupt_at("c"))
        assert run(*command)[0] == 130
    document = json.loads(path.read_text())
    assert [entry["video"] for entry in document["videos"]] == ["a", "b"]
    assert document["left"] == ["c"]
    with monkeypatch.context() as patch:
        count_work(patch, interrupt_at("c"))
        assert run(*command)[0] == 130
    assert [entry["video"] for entry in json.loads(path.read_text())["videos"]] == ["a", "b"]
    seen = count_work(monkeypatch)
    assert run(*command)[0] == 0
    assert seen == ["c"]
    resumed = path.read_bytes()
    path.unlink()
    assert run(*command)[0] == 0
    assert path.read_bytes() == resumed


def test_what_is_done_goes_to_stdout_on_ctrl_c(features, model, run, monkeypatch):
    count_work(monkeypatch, interrupt_at("b"))
    code, out, err = run("localize", features, "-m", model)
    assert code == 130
    assert [entry["video"] for entry in json.loads(out)["videos"]] == ["a"]
    assert any("1 of 3 videos are done; with -o FOLDER/" in line for line in err)


def test_a_folder_always_gives_the_list(features, model, run, tmp_path):
    single = make_features(tmp_path / "one", "a")
    assert "videos" in json.loads(run("localize", single, "-m", model, "-q")[1])
    assert "videos" in json.loads(run("localize", features, "-m", model, "-q")[1])
    result = json.loads(run("localize", single / "a.safetensors", "-m", model, "-q")[1])
    assert result["video"] == "a"


def test_activitynet_keeps_videos_of_one_name_apart(model, run, tmp_path):
    paths = [make_features(tmp_path / name, "game") / "game.safetensors" for name in "xy"]
    code, out, _ = run("localize", *paths, "-m", model, "--format", "activitynet", "-q")
    assert code == 0
    assert list(json.loads(out)["results"]) == ["x/game", "y/game"]


# Failures ----------------------------------------------------------------------------------------


def test_every_error_of_one_video_is_its_failure(features, model, run, monkeypatch):
    def fail(video_id):
        if video_id == "b":
            raise RuntimeError("the network\nlost its way")

    count_work(monkeypatch, fail)
    make_features(features, "d", stride=8)
    (features / "e.safetensors").symlink_to(features / "gone.safetensors")
    code, out, err = run("localize", features, "-m", model)
    document = json.loads(out)
    assert code == 1
    assert [entry["video"] for entry in document["videos"]] == ["a", "c"]
    errors = {row["video"]: row["error"] for row in document["failed"]}
    assert errors["b"].endswith("b.safetensors: RuntimeError: the network lost its way")
    assert "stride" in errors["d"]
    assert "e.safetensors" in errors["e"]
    assert not any("Traceback" in line for line in err)


def test_a_dangling_link_among_videos(clips, run, tmp_path):
    shutil.copytree(clips / "videos", tmp_path / "v")
    (tmp_path / "v" / "a.mp4").symlink_to(tmp_path / "gone.mp4")
    model = ("-m", clips / "m.safetensors")
    for command in (("localize", *model), ("classify", "--backbone", "i3d-mini")):
        code, out, err = run(*command, tmp_path / "v")
        assert code == 1
        assert "two" in out
        assert sum("a.mp4" in line for line in err) == 1
        assert not any("Traceback" in line for line in err)


def test_an_error_of_classify_is_one_videos(clips, run, monkeypatch):
    extract = Extractor.extract

    def fail(self, path, **how):
        if path.stem == "one":
            raise RuntimeError("lost its way")
        return extract(self, path, **how)

    monkeypatch.setattr(Extractor, "extract", fail)
    code, out, err = run("classify", clips / "videos", "--backbone", "i3d-mini")
    assert code == 1
    assert out.startswith("two.mp4")
    assert any("one.mp4: RuntimeError: lost its way" in line for line in err)


def test_missing_weights_stop_the_run(clips, run, tmp_path, monkeypatch):
    monkeypatch.setenv("BASNET_CACHE", str(tmp_path))
    monkeypatch.setenv("BASNET_OFFLINE", "1")
    code, out, err = run("localize", clips / "videos", "--streams", "flow")
    assert (code, out) == (2, "")
    assert sum(line.startswith("error: ") for line in err) == 1


# Options -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["localize", "classify"])
def test_damaged_videos_are_used_on_request(clips, run, tmp_path, command):
    """Errors about them advise --keep-partial and --decoder."""
    whole = clips / "videos" / "one.mp4"
    data = bytearray(whole.read_bytes())
    middle = data.index(b"mdat") + 4
    moov = data.index(b"moov")
    first, last = (middle, moov) if middle < moov else (middle, len(data))
    begin = first + (last - first) * 3 // 5
    data[begin : begin + (last - first) // 5] = b"\0" * ((last - first) // 5)
    path = tmp_path / "cut.mp4"
    path.write_bytes(bytes(data))
    more = {
        "localize": ("-m", clips / "m.safetensors"),
        "classify": ("--backbone", "i3d-mini"),
    }[command]
    code, out, err = run(command, path, *more)
    assert (code, out) == (1, "")
    assert "--keep-partial" in err[-1]
    code, out, err = run(command, path, *more, "--keep-partial", "--decoder", "pyav")
    assert code == 0, err
    assert any("cut.mp4" in line for line in err)
    if command == "localize":
        assert json.loads(out)["made"]["partial"]


def test_thresholds_hold_for_both_ways_of_keeping(features, model, run):
    def scores(*more):
        found = json.loads(run("localize", features / "a.safetensors", "-m", model, "-q", *more)[1])
        return found, [one["score"] for one in found["intervals"]]

    everything, all_scores = scores("--keep", "all")
    assert everything["made"]["min_score"] is None
    limit = sorted(all_scores)[len(all_scores) // 2] - 1e-5
    found, kept = scores("--keep", "all", "--min-score", limit)
    assert 0 < len(kept) < len(all_scores)
    assert kept == [score for score in all_scores if score >= limit]
    assert found["made"] | {"keep": "all", "min_score": limit} == found["made"]
    lengths = [one["end"] - one["start"] for one in everything["intervals"]]
    longest, _ = scores("--keep", "all", "--min-length", max(lengths) - 1e-3)
    assert 0 < len(longest["intervals"]) < len(lengths)
    best, best_scores = scores()
    assert best["made"]["min_score"] == 0.2
    assert all(score >= 0.2 for score in best_scores)


def test_choices_are_choices(clips, run):
    code, _, err = run("localize", clips / "videos", "--device", "gpu")
    assert code == 2
    assert "'gpu' is not a device; choose auto, cpu, cuda or cuda:N (see" in err[-1]
    code, _, err = run(
        *("extract", clips / "videos", "-o", clips / "out", "--streams", "rgb"),
        *("--flow", "tvl2", "--backbone", "i3d-mini"),
    )
    assert code == 2
    assert "'tvl2' is not one of 'tvl1', 'tvl1-fast', 'raft' (see" in err[-1]
    assert not (clips / "out").exists()


def test_a_file_that_looks_like_an_option(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "-dash.mp4").write_text("")
    for command in ("localize", "classify", "inspect"):
        code, _, (error,) = run(command, "-dash.mp4")
        assert code == 2
        assert error.endswith("for the file of that name write ./-dash.mp4")
    assert "./-other" not in run("localize", "-other.mp4")[2][-1]


def test_one_video_is_one_video(clips, run, tmp_path):
    _, _, err = run(
        *("extract", clips / "videos" / "one.mp4", "-o", tmp_path, "--dry-run"),
        *("--backbone", "i3d-mini"),
    )
    assert err[0] == "1 video: 1 to do, 0 done before"
