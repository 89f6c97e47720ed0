"""No command destroys what it reads, or a file of another kind."""

import json
import os

import numpy as np
import pytest

from basnet_e2e import BasnetError
from basnet_e2e.data.files.file_kinds import Kind
from basnet_e2e.data.files.overwrite_checks import check_folder, check_output
from extract.features.feature_file import Features

RESULT = '{"videos": [], "failed": []}'


def put(path, text="anything"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def feature_file(path, width=4, seed=0):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(5, width)).astype(np.float32)
    start = np.arange(5) * 0.64
    meta = {"settings": {"format": 1, "fps": "25", "length": 16, "stride": 16}, "facts": {}}
    meta["settings"] |= {"backbone": "test", "streams": ["rgb"], "weights": {"rgb": "aa"}}
    Features(rows, None, start, start + 0.64, meta).save(path)
    return path


@pytest.mark.parametrize("force", [False, True])
def test_an_input_is_never_an_output_whatever_its_spelling(tmp_path, force):
    given = put(tmp_path / "in" / "labels.csv")
    (tmp_path / "soft.csv").symlink_to(given)
    os.link(given, tmp_path / "hard.csv")
    spellings = [given, tmp_path / "in" / ".." / "in" / "labels.csv"]
    for output in (*spellings, tmp_path / "soft.csv", tmp_path / "hard.csv"):
        with pytest.raises(BasnetError, match="is an input of this command"):
            check_output(output, Kind.MODEL, [None, given], force=force)


@pytest.mark.parametrize("force", [False, True])
def test_features_in_a_folder_given_are_inputs(tmp_path, force):
    inside = feature_file(tmp_path / "f" / "a.safetensors")
    (tmp_path / "link").symlink_to(tmp_path / "f")
    for output in (inside, tmp_path / "link" / "a.safetensors"):
        with pytest.raises(BasnetError, match="is an input of this command"):
            check_output(output, Kind.FEATURES, [tmp_path / "f"], force=force)
    check_output(tmp_path / "f" / "new.safetensors", Kind.MODEL, [tmp_path / "f"])


def test_only_the_same_kind_is_replaced(tmp_path):
    result, note = put(tmp_path / "r.json", RESULT), put(tmp_path / "note.json")
    check_output(result, Kind.RESULT)
    check_output(put(tmp_path / "empty.json", ""), Kind.RESULT)
    with pytest.raises(BasnetError, match=r"r\.json: holds a result, not a model"):
        check_output(result, Kind.MODEL)
    with pytest.raises(BasnetError, match=r"note\.json: holds a file of another kind"):
        check_output(note, Kind.RESULT)
    check_output(note, Kind.RESULT, force=True)
    with pytest.raises(BasnetError, match="not a regular file"):
        check_output("/dev/null", Kind.RESULT, force=True)


def test_a_place_that_cannot_be_written_is_seen_before_work(tmp_path):
    put(tmp_path / "file")
    check_output(tmp_path / "new" / "folder" / "r.json", Kind.RESULT)
    for place in (tmp_path / "file" / "r.json", tmp_path / "file" / "sub" / "r.json"):
        with pytest.raises(BasnetError, match="is a file"):
            check_output(place, Kind.RESULT)
    with pytest.raises(BasnetError, match="is a file"):
        check_folder(tmp_path / "file")
    with pytest.raises(BasnetError, match="is a folder"):
        check_output(tmp_path, Kind.RESULT)


def test_a_folder_without_permission_is_seen_before_work(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write everywhere
    with pytest.raises(BasnetError, match="cannot be written"):
        check_output(tmp_path / "r.json", Kind.RESULT)


def destroying_calls(tmp_path):
    """(arguments, file that must stay as it is)."""
    features = tmp_path / "f"
    one, labels = features / "a.safetensors", put(tmp_path / "l.csv", "video,labels\na,x\nb,y\n")
    for name in "ab":
        feature_file(features / f"{name}.safetensors")
    video = put(tmp_path / "v.mp4", "not looked into")
    found = put(tmp_path / "found.json", RESULT)
    arrays = tmp_path / "data" / "features" / "rgb" / "a.npy"
    arrays.parent.mkdir(parents=True)
    np.save(arrays, np.zeros((3, 4), np.float32))
    truth = put(tmp_path / "gt" / "report.json", '{"database": {}}')
    taken = put(tmp_path / "taken" / "v.safetensors", "a letter")
    train = ("train", features, "--labels", labels, "-o")
    export = ("export", "intervals", found, "-o")
    return [
        (("localize", video, "-o", video), video),
        (
            ("localize", features, "-o", features / "a.safetensors", "--force"),
            features / "a.safetensors",
        ),
        (("localize", video, "-m", labels, "-o", labels, "--force"), labels),
        (("localize", video, "-o", labels), labels),
        (("localize", tmp_path / "found.json", "-o", f"{tmp_path}/"), found),
        ((*train, labels), labels),
        ((*train, one, "--force"), one),
        ((*train, found), found),
        ((*export, found), found),
        ((*export, labels), labels),
        (("export", "features", tmp_path / "data", "-o", tmp_path / "data" / "features"), arrays),
        (("extract", video, "-o", tmp_path / "taken", "--backbone", "i3d-mini"), taken),
        (
            (
                *("reproduce", "thumos14", "--features", tmp_path / "data"),
                *("--ground-truth", truth, "-o", truth.parent),
            ),
            truth,
        ),
    ]


@pytest.mark.parametrize("number", range(13))
def test_every_command_refuses_before_work_starts(tmp_path, run, number):
    arguments, kept = destroying_calls(tmp_path)[number]
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    code, out, err = run(*arguments)
    assert (code, out) == (2, ""), err
    assert [line for line in err if line.startswith("error: ")] == err[-1:]
    assert str(kept) in err[-1]
    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert after == before


def test_export_over_its_own_earlier_output_is_fine(tmp_path, run):
    feature_file(tmp_path / "f" / "a.safetensors")
    for _ in range(2):
        code, _, err = run("export", "features", tmp_path / "f", "-o", tmp_path / "out")
        assert code == 0
        assert "features of 1 video written" in err[-1]
    found = put(tmp_path / "found.json", RESULT)
    put(tmp_path / "t.csv", "letters")
    export = ("export", "intervals", found, "-o", tmp_path / "t.csv")
    assert run(*export)[0] == 2
    assert run(*export, "--force")[0] == 0
    assert run(*export)[0] == 0
    assert json.loads(found.read_text()) == json.loads(RESULT)
