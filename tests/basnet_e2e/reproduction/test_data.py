import statistics

import numpy as np
import pytest
from published_tree import CLASSES, WIDTH, read_truth, write_tree, write_truth

from basnet_e2e import BasnetError, Interval
from basnet_e2e.heads.basnet.settings import RECIPES
from basnet_e2e.reproduction.data import read_benchmark
from basnet_e2e.reproduction.published import PROTOCOLS, RECIPE_TITLES

THUMOS = PROTOCOLS["thumos14"]
pytestmark = pytest.mark.usefixtures("one_thread")


def test_the_published_layout_is_read_as_it_is(tree):
    found = read_benchmark(tree, THUMOS)
    assert [video.id for video in found.train.videos] == [f"train_{n}" for n in range(6)]
    assert found.train.labels == [(CLASSES[n % 2],) for n in range(6)]
    assert found.train.classes == ("jump", "swim")  # by name, as in the released code
    assert found.train.videos[0].x.shape[1] == 2 * WIDTH
    assert [video.id for video in found.test] == [f"test_{n}" for n in range(4)]
    assert found.truth.videos["test_1"] == [Interval("jump", 3.2, 7.68)]
    assert not found.same_data
    assert "not the data of THUMOS'14 (2 classes" in found.notes[0]


def test_split_lists_choose_the_videos(tree):
    (tree / "split_train.txt").write_text("train_1\ntrain_2\n\n")
    (tree / "split_test.txt").write_text("test_0\ntest_3\n")
    found = read_benchmark(tree, THUMOS)
    assert [video.id for video in found.train.videos] == ["train_1", "train_2"]
    assert list(found.truth.videos) == [video.id for video in found.test] == ["test_0", "test_3"]


def test_separate_labels_replace_annotated_training_videos(tree, tmp_path, run):
    whole = read_benchmark(tree, THUMOS)
    database = read_truth(tree)
    write_truth(tree, {name: each for name, each in database.items() if name.startswith("test")})
    labels = tmp_path / "labels.csv"
    rows = [f"train_{n},{CLASSES[n % 2]}" for n in range(6)]
    labels.write_text("\n".join(["video,labels", *rows]) + "\n")
    found = read_benchmark(tree, THUMOS, labels=labels)
    assert found.train.labels == whole.train.labels
    assert found.train.classes == whole.train.classes
    assert found.truth.videos == whole.truth.videos
    labels.write_text("\n".join(["video,labels", *rows, "test_0,swim"]) + "\n")
    with pytest.raises(BasnetError, match="trained and tested on the same videos: 'test_0'"):
        read_benchmark(tree, THUMOS, labels=labels)
    command = ("reproduce", "thumos14", "--features", tree, "--labels", labels)
    code, _, err = run(*command, "-o", tmp_path / "out", "--heads", "basnet")
    assert code == 2
    assert any("trained and tested on the same videos" in line for line in err)


@pytest.mark.parametrize(("part", "name"), [("train", "test_0"), ("test", "train_0")])
def test_a_split_list_cannot_move_videos_between_the_subsets(tree, part, name):
    (tree / f"split_{part}.txt").write_text(f"{part}_0\n{name}\n")
    with pytest.raises(BasnetError, match=f"not annotated as .* videos: '{name}'"):
        read_benchmark(tree, THUMOS)


def test_one_folder_of_all_videos_is_divided_by_the_annotations(tmp_path):
    root = write_tree(tmp_path, divided=False, streams=("rgb",))
    found = read_benchmark(root, THUMOS)
    assert len(found.train.videos) == 6
    assert len(found.test) == 4


def test_names_of_activitynet_files_match(tmp_path):
    root = write_tree(tmp_path, prefix="v_")
    found = read_benchmark(root, PROTOCOLS["activitynet12"])
    assert found.test[0].id == "v_test_0"
    assert found.truth.videos["v_test_0"] == [Interval("swim", 3.2, 7.68)]


def test_test_videos_without_features_are_named_and_do_not_count(tree):
    for stream in ("rgb", "flow"):
        (tree / "features" / "test" / stream / "test_2.npy").unlink()
    found = read_benchmark(tree, THUMOS)
    assert list(found.truth.videos) == ["test_0", "test_1", "test_3"]
    assert "1 annotated test videos have no features" in found.notes[-1]
    assert "'test_2'" in found.notes[-1]


def test_odd_annotations_and_unseen_classes_are_noted(tree):
    truth = read_truth(tree)
    truth["test_0"]["annotations"].append({"label": "fly", "segment": [9, 8]})
    write_truth(tree, truth)
    notes = "; ".join(read_benchmark(tree, THUMOS).notes)
    assert "reversed, never found" in notes
    assert "test_0 fly 9-8 s" in notes
    assert "no training video has the class 'fly'" in notes


def test_two_names_of_one_video_are_an_error(tree):
    truth = read_truth(tree)
    truth["v_test_0"] = truth["test_0"]
    write_truth(tree, truth)
    with pytest.raises(BasnetError, match="'test_0', 'v_test_0' mean the same video"):
        read_benchmark(tree, THUMOS)


def test_annotations_without_a_test_subset_are_refused(tree):
    truth = {name: entry for name, entry in read_truth(tree).items() if "train" in name}
    write_truth(tree, truth)
    with pytest.raises(BasnetError, match="no test subset beside the training subset"):
        read_benchmark(tree, THUMOS)


def test_split_lists_divide_annotations_without_subsets(tree):
    truth = read_truth(tree)
    for entry in truth.values():
        del entry["subset"]
    truth["test_0"]["annotations"][0]["label"] = "fly"
    write_truth(tree, truth)
    with pytest.raises(BasnetError, match="no test subset beside"):
        read_benchmark(tree, THUMOS)
    for part, count in (("train", 6), ("test", 4)):
        names = [f"{part}_{n}" for n in range(count)]
        (tree / f"split_{part}.txt").write_text("\n".join(names))
    found = read_benchmark(tree, THUMOS)
    assert found.train.classes == ("jump", "swim")  # nothing of the test videos
    assert len(found.test) == 4
    (tree / "split_test.txt").write_text("test_0\ntrain_0\n")
    with pytest.raises(BasnetError, match="trained and tested on the same videos: 'train_0'"):
        read_benchmark(tree, THUMOS)


def test_activitynet_folders_are_named_after_its_subsets(tree):
    features = tree / "features"
    (features / "train").rename(features / "training")
    (features / "test").rename(features / "validation")
    for stream in ("rgb", "flow"):
        (features / "testing" / stream).mkdir(parents=True)
        np.save(features / "testing" / stream / "secret.npy", np.ones((3, WIDTH), np.float32))
    truth = read_truth(tree)
    for name, entry in truth.items():
        entry["subset"] = "training" if "train" in name else "validation"
    truth["secret"] = {"subset": "testing", "annotations": []}
    write_truth(tree, truth)
    found = read_benchmark(tree, PROTOCOLS["activitynet13"])
    assert len(found.train.videos) == 6
    assert [video.id for video in found.test] == [f"test_{n}" for n in range(4)]


def test_nothing_to_judge_by_is_found_before_training(tree):
    truth = read_truth(tree)
    truth["test_0"]["annotations"] = []
    write_truth(tree, truth)
    (tree / "split_test.txt").write_text("test_0\n")
    with pytest.raises(BasnetError, match="no annotated interval"):
        read_benchmark(tree, THUMOS)


def test_what_is_missing_is_named(tree, tmp_path, run):
    with pytest.raises(BasnetError, match="no such folder"):
        read_benchmark(tmp_path / "nothing", THUMOS)
    (tree / "gt.json").rename(tmp_path / "other.json")
    with pytest.raises(BasnetError, match=r"gt\.json: no annotations there; name them with"):
        read_benchmark(tree, THUMOS)
    assert read_benchmark(tree, THUMOS, ground_truth=tmp_path / "other.json").test
    code, _, err = run("reproduce", "thumos14", "--features", tree)
    assert code == 2
    assert len(err) == 1


def test_the_paper_s_rows_agree_with_their_averages():
    for each in PROTOCOLS.values():
        for figures in each.ablation.values():
            assert len(figures) == len(each.shown) + 1
            if each.shown == each.tious:
                assert figures[-1] == pytest.approx(statistics.mean(figures[:-1]), abs=0.06)
        assert all(len(method.figures) == len(each.compared) + 1 for method in each.methods)
        assert set(each.ablation) <= set(RECIPES) == set(RECIPE_TITLES)
