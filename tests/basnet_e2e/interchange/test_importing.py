"""Labels out of other tools, and the ways there and back."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from basnet_e2e import BasnetError, Interval, Localization
from basnet_e2e.data.annotations.annotations import read_ground_truth, read_labels
from basnet_e2e.data.annotations.csv_tables import label_table
from basnet_e2e.interchange.formats.known_times import known_times
from basnet_e2e.interchange.readers import read_annotations
from basnet_e2e.interchange.writers import format_results, write_results

TIMES = st.integers(0, 60_000).map(lambda ms: ms / 1000)


def result(name, *intervals, duration=60.0):
    return Localization(name, f"{name}.mp4", duration, "m", {}, list(intervals))


def label_file(videos):
    return label_table({video.video: video.labels for video in videos})


def times(video):
    return [(one.label, one.start, one.end) for one in video.intervals]


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from("xyz"), TIMES, TIMES), max_size=8))
def test_elan_and_back_keeps_every_millisecond(tmp_path_factory, found):
    intervals = []
    for label, one, two in found:
        start, end = min(one, two), max(one, two)
        new = Interval(label, start, end)
        if end > start and not any(new.overlaps(old) and old.label == label for old in intervals):
            intervals.append(new)
    path = tmp_path_factory.mktemp("elan") / "v.eaf"
    write_results(path, [result("folder/v", *intervals)], format="elan")
    (read,) = read_annotations([path])
    assert read.video == "folder/v"
    assert read.duration == 60.0
    assert sorted(times(read)) == sorted((one.label, one.start, one.end) for one in intervals)


def test_elan_files_of_other_people(tmp_path):
    from pympi import Eaf

    eaf = Eaf(author="someone")
    eaf.add_linked_file("file:///home/someone/videos/clip 1.mp4", relpath=None)
    eaf.add_tier("behaviour")
    eaf.add_annotation("behaviour", 100, 2000, "walk")
    eaf.add_annotation("behaviour", 2000, 3000, "")
    path = tmp_path / "a.eaf"
    eaf.to_file(path)
    (read,) = read_annotations([path])
    assert read.video == "clip 1"
    assert times(read) == [("walk", 0.1, 2.0), ("behaviour", 2.0, 3.0)]


def answered(tasks, **extra):
    """Tasks as Label Studio exports them after a person took over the predictions."""
    for task in tasks:
        regions = task.pop("predictions")[0]["result"]
        task["annotations"] = [{"id": 1, "was_cancelled": False, "result": regions, **extra}]
    return tasks


def test_label_studio_and_back(tmp_path):
    path = tmp_path / "tasks.json"
    results = [
        result("a/v", Interval("dive", 1.0, 2.44), Interval("jump", 5.0, 60.0)),
        result("w"),
        result("waiting", Interval("dive", 1.0, 2.0)),
    ]
    tasks = json.loads(format_results(results, format="labelstudio"))
    path.write_text(json.dumps([*answered(tasks[:2]), tasks[2]]))
    read = read_annotations([path])
    assert [video.video for video in read] == ["a/v", "w"]
    assert times(read[0]) == [("dive", 1.0, 2.44), ("jump", 5.0, 60.0)]
    assert label_file(read) == "video,labels\na/v,dive;jump\nw,\n"


def region(label, first, last):
    value = {"ranges": [{"start": first, "end": last}], "timelinelabels": [label]}
    return {"type": "timelinelabels", "value": value}


def test_label_studio_tasks_of_other_people(tmp_path):
    path = tmp_path / "export.json"
    chosen = {"type": "choices", "value": {"choices": ["crowd"]}}
    without = {"type": "timelinelabels", "value": {"timelinelabels": ["dive"]}}
    old, new = (
        {"result": [region(label, 1, 24)], "updated_at": f"2026-0{month}-01"}
        for label, month in (("old", 1), ("new", 2))
    )
    cancelled = {"result": [region("never", 1, 24)], "was_cancelled": True}
    tasks = [
        {
            "data": {"video": "/data/upload/3/0a1b2c3d-game.mp4"},
            "annotations": [new, old, cancelled],
        },
        {
            "data": {"url": "/data/local-files/?d=set/b.mp4"},
            "annotations": [{"result": [chosen, without]}],
        },
    ]
    path.write_text(json.dumps(tasks))
    with pytest.raises(BasnetError, match="--fps"):
        read_annotations([path])
    for task in tasks:
        task["data"]["fps"] = 24
    path.write_text(json.dumps(tasks))
    first, second = read_annotations([path])
    assert (first.video, times(first)) == ("game", [("new", 0.0, 1.0)])
    assert (second.video, second.labels, second.intervals) == ("set/b", ("crowd",), ())


def test_fiftyone_and_back(tmp_path):
    results = [result("a/v", Interval("dive", 1.0, 2.44, 0.3)), result("w")]
    write_results(tmp_path / "out", results, format="fiftyone")
    read = read_annotations([tmp_path / "out"])
    assert [(video.video, times(video)) for video in read] == [
        ("a/v", [("dive", 1.0, 2.44)]),
        ("w", []),
    ]


def test_fiftyone_frames_need_the_video(tmp_path, run):
    import numpy as np

    from basnet_e2e.demo.footage.encode import write_video

    path = tmp_path / "labels.json"
    item = {"label": 1, "support": [26, 51]}
    path.write_text(json.dumps({"classes": ["jump", "dive"], "labels": {"v": [item]}}))
    code, _, err = run("import", "labels", path, "-o", tmp_path / "labels.csv")
    assert code == 2
    assert "--videos" in err[-1]
    (tmp_path / "videos").mkdir()
    frames = (np.full((48, 64, 3), number, np.uint8) for number in range(101))
    write_video(tmp_path / "videos" / "v.mp4", frames, 25, (64, 48))
    code, _, _ = run(
        *("import", "labels", path, "-o", tmp_path / "labels.csv"),
        *("--videos", tmp_path / "videos", "--intervals", tmp_path / "gt.json"),
    )
    assert code == 0
    (found,) = read_ground_truth(tmp_path / "gt.json").videos["v"]
    assert (found.label, found.start, found.end) == ("dive", 1.01, 2.02)


def test_via_and_back(tmp_path):
    path = tmp_path / "project.json"
    results = [result("a/v", Interval("dive", 1.0, 2.44), Interval("jump", 2.0, 3.0)), result("w")]
    write_results(path, results, format="via")
    read = read_annotations([path])
    assert [(video.video, times(video)) for video in read] == [
        ("a/v", [("dive", 1.0, 2.44), ("jump", 2.0, 3.0)]),
        ("w", []),
    ]


def test_corrected_results(tmp_path):
    path = tmp_path / "corrected.json"
    one = result("v", Interval("dive", 1.0, 2.0)).to_json()
    path.write_text(json.dumps(one))
    with pytest.raises(BasnetError, match="nobody corrected"):
        read_annotations([path])
    path.write_text(json.dumps(one | {"corrected": True}))
    (read,) = read_annotations([path])
    assert (read.video, times(read), read.duration) == ("v", [("dive", 1.0, 2.0)], 60.0)
    many = {"videos": [one | {"corrected": True}, result("w").to_json()], "failed": []}
    path.write_text(json.dumps(many))
    with pytest.raises(BasnetError, match="'w'"):
        read_annotations([path])
    path.write_text(json.dumps(many | {"corrected": True}))
    assert len(read_annotations([path])) == 2


def test_what_is_written_is_what_train_and_evaluate_read(tmp_path):
    path = tmp_path / "v.eaf"
    write_results(path, [result("v", Interval("dive", 1.0, 2.0), duration=9.5)], format="elan")
    read = read_annotations([path])
    (tmp_path / "labels.csv").write_text(label_file(read))
    assert read_labels(tmp_path / "labels.csv").videos == {"v": ("dive",)}
    (tmp_path / "gt.json").write_text(known_times(tmp_path / "gt.json", read))
    truth = read_ground_truth(tmp_path / "gt.json")
    assert truth.videos == {"v": [Interval("dive", 1.0, 2.0)]}
    assert truth.durations == {"v": 9.5}
    assert read_labels(tmp_path / "gt.json").videos == {"v": ("dive",)}


BOMB = '<!DOCTYPE a [<!ENTITY b "c">]><ANNOTATION_DOCUMENT/>'
SLOTS = '<TIME_SLOT TIME_SLOT_ID="t1" TIME_VALUE="9"/><TIME_SLOT TIME_SLOT_ID="t2"/>'
UNTIMED = (
    f'<ANNOTATION_DOCUMENT><TIME_ORDER>{SLOTS}</TIME_ORDER><TIER TIER_ID="x"><ANNOTATION>'
    '<ALIGNABLE_ANNOTATION TIME_SLOT_REF1="t1" TIME_SLOT_REF2="t2"><ANNOTATION_VALUE/>'
    "</ALIGNABLE_ANNOTATION></ANNOTATION></TIER></ANNOTATION_DOCUMENT>"
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{}", "expected a file of ELAN, Label Studio"),
        ("[1]", "JSON export"),
        ("[]", "no annotated video"),
        ("<a", "not valid XML"),
        ("<html></html>", "not an annotation file of ELAN"),
        (BOMB, "document type"),
        (UNTIMED, "no start or end time"),
        ('{"labels": {"v": [{"timestamps": [1, 2]}]}}', "no label"),
        ('{"labels": {"v": [{"label": "x", "timestamps": [2, 1]}]}}', "ends before"),
        ('{"labels": {"v": [{"label": "x", "timestamps": 3}]}}', "no start and end"),
        ('{"metadata": {"1": {"z": [1, 2], "vid": "9"}}, "file": {}, "view": {}}', "damaged"),
        ('[{"data": {"video": ""}, "annotations": [{"result": []}]}]', "names no video"),
        ('[{"data": {"id": "v"}, "annotations": [{"result": [3]}]}]', "result[0]"),
    ],
)
def test_damaged_files_are_one_line(tmp_path, text, words, run):
    path = tmp_path / "file"
    path.write_text(text)
    code, out, err = run("import", "labels", path, "-o", tmp_path / "labels.csv")
    assert (code, out, len(err)) == (2, "", 1)
    assert words in err[0]
    assert not (tmp_path / "labels.csv").exists()


def test_two_files_about_one_video(tmp_path):
    for name in "ab":
        write_results(tmp_path / f"{name}.eaf", [result("v")], format="elan")
    with pytest.raises(BasnetError, match="already"):
        read_annotations([tmp_path / "a.eaf", tmp_path / "b.eaf"])


def test_a_label_that_a_label_file_cannot_hold(tmp_path):
    path = tmp_path / "v.eaf"
    write_results(path, [result("v", Interval("a;b", 1.0, 2.0))], format="elan")
    with pytest.raises(BasnetError, match="rename it"):
        label_file(read_annotations([path]))


def test_results_to_label_studio_to_training(tree, tmp_path, run):
    """The loop: train, localize, let a person answer, import, train on the answer."""
    first = tmp_path / "first.safetensors"
    features = tree / "features" / "train"
    small = ("--preset", "small", "--steps", "2", "-q")
    code, _, err = run("train", tree, "--labels", tree / "gt.json", "-o", first, *small)
    assert code == 0, err
    found, tasks = tmp_path / "found.json", tmp_path / "tasks.json"
    assert run("localize", features, "-m", first, "-o", found, "--min-score", -9, "-q")[0] == 0
    code, _, err = run("export", "intervals", found, "--format", "labelstudio", "-o", tasks)
    assert code == 0, err
    documents = answered(json.loads(tasks.read_text()))
    for index, task in enumerate(documents):
        label = ("left", "right")[index % 2]
        task["annotations"][0]["result"] = [region(label, 1, 25)]
    tasks.write_text(json.dumps(documents))
    labels = tmp_path / "labels.csv"
    code, _, err = run("import", "labels", tasks, "-o", labels)
    assert code == 0, err
    second = tmp_path / "second.safetensors"
    code, _, err = run("train", features, "--labels", labels, "-o", second, *small)
    assert code == 0, err
    assert second.is_file()
