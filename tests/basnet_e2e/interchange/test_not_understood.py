"""What a reader understands is read; what it does not is named, never taken for background."""

import json

import pytest

from basnet_e2e import BasnetError
from basnet_e2e.interchange.annotated import Hints
from basnet_e2e.interchange.readers import read_annotations

UPLOAD = "/data/upload/1/0a1b2c3d-"


def times(video):
    return [(one.label, one.start, one.end) for one in video.intervals]


def reports(shared_data, name):
    path = shared_data / "reports" / "annotations" / name
    if not path.exists():
        pytest.skip(f"{path} is missing")
    return path


@pytest.mark.parametrize(
    ("name", "video", "wanted"),
    [
        ("ls_audio_sync.json", "kick", [("Kickflip", 1.5, 4.25), ("360 Flip", 8.0, 9.5)]),
        ("ls_perregion.json", "gym", [("Squat", 1.0, 4.0)]),
        ("ls_dataid.json", "gym", [("Squat", 1.0, 4.0)]),
        ("ls_textfirst.json", "gym", [("Squat", 1.0, 4.0)]),
        ("elan_offset.eaf", "match", [("serve", 6.0, 8.0)]),
        (
            "elan_subdivision.eaf",
            "match",
            [("toss", 1.0, 2.5), ("serve", 1.0, 4.0), ("hit", 2.5, 4.0)],
        ),
    ],
)
def test_files_that_people_reported(shared_data, name, video, wanted):
    (read,) = read_annotations([reports(shared_data, name)])
    assert (read.video, times(read)) == (video, wanted)


def test_classifications_of_fiftyone(shared_data):
    read = read_annotations([reports(shared_data, "fiftyone_classification")])
    assert {one.video: one.labels for one in read} == {"beach": ("surfing",), "pool": ("diving",)}


# Label Studio ------------------------------------------------------------------------------------


def task(*results, name="v.mp4", **data):
    annotations = [{"id": 1, "result": list(results)}]
    return {"data": {"video": UPLOAD + name, "fps": 25} | data, "annotations": annotations}


def result(kind, to_name="video", **value):
    return {"id": "r", "type": kind, "to_name": to_name, "value": value}


SQUAT = result("timelinelabels", ranges=[{"start": 26, "end": 100}], timelinelabels=["Squat"])
SEQUENCE = [{"frame": 1, "enabled": True, "x": 1, "y": 1, "width": 9, "height": 9, "time": 0.04}]


def read_tasks(tmp_path, *tasks, hints=None):
    path = tmp_path / "export.json"
    path.write_text(json.dumps(tasks))
    return read_annotations([path], hints)


@pytest.mark.parametrize(
    ("results", "kinds"),
    [
        ([result("timeserieslabels", start=1, end=2, timeserieslabels=["x"])], "timeserieslabels"),
        ([result("videorectangle", sequence=SEQUENCE, labels=["x"])], "videorectangle"),
        ([result("labels", sequence=SEQUENCE, labels=["x"])], "tracked"),
        ([result("labels", start=3, end=9, text="some word", labels=["x"])], "text"),
        ([result("labels", start="/p[1]/text()", end="/p[2]/text()", labels=["x"])], "text"),
        ([result("ranker", ranker={"best": ["1"]})], "ranker"),
        ([result("textarea", text=["it dives"])], "textarea"),
        ([result("labels", start=4.5, end=2.5, labels=["x"])], "before"),
        ([result("timelinelabels", ranges=[{"start": 1, "end": 2}])], "no name|without a name"),
        ([result("timelinelabels", timelinelabels=["x"])], "without ranges"),
    ],
)
def test_a_task_that_is_not_understood_is_left_out(tmp_path, caplog, results, kinds):
    with pytest.raises(BasnetError, match=kinds):
        read_tasks(tmp_path, task(*results))
    for more in ([], [SQUAT]):
        if more and kinds in ("textarea", "without ranges"):
            continue  # it says nothing of classes, and something else does
        caplog.clear()
        read = read_tasks(tmp_path, task(*results, *more), task(SQUAT, name="w.mp4"))
        assert [one.video for one in read] == ["w"]
        (line,) = (record.getMessage() for record in caplog.records if record.levelname != "INFO")
        assert "'v'" in line


def test_remarks_beside_labels_are_named(tmp_path, caplog):
    caplog.set_level("INFO")
    (read,) = read_tasks(tmp_path, task(SQUAT, result("textarea", text=["well done"])))
    assert times(read) == [("Squat", 1.0, 4.0)]
    assert "textarea (1)" in caplog.text


def test_only_an_empty_annotation_is_background(tmp_path, caplog):
    cancelled = {"result": [], "was_cancelled": True}
    waiting = {"data": {"video": UPLOAD + "a.mp4"}, "annotations": []}
    skipped = {"data": {"video": UPLOAD + "b.mp4"}, "annotations": [cancelled]}
    read = read_tasks(tmp_path, waiting, skipped, task(name="empty.mp4"))
    assert [(one.video, one.labels) for one in read] == [("empty", ())]
    assert "2 videos without a submitted annotation" in caplog.text


def test_taxonomies_are_classes(tmp_path):
    whole = result("taxonomy", taxonomy=[["Sport", "Diving"], ["Crowd"]])
    (read,) = read_tasks(tmp_path, task(whole))
    assert (read.labels, read.intervals) == (("Sport / Diving", "Crowd"), ())


@pytest.mark.parametrize(
    ("data", "config", "wanted"),
    [
        ({"title": "a.mp4 of mine", "clip": "s3://bucket/set/b.mov"}, None, "set/b"),
        ({"title": "My gym", "video": "https://host/watch/xyz"}, None, "watch/xyz"),
        ({"video": "<video src='https://host/set/d.mp4' width=100% controls>"}, None, "set/d"),
        ({"left": "a.mp4", "right": "b.mp4"}, "$right", "b"),
        ({"other": "a.mp4", "file": "nosuffix"}, "$file", "nosuffix"),
        ({"video": "/data/local-files/?d=set%2Fe.mp4", "poster": "p.png"}, None, "set/e"),
    ],
)
def test_which_value_is_the_video(tmp_path, data, config, wanted):
    if config:
        text = f'<View><Video name="video" value="{config}" frameRate="50"/></View>'
        (tmp_path / "export.xml").write_text(text)
    one = {"data": data | {"fps": 25}, "annotations": [{"result": [SQUAT]}]}
    (read,) = read_tasks(tmp_path, one)
    rate = 50 if config else 25
    assert (read.video, times(read)) == (wanted, [("Squat", 25 / rate, 100 / rate)])


def test_two_values_that_could_be_the_video(tmp_path):
    one = {"data": {"left": "a.mp4", "right": "b.mp4", "fps": 25}, "annotations": []}
    with pytest.raises(BasnetError, match="several"):
        read_tasks(tmp_path, one)


def test_a_duration_of_other_people_cuts_nothing(tmp_path):
    (read,) = read_tasks(tmp_path, task(SQUAT, duration=0.5, id="17"))
    assert (read.video, times(read), read.duration) == ("v", [("Squat", 1.0, 4.0)], None)


def test_a_rate_like_an_explosion(tmp_path):
    with pytest.raises(BasnetError, match="--fps"):
        read_tasks(tmp_path, task(SQUAT, fps="1e999999999"))
    assert read_tasks(tmp_path, task(SQUAT, fps="x"), hints=Hints(fps=25))


# FiftyOne ----------------------------------------------------------------------------------------


def test_fiftyone_labels_of_every_shape(tmp_path, caplog):
    labels = {
        "number": 1,
        "name": "dive",
        "object": {"label": 0, "confidence": 0.5},
        "several": [0, "dive", {"label": "jump"}],
        "box": [{"label": "dive", "bounding_box": [0, 0, 1, 1]}],
        "beyond": 7,
        "waiting": None,
        "nothing": [],
        "instant": [{"label": "dive", "timestamps": [2.0, 2.0]}],
    }
    path = tmp_path / "labels.json"
    path.write_text(json.dumps({"classes": ["jump", "dive"], "labels": labels}))
    read = {one.video: one for one in read_annotations([path])}
    assert {name: one.labels for name, one in read.items()} == {
        "number": ("dive",),
        "name": ("dive",),
        "object": ("jump",),
        "several": ("jump", "dive"),
        "nothing": (),
        "instant": ("dive",),
    }
    assert times(read["instant"]) == [("dive", 2.0, 2.0)]
    assert "'box' is left out" in caplog.text
    assert "bounding_box" in caplog.text
    assert "class 7 of 2" in caplog.text
    assert "'waiting'" in caplog.text


# VIA ---------------------------------------------------------------------------------------------


def via(tmp_path, items, files=("a.mp4",)):
    numbers = [str(number) for number, _ in enumerate(files, start=1)]
    options = {"0": "dive", "1": "jump"}
    project = {
        "project": {"pid": "x"},
        "attribute": {"1": {"aname": "action", "options": options}},
        "file": {number: {"fname": name} for number, name in zip(numbers, files, strict=True)},
        "view": {number: {"fid_list": [number]} for number in numbers},
        "metadata": {str(key): item for key, item in enumerate(items)},
    }
    path = tmp_path / "project.json"
    path.write_text(json.dumps(project))
    return path


def item(z, vid="1", xy=(), **av):
    return {"vid": vid, "flg": 0, "z": z, "xy": list(xy), "av": av.get("av", {"1": "0"})}


def test_labels_and_instants_of_via(tmp_path):
    path = via(tmp_path, [item([]), item([3.5], av={"1": "1"})])
    (read,) = read_annotations([path])
    assert read.labels == ("jump", "dive")
    assert times(read) == [("jump", 3.5, 3.5)]


@pytest.mark.parametrize(
    ("strange", "words"),
    [
        (item([1.0], xy=[2, 9, 9, 5, 5]), "region"),
        (item([2.0, 1.0]), "before"),
        (item([1.0, 2.0], av={}), "no label"),
        (item([1.0, 2.0], av={"1": ""}), "no label"),
    ],
)
def test_what_via_says_beyond_labels(tmp_path, caplog, strange, words):
    path = via(tmp_path, [item([0.5, 1.0]), strange, item([], vid="2")], ("a.mp4", "b.mp4"))
    read = read_annotations([path])
    assert [(one.video, one.labels) for one in read] == [("b", ("dive",))]
    assert "'a'" in caplog.text
    assert words in caplog.text


def test_a_file_of_via_without_annotations_is_not_background(tmp_path, caplog):
    path = via(tmp_path, [item([1.0, 2.0])], ("a.mp4", "b.mp4"))
    assert [one.video for one in read_annotations([path])] == ["a"]
    assert "'b'" in caplog.text


# ELAN --------------------------------------------------------------------------------------------


def elan(tmp_path, slots, tiers, header="", units="milliseconds"):
    order = "".join(
        f'<TIME_SLOT TIME_SLOT_ID="{name}"' + (f' TIME_VALUE="{time}"/>' if time else "/>")
        for name, time in slots.items()
    )
    body = ""
    for tier, items in tiers.items():
        inside = "".join(f"<ANNOTATION>{text}</ANNOTATION>" for text in items)
        body += f'<TIER TIER_ID="{tier}">{inside}</TIER>'
    path = tmp_path / "a.eaf"
    path.write_text(
        f'<ANNOTATION_DOCUMENT><HEADER TIME_UNITS="{units}">{header}</HEADER>'
        f"<TIME_ORDER>{order}</TIME_ORDER>{body}</ANNOTATION_DOCUMENT>"
    )
    return path


def aligned(number, start, end, value):
    return (
        f'<ALIGNABLE_ANNOTATION ANNOTATION_ID="{number}" TIME_SLOT_REF1="{start}" '
        f'TIME_SLOT_REF2="{end}"><ANNOTATION_VALUE>{value}</ANNOTATION_VALUE>'
        "</ALIGNABLE_ANNOTATION>"
    )


def refers(number, to, value):
    return (
        f'<REF_ANNOTATION ANNOTATION_ID="{number}" ANNOTATION_REF="{to}">'
        f"<ANNOTATION_VALUE>{value}</ANNOTATION_VALUE></REF_ANNOTATION>"
    )


def test_two_tiers_that_divide_one_annotation(tmp_path):
    # The slots of both tiers lie in one order: each tier divides for itself.
    slots = {"s": 1000, "a1": None, "a2": None, "b1": None, "e": 4000}
    tiers = {
        "thirds": [
            aligned(1, "s", "a1", "x"),
            aligned(2, "a1", "a2", "y"),
            aligned(3, "a2", "e", "z"),
        ],
        "halves": [aligned(4, "s", "b1", "p"), aligned(5, "b1", "e", "q")],
    }
    (read,) = read_annotations([elan(tmp_path, slots, tiers)])
    assert sorted(times(read)) == [
        ("p", 1.0, 2.5),
        ("q", 2.5, 4.0),
        ("x", 1.0, 2.0),
        ("y", 2.0, 3.0),
        ("z", 3.0, 4.0),
    ]


def test_annotations_that_refer_have_the_time_of_the_other(tmp_path):
    slots = {"s": 1000, "e": 3000}
    tiers = {
        "action": [aligned(1, "s", "e", "dive")],
        "quality": [refers(2, 1, "good")],
        "phase": [refers(3, 1, "jump"), refers(4, 1, "fall")],
    }
    (read,) = read_annotations([elan(tmp_path, slots, tiers)])
    assert sorted(times(read)) == [
        ("dive", 1.0, 3.0),
        ("fall", 2.0, 3.0),
        ("good", 1.0, 3.0),
        ("jump", 1.0, 2.0),
    ]


def test_times_in_frames_and_the_origin_of_the_video(tmp_path):
    header = (
        '<MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/a.wav" MIME_TYPE="audio/x-wav"/>'
        '<MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/v.mp4" MIME_TYPE="video/mp4" TIME_ORIGIN="500"/>'
    )
    tiers = {"action": [aligned(1, "s", "e", "dive")]}
    path = elan(tmp_path, {"s": 25, "e": 50}, tiers, header, "PAL-frames")
    (read,) = read_annotations([path])
    assert (read.video, times(read)) == ("v", [("dive", 1.5, 2.5)])


@pytest.mark.parametrize(
    ("slots", "items", "words"),
    [
        ({"s": 1000, "e": None}, [aligned(1, "s", "e", "dive")], "no start or end time"),
        ({"s": 2000, "e": 1000}, [aligned(1, "s", "e", "dive")], "before it starts"),
        ({"s": 1000, "e": 2000}, [refers(1, 9, "dive")], "refers to none"),
        ({"s": 1000, "e": 2000}, [refers(1, 1, "dive")], "refers to none"),
        ({"s": "9" * 400, "e": 2000}, [aligned(1, "s", "e", "dive")], "time slot"),
    ],
)
def test_damaged_times_of_elan(tmp_path, slots, items, words):
    with pytest.raises(BasnetError, match=words):
        read_annotations([elan(tmp_path, slots, {"action": items})])


# Written files -----------------------------------------------------------------------------------


def test_labels_without_times_are_no_ground_truth(tmp_path, run):
    path = tmp_path / "export.json"
    crowd = result("choices", choices=["crowd"])
    tasks = [task(SQUAT), task(crowd, name="w.mp4"), task(SQUAT, crowd, name="x.mp4")]
    path.write_text(json.dumps(tasks))
    out = tmp_path / "labels.csv", tmp_path / "gt.json"
    code, _, err = run("import", "labels", path, "-o", out[0], "--intervals", out[1])
    assert code == 0
    assert out[0].read_text() == "video,labels\nv,Squat\nw,crowd\nx,Squat;crowd\n"
    assert list(json.loads(out[1].read_text())["database"]) == ["v"]
    assert any("'w'" in line and "'x'" in line and "without times" in line for line in err)


def test_a_choice_on_a_region_is_no_class_unless_asked_for(tmp_path, caplog):
    region = result("timelinelabels", ranges=[{"start": 26, "end": 100}], timelinelabels=["Squat"])
    choice = result("choices", ranges=[{"start": 26, "end": 100}], choices=["bad form"])
    path = tmp_path / "export.json"
    path.write_text(json.dumps([task(region, choice)]))
    with caplog.at_level("INFO"):
        (read,) = read_annotations([path])
    assert times(read) == [("Squat", 1.0, 4.0)]
    assert "choices of a region (1)" in caplog.text
    (read,) = read_annotations([path], Hints(with_modifiers=True))
    assert times(read) == [("Squat [bad form]", 1.0, 4.0)]
    path.write_text(json.dumps([task(choice)]))
    (read,) = read_annotations([path])
    assert times(read) == [("bad form", 1.0, 4.0)]
