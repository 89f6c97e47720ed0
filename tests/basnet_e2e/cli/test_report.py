"""`basnet report` as a user runs it."""

import json

import pytest
from made_reports import made_evidence, made_result, write_clip, write_result

from basnet_e2e.report.evidence import evidence_path


def data_of(path):
    text = path.read_text("utf-8")
    return json.loads(text.split('id="data">')[1].split("</script>")[0])


@pytest.fixture
def clip(tmp_path):
    return write_clip(tmp_path / "videos" / "game.webm", seconds=4)


@pytest.fixture(autouse=True)
def folders(tmp_path):
    (tmp_path / "videos").mkdir()


def test_a_page_of_one_video(run, tmp_path, clip):
    result = made_result("game", 4.0, 3, file="game.webm")
    path = write_result(tmp_path / "results", result, made_evidence(result))
    page = tmp_path / "page.html"
    code, out, err = run("report", path, "--videos", tmp_path / "videos", "-o", page)
    assert (code, out, err) == (0, "", [f"{page} written"])
    data = data_of(page)
    assert data["source"] == "./videos/game.webm"
    assert len(data["thumbnails"]) == 8
    assert [each["label"] for each in data["curves"]["classes"]] == ["dive", "jump"]
    assert data["document"]["intervals"] == result["intervals"]


def test_the_video_beside_the_result_is_found(run, tmp_path, clip):
    path = write_result(tmp_path / "videos", made_result("game", 4.0, 1, file="game.webm"))
    assert run("report", path, "-o", tmp_path / "videos" / "page.html")[0] == 0
    assert data_of(tmp_path / "videos" / "page.html")["source"] == "./game.webm"


def test_without_a_video_there_is_still_a_page(run, tmp_path):
    path = write_result(tmp_path, made_result("game", 4.0, 1))
    assert run("report", path, "-o", tmp_path / "page.html")[0] == 0
    data = data_of(tmp_path / "page.html")
    assert (data["source"], data["thumbnails"], data["curves"]) == (None, [], None)


def test_kept_thumbnails_spare_the_decoding(run, tmp_path, clip, monkeypatch):
    from basnet_e2e.report import gather
    from basnet_e2e.report.evidence import Thumbnail

    result = made_result("game", 4.0, 1, file="game.webm")
    kept = made_evidence(result, [Thumbnail(1.0, b"picture")])
    path = write_result(tmp_path, result, kept)

    def refuse(path):
        raise AssertionError("decoded again")

    monkeypatch.setattr(gather, "take_thumbnails", refuse)
    assert run("report", path, "--videos", clip.parent, "-o", tmp_path / "page.html")[0] == 0
    assert [each["time"] for each in data_of(tmp_path / "page.html")["thumbnails"]] == [1.0]


def test_a_damaged_video_costs_its_frames_alone(run, tmp_path):
    (tmp_path / "videos" / "game.mp4").write_bytes(b"not a video")
    path = write_result(tmp_path, made_result("game", 4.0, 1))
    code, _, err = run("report", path, "--videos", tmp_path / "videos", "-o", tmp_path / "p.html")
    assert code == 0
    assert len(err) == 2
    assert err[0].startswith("warning: ")
    assert "its page has no frames" in err[0]


def test_a_folder_of_many(run, tmp_path, clip):
    results = tmp_path / "results"
    write_result(results, made_result("game", 4.0, 2, file="game.webm"))
    document = {
        "videos": [made_result("day/a", 9.0, 1), made_result("b", 9.0, 0)],
        "failed": [{"video": "c", "file": "c.mp4", "error": "c.mp4: the file is empty"}],
    }
    (results / "more.json").write_text(json.dumps(document))
    evidence = made_evidence(document["videos"][0])
    evidence.save(evidence_path(results / "more.json", "day/a", many=True))
    (results / "gt.json").write_text('{"database": {}}')  # no result
    site = tmp_path / "site"
    code, _, err = run("report", results, "--videos", clip.parent, "-o", site)
    assert (code, err) == (0, [f"{site / 'index.html'} written (3 videos)"])
    written = sorted(path.relative_to(site).as_posix() for path in site.rglob("*.html"))
    assert written == ["index.html", "pages/b.html", "pages/day/a.html", "pages/game.html"]
    assert data_of(site / "pages" / "game.html")["source"] == "./../../videos/game.webm"
    assert data_of(site / "pages" / "day" / "a.html")["curves"] is not None
    assert 'href="./../../index.html"' in (site / "pages" / "day" / "a.html").read_text("utf-8")
    assert "c.mp4: the file is empty" in (site / "index.html").read_text("utf-8")


def test_ground_truth(run, tmp_path):
    truth = {
        "database": {
            "game": {
                "subset": "test",
                "annotations": [{"label": "swim", "segment": ["1", "2.5"]}],
            },
            "elsewhere": {"subset": "test", "annotations": []},
        }
    }
    (tmp_path / "gt.json").write_text(json.dumps(truth))
    first = write_result(tmp_path, made_result("game", 4.0, 1))
    second = write_result(tmp_path, made_result("other", 4.0, 1))
    gt = ("--ground-truth", tmp_path / "gt.json")
    code, _, err = run("report", first, second, *gt, "-o", tmp_path / "site")
    assert code == 0
    assert err[0] == f"warning: {tmp_path / 'gt.json'}, subset test, says nothing of 'other'"
    game, other = (data_of(tmp_path / "site" / "pages" / f"{n}.html") for n in ("game", "other"))
    assert game["truth"] == [{"label": "swim", "start": 1.0, "end": 2.5}]
    assert game["lanes"] == ["dive", "swim"]
    assert other["truth"] is None


def test_several_videos_do_not_fit_one_page(run, tmp_path):
    paths = [write_result(tmp_path, made_result(name, 4.0, 1)) for name in "ab"]
    code, _, err = run("report", *paths, "-o", tmp_path / "page.html")
    assert code == 2
    assert len(err) == 1
    assert "2 videos do not fit the page" in err[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not valid JSON"),
        ('{"results": {"v": []}}', "write the result with --format json"),
        ('{"database": {}}', "no detections in this file"),
        ('{"video": "v", "duration": 0, "intervals": []}', "duration of video 'v' is not above"),
        ('{"videos": []}', "no video has a result here"),
    ],
)
def test_what_is_no_result(run, tmp_path, text, message):
    path = tmp_path / "result.json"
    path.write_text(text)
    code, _, err = run("report", path, "-o", tmp_path / "page.html")
    assert code == 2
    assert len(err) == 1
    assert message in err[0]
    assert not (tmp_path / "page.html").exists()


def test_mistakes_in_the_arguments(run, tmp_path):
    path = write_result(tmp_path, made_result("game", 4.0, 1))
    code, _, err = run("report", path, "--videos", tmp_path / "nowhere", "-o", tmp_path / "p.html")
    assert (code, len(err)) == (2, 1)
    assert "--videos names the folder" in err[0]
    code, _, err = run("report", path, "--embed", "-o", tmp_path / "p.html")
    assert (code, len(err)) == (2, 1)
    assert "the video to embed was not found" in err[0]
    evidence_path(path, "game", many=False).write_bytes(b"damaged")
    code, _, err = run("report", path, "-o", tmp_path / "p.html")
    assert (code, len(err)) == (2, 1)
    assert "game.evidence: cannot be read" in err[0]


def test_intervals_are_held_within_the_video(run, tmp_path):
    result = made_result("game", 4.0, 0)
    result["intervals"] = [
        {"label": "dive", "start": -1, "end": "9", "score": 0.5, "note": "kept"},
        {"label": "dive", "start": 5, "end": 6, "score": 0.5},
    ]
    path = write_result(tmp_path, result)
    assert run("report", path, "-o", tmp_path / "page.html")[0] == 0
    assert data_of(tmp_path / "page.html")["document"]["intervals"] == [
        {"label": "dive", "start": 0.0, "end": 4.0, "score": 0.5, "note": "kept"}
    ]
