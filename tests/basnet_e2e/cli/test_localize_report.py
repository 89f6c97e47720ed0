"""`basnet localize --report`: pages of a run, made of what was seen in it."""

import json

import numpy as np
import pytest
from random_model import CLASSES, make_model

from basnet_e2e.demo.footage.encode import write_video
from basnet_e2e.report.evidence import Evidence
from extract.pipeline.extractor import Extractor
from extract.pipeline.settings import ExtractSettings


def data_of(path):
    text = path.read_text("utf-8")
    return json.loads(text.split('id="data">')[1].split("</script>")[0])


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Two videos of two seconds and a model for their features."""
    folder = tmp_path_factory.mktemp("clips")
    texture = np.random.default_rng(0).integers(0, 255, (96, 300, 3), np.uint8)
    for index, name in enumerate(("one", "two")):
        frames = (texture[:, index * 9 + n : index * 9 + n + 128] for n in range(50))
        write_video(folder / "videos" / f"{name}.mp4", frames, 25, (128, 96))
    extractor = Extractor(ExtractSettings("i3d-mini", streams=("rgb",)))
    make_model(folder / "m.safetensors", extractor.file_settings, 256)
    return folder


@pytest.fixture
def no_second_decoding(monkeypatch):
    from basnet_e2e.report import gather

    def refuse(path):
        raise AssertionError(f"{path} decoded again")

    monkeypatch.setattr(gather, "take_thumbnails", refuse)


def localize(run, clips, *arguments):
    return run("localize", "-m", clips / "m.safetensors", "--keep", "all", *arguments)


def test_a_page_with_the_result_on_stdout(run, clips, tmp_path, no_second_decoding):
    page = tmp_path / "page.html"
    code, out, err = localize(run, clips, clips / "videos" / "one.mp4", "--report", page)
    assert code == 0
    assert err[-1] == f"{page} written"
    data = data_of(page)
    assert data["document"] == json.loads(out)
    assert len(data["thumbnails"]) == 8
    assert {each["label"] for each in data["curves"]["classes"]} == set(CLASSES)
    assert data["curves"]["foreground"]
    assert data["source"].endswith("videos/one.mp4")
    assert list(tmp_path.iterdir()) == [page]


def test_evidence_stands_beside_the_result(run, clips, tmp_path, no_second_decoding):
    out, page = tmp_path / "out.json", tmp_path / "page.html"
    options = (clips / "videos" / "one.mp4", "-o", out, "--report", page)
    assert localize(run, clips, *options)[0] == 0
    evidence = Evidence.load(tmp_path / "out.evidence")
    assert (evidence.video, len(evidence.thumbnails)) == ("one", 8)
    assert evidence.cas.max() == 255  # the highest activation of a class is 1
    first = page.read_bytes()
    page.unlink()
    # What is done is not done again, and the page is the same.
    code, _, err = localize(run, clips, *options)
    assert code == 0
    assert "1 of 1 done before" in err
    assert page.read_bytes() == first
    again = tmp_path / "again.html"
    assert run("report", out, "--videos", clips / "videos", "-o", again)[0] == 0
    assert again.read_bytes() == first


@pytest.mark.parametrize("where", ["out.json", "results/", None])
def test_a_folder_gives_a_list_and_pages(run, clips, tmp_path, no_second_decoding, where):
    output = () if where is None else ("-o", f"{tmp_path}/{where}")
    site = tmp_path / "site"
    code, _, err = localize(run, clips, clips / "videos", *output, "--report", site)
    assert code == 0
    assert err[-1] == f"{site / 'index.html'} written"
    for name in ("one", "two"):
        data = data_of(site / "pages" / f"{name}.html")
        assert data["document"]["video"] == name
        assert data["curves"] is not None
        assert len(data["thumbnails"]) == 8
    if where == "out.json":
        assert (tmp_path / "out.evidence" / "two.evidence").is_file()
    elif where:
        assert (tmp_path / "results" / "two.evidence").is_file()


def test_a_broken_video_is_listed_and_the_rest_has_pages(run, clips, tmp_path):
    import shutil

    shutil.copytree(clips / "videos", tmp_path / "v")
    (tmp_path / "v" / "bad.mp4").write_bytes(b"no video")
    code, _, _ = localize(run, clips, tmp_path / "v", "--report", tmp_path / "site")
    assert code == 1
    assert sorted(path.name for path in (tmp_path / "site" / "pages").iterdir()) == [
        "one.html",
        "two.html",
    ]
    assert "<bdi>bad</bdi>" in (tmp_path / "site" / "index.html").read_text("utf-8")


def test_features_bring_curves_and_the_video_beside_them_frames(run, clips, tmp_path):
    import shutil

    extractor = Extractor(ExtractSettings("i3d-mini", streams=("rgb",)))
    features = extractor.extract(clips / "videos" / "one.mp4")
    shutil.copy(clips / "videos" / "one.mp4", tmp_path)
    features.save(tmp_path / "one.safetensors")
    page = tmp_path / "page.html"
    assert localize(run, clips, tmp_path / "one.safetensors", "--report", page)[0] == 0
    data = data_of(page)
    assert data["source"] == "./one.mp4"
    assert len(data["thumbnails"]) == 8
    assert data["curves"] is not None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("videos", "--report", "page.html"), "2 videos do not fit the page"),
        (("videos/one.mp4", "--report", "m.html"), "holds labels, not a page of a report"),
        (
            ("videos/one.mp4", "-o", "o.json", "--format", "activitynet", "--report", "p.html"),
            "needs --format json",
        ),
    ],
)
def test_mistakes_are_seen_before_work(run, clips, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "videos").symlink_to(clips / "videos")
    (tmp_path / "m.html").write_text("video,labels\na,b\n")
    code, out, err = localize(run, clips, *arguments)
    assert (code, out) == (2, "")
    assert message in err[-1]
    assert not (tmp_path / "o.json").exists()


def test_nothing_of_the_users_is_overwritten(run, clips, tmp_path):
    page = tmp_path / "page.html"
    page.write_text("<!doctype html><p>my own page")
    video = clips / "videos" / "one.mp4"
    assert localize(run, clips, video, "--report", page)[0] == 2
    assert page.read_text() == "<!doctype html><p>my own page"
    assert localize(run, clips, video, "--report", page, "--force")[0] == 0
    assert data_of(page)["document"]["video"] == "one"
    # A page of ours is replaced.
    assert localize(run, clips, video, "--report", page)[0] == 0
