"""What stands in the files of a report, whatever is in the results."""

import json
import re
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_reports import made_evidence, made_result

from basnet_e2e.errors import BasnetError
from basnet_e2e.report.evidence import Evidence
from basnet_e2e.report.pages import page as pages
from basnet_e2e.report.pages.index import index_html, line_of, page_names
from basnet_e2e.report.pages.page import Report, page_html, relative_url
from basnet_e2e.report.pages.rendering import script_json
from basnet_e2e.report.thumbnails import ThumbnailRecorder, encode, take_thumbnails, thumbnail_times

ASSETS = Path(pages.__file__).parent / "assets"
PAGE = Path("page.html")


def data_of(html):
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', html, re.S)
    return json.loads(text)


def report_of(result, evidence=None, truth=None, video=None):
    none = Evidence.none(result["video"], result["duration"])
    return Report(result, evidence or none, truth, video)


@settings(max_examples=50, deadline=None)
@given(st.recursive(st.text() | st.floats(allow_nan=False, allow_infinity=False), st.lists))
def test_json_in_a_script_cannot_end_it(value):
    text = script_json(value)
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == value


@settings(max_examples=50, deadline=None)
@given(st.text(alphabet=st.sampled_from("<>/\"'&script!-{}% א\ud800"), min_size=1, max_size=40))
def test_names_add_no_markup(name):
    plain = made_result("v", 10.0, 2)
    odd = plain | {
        "file": name,
        "model": name,
        "classes": {name: 0.5},
        "intervals": [each | {"label": name} for each in plain["intervals"]],
    }
    tags = [re.findall(r"<[a-zA-Z/!]+", page_html(report_of(each), PAGE)) for each in (plain, odd)]
    assert tags[1] == tags[0]


def test_the_page_holds_the_result_as_it_is():
    result = made_result("a/b", 30.0, 5) | {"made": {"model": "abc"}}
    data = data_of(page_html(report_of(result), PAGE))
    assert data["document"] == result
    assert data["truth"] is None
    assert data["curves"] is None


def test_a_page_refers_to_nothing_outside():
    html = page_html(report_of(made_result(), made_evidence(made_result())), PAGE, index="./i.html")
    assert not re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]", html)
    assert re.findall(r'(?:src|href)="([^"]*)"', html) == ["data:,", "#axis", "./i.html"]


def test_a_minute_of_video_stays_below_a_megabyte(tmp_path):
    import numpy as np

    # Noise: no picture of a real video takes as many bytes.
    chance = np.random.default_rng(0)
    taker = ThumbnailRecorder(60.0)
    for second in np.arange(0, 60, 0.5):
        taker.on_frame(float(second), chance.integers(0, 255, (240, 320, 3), np.uint8))
    result = made_result("v", 60.0, 60, labels=[f"class {n}" for n in range(12)])
    html = page_html(report_of(result, made_evidence(result, taker.taken)), PAGE)
    assert len(taker.taken) == 30
    assert len(html.encode()) < 1_000_000


def test_every_asset_is_used():
    from basnet_e2e.report.pages import index

    used = {*pages.STYLES, *pages.SCRIPTS, *index.STYLES, *index.SCRIPTS}
    assert used == {path.name for path in ASSETS.iterdir() if path.is_file()}


@pytest.mark.parametrize("name", ["a b#c?.mp4", "100%.mp4", "x:y.mp4", "ח.mp4"])
def test_addresses_of_videos_are_quoted(tmp_path, name):
    url = relative_url(tmp_path / "videos" / name, tmp_path / "out" / "page.html")
    assert url.startswith("./../videos/")
    assert not set("#? ") & set(url)
    assert unquote(url) == f"./../videos/{name}"


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(max_size=200), max_size=8))
def test_pages_have_names_of_their_own_and_stay_in_the_folder(videos):
    names = page_names(videos)
    assert len({name.casefold() for name in names}) == len(videos)
    for name in names:
        assert name.endswith(".html")
        for part in name.split("/"):
            assert part not in ("", ".", "..")
            assert "\\" not in part
            assert len(part.encode()) < 200


def test_embedding_what_is_not_there_or_too_large(tmp_path, monkeypatch):
    with pytest.raises(BasnetError, match="the video to embed was not found"):
        page_html(report_of(made_result()), PAGE, embed=True)
    video = tmp_path / "game.mp4"
    video.write_bytes(b"x" * 100)
    monkeypatch.setattr(pages, "EMBED_LIMIT", 50)
    with pytest.raises(BasnetError, match=r"game\.mp4: .* too many to embed"):
        page_html(report_of(made_result(), video=video), PAGE, embed=True)


def test_the_list_names_every_video():
    results = [made_result(f"v{n}", 10.0, n, labels=("<b>", "jump")) for n in range(4)]
    lines = [line_of(report_of(each), f"./pages/{each['video']}.html") for each in results]
    html = index_html(lines)
    assert [unquote(each) for each in re.findall(r'href="(\./pages/[^"]*)"', html)] == [
        f"./pages/v{n}.html" for n in range(4)
    ]
    assert "<b>" not in html
    data = data_of(html)
    assert data["classes"] == ["<b>", "jump"]
    assert [len(each["intervals"]) for each in data["videos"]] == [0, 1, 2, 3]


def test_thumbnails_show_their_time(clip):
    import io

    import numpy as np
    from PIL import Image

    pictures = take_thumbnails(clip)
    assert [each.time for each in pictures] == pytest.approx(thumbnail_times(20.0))
    levels = [
        np.asarray(Image.open(io.BytesIO(each.jpeg)).convert("L")).mean() for each in pictures
    ]
    expected = [20 + 10 * each.time for each in pictures]
    np.testing.assert_allclose(levels, expected, atol=6)


def test_frames_that_pass_by_give_the_same_thumbnails(clip):
    from extract.video.clip import open_video

    taker = ThumbnailRecorder(20.0)
    with open_video(clip) as opened:
        for time, frame in opened.frames():
            taker.on_frame(time, frame)
    decoded = take_thumbnails(clip)
    assert len(taker.taken) == len(decoded)
    # The next frame of the grid, at most a twenty-fifth of a second later.
    for ours, theirs in zip(taker.taken, decoded, strict=True):
        assert 0 <= ours.time - theirs.time < 0.041


def test_a_thumbnail_is_small_and_keeps_its_shape():
    import io

    import numpy as np
    from PIL import Image

    wide = encode(np.zeros((480, 854, 3), np.uint8))
    assert Image.open(io.BytesIO(wide)).size == (160, 90)
    panorama = encode(np.zeros((100, 2000, 3), np.uint8))
    assert Image.open(io.BytesIO(panorama)).size == (240, 12)
