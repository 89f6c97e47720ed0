"""Labels and ground truth: every form that is read and every mistake that is named."""

import json
import logging

import pytest

from basnet_e2e import BasnetError, Interval
from basnet_e2e.data.annotations.annotations import read_classes, read_ground_truth, read_labels


def write(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def database(path, **videos):
    """``name=(subset, labels or segments)``."""
    entries = {}
    for name, (subset, rows) in videos.items():
        rows = [row if isinstance(row, dict) else {"label": row} for row in rows]
        entries[name] = {"annotations": rows} | ({"subset": subset} if subset else {})
    return write(path, json.dumps({"database": entries}))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_csv_of_any_line_end(tmp_path, end, mark):
    text = end.join(["video,labels", "a,run; jump ;run", "", '"b, c.mp4",', "d"])
    labels = read_labels(write(tmp_path / "l.csv", mark + text.encode()))
    assert labels.videos == {"a": ("run", "jump"), "b, c.mp4": (), "d": ()}
    assert labels.classes == ("run", "jump")


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_other_delimiters_are_read_where_the_header_is_certain(tmp_path, delimiter):
    rows = [["video", "labels"], ["a", '"run; jump"'], ["b,c", ""], ["d", "swim"]]
    text = "\n".join(delimiter.join(row) for row in rows)
    labels = read_labels(write(tmp_path / "l.csv", text))
    assert labels.videos == {"a": ("run", "jump"), "b,c": (), "d": ("swim",)}


def test_columns_may_stand_in_any_order_beside_others(tmp_path):
    labels = read_labels(write(tmp_path / "l.csv", "id,Labels,Video\n1,run,a\n2,jump,b\n"))
    assert labels.videos == {"a": ("run",), "b": ("jump",)}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("video,label\na,x\n", "line 1: no column 'labels'"),
        ("video|labels\na|x\n", "line 1: no column 'video'.*semicolons or tabs"),
        ("video;labels\na;x;y\n", "line 2: 3 values for 2 columns.*in quotes"),
        ("video,labels,Video\na,x,b\n", "line 1: two columns are called 'video'"),
        ("video,labels\na,x\nb,y\na,x\n", "line 4: video 'a' is already on line 2"),
        ("video,labels\n,x\n", "line 2: names no video"),
        ("video,labels\na,x,y\n", "line 2: 3 values for 2 columns.*';'"),
        ("video,labels\n", "no labelled video"),
        ("", "no labelled video"),
        (b"video,labels\nk\xe4se,x\n", "not a UTF-8"),
    ],
)
def test_mistakes_in_a_csv_name_file_and_line(tmp_path, text, words):
    path = write(tmp_path / "labels.csv", text)
    with pytest.raises(BasnetError, match=words) as caught:
        read_labels(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(BasnetError, match=r"none.csv: cannot be read"):
        read_labels(tmp_path / "none.csv")


def test_a_class_list_fixes_the_order_and_must_cover_all(tmp_path):
    path = write(tmp_path / "l.csv", "video,labels\na,run\nb,jump\n")
    classes = read_classes(write(tmp_path / "c.txt", "jump\r\nswim\nrun\n"))
    assert read_labels(path, classes=classes).classes == ("jump", "swim", "run")
    with pytest.raises(BasnetError, match="not in the class list: 'run'"):
        read_labels(path, classes=["jump"])
    with pytest.raises(BasnetError, match="'a' is listed twice"):
        read_classes(write(tmp_path / "c.txt", "a\na\n"))
    with pytest.raises(BasnetError, match="no class names"):
        read_classes(write(tmp_path / "c.txt", "\n"))


def test_json_labels_are_those_of_the_training_subset(tmp_path):
    path = tmp_path / "gt.json"
    videos = {"a": ("training", ["x", "y", "x"]), "b": ("testing", ["z"]), "c": ("training", [])}
    labels = read_labels(database(path, **videos, d=("validation", ["w"])))
    assert labels.videos == {"a": ("x", "y"), "c": ()}
    labels = read_labels(database(path, a=("validation", ["x"]), b=("test", ["z"])))
    assert labels.videos == {"a": ("x",)}
    assert read_labels(path, subset="testing").videos == {"b": ("z",)}
    with pytest.raises(BasnetError, match=r"no subset 'dev' \(subsets: test, validation\)"):
        read_labels(path, subset="dev")
    with pytest.raises(BasnetError, match=r"no train subset.*\(subsets: test\)"):
        read_labels(database(path, b=("test", ["z"])))
    assert read_labels(database(path, b=(None, ["z"]))).videos == {"b": ("z",)}


def test_labels_never_need_or_read_intervals(tmp_path):
    rows = [{"label": "x", "segment": "not even an interval"}]
    assert read_labels(database(tmp_path / "gt.json", a=("train", rows))).videos == {"a": ("x",)}


def test_a_folder_per_class(tmp_path):
    for name in ("run/a.mp4", "run/deep/b.avi", "jump/c.safetensors", "d.mp4", ".x/e.mp4", "n.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        write(tmp_path / name, "")
    labels = read_labels(tmp_path)
    assert labels.videos == {
        "d": (),
        "jump/c": ("jump",),
        "run/a": ("run",),
        "run/deep/b": ("run",),
    }
    assert labels.classes == ("jump", "run")
    write(tmp_path / "run" / "a.avi", "")
    with pytest.raises(BasnetError, match="'run/a'"):
        read_labels(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(BasnetError, match="one folder of videos per class"):
        read_labels(tmp_path / "empty")


def test_segments_may_be_numbers_or_strings(tmp_path):
    rows = [{"label": "x", "segment": ["1.5", 2]}, {"label": "y", "segment": [0, "1e1"]}]
    truth = read_ground_truth(database(tmp_path / "gt.json", a=("test", rows)))
    assert [(row.label, row.start, row.end) for row in truth.videos["a"]] == [
        ("x", 1.5, 2.0),
        ("y", 0.0, 10.0),
    ]
    assert truth.classes == ("x", "y")


def test_the_subset_to_evaluate(tmp_path):
    path = tmp_path / "gt.json"
    segment = [{"label": "x", "segment": [0, 1]}]
    database(path, a=("training", segment), b=("validation", segment), c=("testing", []))
    assert read_ground_truth(path).subset == "validation"  # of ActivityNet, whose test set is empty
    assert set(read_ground_truth(path, "train").videos) == {"a"}
    assert set(read_ground_truth(path, "validation").others) == {"a", "c"}
    database(path, a=("mine", segment))
    assert read_ground_truth(path).subset == "mine"
    database(path, a=("one", segment), b=("two", segment))
    with pytest.raises(BasnetError, match="subsets: one, two"):
        read_ground_truth(path)


def test_intervals_of_a_table(tmp_path):
    text = "start,video,label,end,note\n1.5,a,x,2,\n0,a,y,1e1,odd\n,quiet,,,\n3,b,x,4,\n"
    truth = read_ground_truth(write(tmp_path / "truth.csv", text))
    assert truth.videos == {
        "a": [Interval("x", 1.5, 2.0), Interval("y", 0.0, 10.0)],
        "quiet": [],
        "b": [Interval("x", 3.0, 4.0)],
    }
    assert (truth.subset, truth.classes) == (None, ("x", "y"))
    no_suffix = write(tmp_path / "truth", text.replace(",", ";"))
    assert read_ground_truth(no_suffix).videos == truth.videos


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("video,labels\na,x\n", "line 1: no column 'label'.*video,label,start,end"),
        ("video,label,start,end\n,x,1,2\n", "line 2: names no video"),
        ("video,label,start,end\na,,1,2\n", "line 2: an interval without a label"),
        ("video,label,start,end\na,x,1:02,2\n", "line 2: start '1:02' is not a number of seconds"),
        ("video,label,start,end\na,x,1,\n", "line 2: end '' is not a number"),
        ("video,label,start,end\na,x,1,inf\n", "line 2: end 'inf' is not a number"),
        ("video,label,start,end\na,x,1,5,2,5\n", "line 2: 6 values for 4 columns.*quotes"),
        ("video,label,start,end\n", "no annotated video"),
    ],
)
def test_mistakes_in_a_table_of_intervals(tmp_path, text, words):
    path = write(tmp_path / "truth.csv", text)
    with pytest.raises(BasnetError, match=words) as caught:
        read_ground_truth(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_table_has_no_subsets(tmp_path):
    path = write(tmp_path / "truth.csv", "video,label,start,end\na,x,1,2\n")
    with pytest.raises(BasnetError, match="no subset 'test'; leave out --subset"):
        read_ground_truth(path, "test")


def test_classes_that_look_alike_are_remarked(tmp_path, caplog):
    text = "video,labels\na,Push Up\nb,push_up;run\nc,pull up\n"
    with caplog.at_level(logging.WARNING):
        labels = read_labels(write(tmp_path / "l.csv", text))
    assert labels.classes == ("Push Up", "push_up", "run", "pull up")
    assert "'Push Up', 'push_up' count as 2 classes" in caplog.text
    assert "run" not in caplog.text


def test_a_class_that_is_not_in_the_list_gets_a_hint(tmp_path):
    path = write(tmp_path / "l.csv", "video,labels\na,Run\n")
    with pytest.raises(BasnetError, match=r"'Run' \(did you mean 'run'\?\)"):
        read_labels(path, classes=["run"])


def test_names_of_classes_are_read_in_one_unicode_form(tmp_path):
    composed, apart = "caf\u00e9", "cafe\u0301"
    text = f"video,labels\na,{composed}\nb,{apart}\n"
    assert read_labels(write(tmp_path / "l.csv", text)).classes == (composed,)
    assert read_classes(write(tmp_path / "c.txt", apart)) == (composed,)
    path = database(tmp_path / "gt.json", a=("test", [{"label": apart, "segment": [0, 1]}]))
    assert read_ground_truth(path).classes == (composed,)
    twice = f"video,labels\n{apart},x\n{composed},y\n"
    with pytest.raises(BasnetError, match=r"line 3.*already on line 2"):
        read_labels(write(tmp_path / "l.csv", twice))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not valid JSON"),
        ('{"a": 1}', "not an annotation file"),
        ('{"database": {}}', "no videos"),
        (
            '{"database": {"a": {"annotations": 3}}}',
            r"got a whole number at \$.database\['a'\].annotations",
        ),
        ('{"database": {"a": {"annotation": []}}}', "'annotation', as in COIN's files"),
        ('{"database": {"a": {"annotations": []}, "a": {"annotations": []}}}', "duplicate key 'a'"),
        (
            '{"database": {"a": {"annotations": [{"segment": [0, 1]}]}}}',
            r"`label` at .*\['a'\].annotations\[0\]",
        ),
        (
            '{"database": {"a": {"annotations": [{"label": "x"}]}}}',
            r"\['a'\].annotations\[0\].segment",
        ),
        (
            '{"database": {"a": {"annotations": [{"label": "x", "segment": [0, "end"]}]}}}',
            r"\['a'\].annotations\[0\].segment\[1\]",
        ),
        (
            '{"database": {"a": {"annotations": [{"label": "x", "segment": [0, NaN]}]}}}',
            "NaN is not a number",
        ),
    ],
)
def test_damaged_annotations_are_one_line(tmp_path, text, words):
    path = write(tmp_path / "gt.json", text)
    with pytest.raises(BasnetError, match=words) as caught:
        read_ground_truth(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_published_thumos_annotations(shared_data):
    labels = read_labels(shared_data / "thumos14" / "gt.json")
    assert (len(labels.videos), len(labels.classes)) == (200, 20)
    assert sum(len(found) > 1 for found in labels.videos.values()) == 27
    truth = read_ground_truth(shared_data / "thumos14" / "gt.json", "test")
    assert sum(map(len, truth.videos.values())) == 3311
    listed = (shared_data / "thumos14" / "split_test.txt").read_text().split()
    assert set(truth.videos) == set(listed)


def test_real_csv_with_windows_line_ends(shared_data):
    labels = read_labels(shared_data / "spliced" / "train_labels.csv")
    assert len(labels.videos) == 40
    assert set(labels.classes) == {"fight", "push_up"}
