"""More than this machine, as a user gives it: URLs in and out, a Ray cluster, shards."""

import functools
import http.server
import json
import shutil
import threading
import uuid

import numpy as np
import pytest

from basnet_e2e.cli import main
from basnet_e2e.demo.footage.encode import write_video
from extract.jobs.store import FeatureCache
from extract.pipeline.extractor import Extractor
from extract.sources import storage
from extract.sources.urls import Url

NAMES = ("a", "b", "deep/c", "deep/d")
BOTH = ("--backbone", "i3d-mini", "--device", "cpu")
MINI = (*BOTH, "--streams", "rgb")


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    pictures = np.random.default_rng(0).integers(0, 255, (40, 96, 128, 3), np.uint8)
    for number, name in enumerate(NAMES):
        path = folder / f"{name}.mp4"
        path.parent.mkdir(exist_ok=True)
        write_video(path, list(pictures[number : number + 24]), 25, (128, 96))
    return folder


@pytest.fixture(scope="module")
def elsewhere(clips):
    folder = Url(f"memory://{uuid.uuid4().hex}")
    for name in NAMES:
        storage.write(folder / f"in/{name}.mp4", (clips / f"{name}.mp4").read_bytes())
    return folder


@pytest.fixture(scope="module")
def whole(clips, tmp_path_factory):
    """Features that one process made."""
    out = tmp_path_factory.mktemp("whole")
    with pytest.raises(SystemExit) as ended:
        main(["extract", str(clips), "-o", str(out), *BOTH])
    assert ended.value.code == 0
    return contents(out)


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_two_shards_make_the_same_bytes(clips, whole, tmp_path, run):
    for index in range(2):
        assert run("extract", clips, "-o", tmp_path / "o", *BOTH, "--shard", f"{index}/2")[0] == 0
    assert contents(tmp_path / "o") == whole


@pytest.mark.xdist_group("ray")
def test_two_machines_of_a_cluster_make_the_same_bytes(
    clips, whole, tmp_path, run, ray_cluster, monkeypatch
):
    monkeypatch.chdir(clips.parent)  # the machines stand in folders of their own
    out = tmp_path / "out"
    code, _, err = run("extract", clips.name, "-o", out, *BOTH, "--ray", ray_cluster.address)
    assert code == 0, err
    assert any("on Ray: 2 videos at a time, 2 cores each" in line for line in err)
    assert any("features of 4 videos written" in line for line in err)
    assert contents(out) == whole


def test_urls_in_and_out_make_the_same_bytes(elsewhere, whole, run):
    code, _, err = run("extract", elsewhere / "in", "-o", elsewhere / "out", *BOTH)
    assert code == 0, err
    assert f"features of 4 videos written to {elsewhere}/out" in err[-1]
    assert {name: storage.read(elsewhere / "out" / name) for name in whole} == whole
    assert storage.names_below(elsewhere / "out") == sorted(whole)
    code, _, err = run("extract", elsewhere / "in", "-o", elsewhere / "out", *BOTH)
    assert (code, "0 to do, 4 done before" in err[-1]) == (0, True)


def test_failures_elsewhere_are_listed_there(elsewhere, run):
    storage.write(elsewhere / "in/broken.mp4", b"no video")
    try:
        code, _, err = run("extract", elsewhere / "in/broken.mp4", "-o", elsewhere / "bad", *MINI)
    finally:
        storage.remove(elsewhere / "in/broken.mp4")
    assert code == 1
    assert f"1 failed, see {elsewhere}/bad/failures.json" in "\n".join(err)
    (row,) = json.loads(storage.read(elsewhere / "bad/failures.json"))["failed"]
    assert row["error"].startswith(f"{elsewhere}/in/broken.mp4: ")


def test_a_dry_run_reads_and_writes_nothing_elsewhere(elsewhere, run):
    code, out, err = run("extract", elsewhere / "in", "-o", elsewhere / "x", *MINI, "--dry-run")
    assert code == 0
    assert out.splitlines()[0] == f"a\t{elsewhere}/in/a.mp4"
    assert "(4 do not say how long they are)" in "\n".join(err)
    assert not storage.version(elsewhere / "x")


@pytest.mark.parametrize(
    ("videos", "output", "words"),
    [
        ("memory://none/a.mp4", "out", "no such file or folder"),
        ("nosuch://a/b.mp4", "out", "not a kind of URL that fsspec knows"),
        (None, "https://host/out", "nothing can be written over https"),
    ],
)
def test_mistakes_are_told_in_one_line(elsewhere, tmp_path, run, videos, output, words):
    output = output if "://" in output else tmp_path / output
    code, _, err = run("extract", videos or elsewhere / "in", "-o", output, *MINI)
    assert (code, words in err[-1]) == (2, True), err


def test_localize_and_classify_take_urls(clips, elsewhere, tmp_path, run, monkeypatch):
    here, there = tmp_path / "here.json", tmp_path / "there.json"
    options = ("--backbone", "i3d-mini", "--device", "cpu", "--min-score", "0")
    assert run("localize", clips / "a.mp4", "-o", here, *options, "--no-cache")[0] == 0
    page = tmp_path / "page.html"
    url = elsewhere / "in/a.mp4"
    code, _, err = run("localize", url, "-o", there, *options, "--report", page)
    assert code == 0, err
    assert json.loads(there.read_text())["intervals"] == json.loads(here.read_text())["intervals"]
    assert page.is_file()
    assert FeatureCache().size()[0] == 1

    def never(*arguments, **options):
        raise AssertionError("extracted again")

    monkeypatch.setattr(Extractor, "extract", never)
    there.unlink()
    assert run("localize", url, "-o", there, *options)[0] == 0
    code, _, err = run("localize", elsewhere / "in/a.safetensors", "-o", there, *options)
    assert code == 2


def test_several_videos_elsewhere_are_a_list(elsewhere, run):
    code, out, _ = run("localize", elsewhere / "in/deep", "--backbone", "i3d-mini")
    assert code == 0
    assert [row["video"] for row in json.loads(out)["videos"]] == ["c", "d"]


class Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *ignored):
        pass


@pytest.fixture
def web(clips, tmp_path_factory):
    """Address of a server of a clip and a broken file, without ``http://``."""
    pytest.importorskip("aiohttp", reason="needs aiohttp")
    folder = tmp_path_factory.mktemp("web")
    shutil.copy(clips / "a.mp4", folder)
    (folder / "broken.mp4").write_bytes(b"no video")
    handler = functools.partial(Silent, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def test_no_credential_of_a_url_is_written_or_said(web, tmp_path, run):
    there = f"http://me:hunter2@{web}/a.mp4?token=T0PS3CRET"
    broken = f"http://me:hunter2@{web}/broken.mp4?token=T0PS3CRET"
    code, out, err = run("extract", there, broken, "-o", tmp_path / "f", *MINI, "-v")
    said = [out, *err]
    assert code == 1
    assert any("http://***@" in line for line in err)
    options = ("--backbone", "i3d-mini", "--device", "cpu", "-o", tmp_path / "r.json")
    code, out, err = run("localize", there, broken, *options, "-v")
    assert code == 1
    said += [out, *err]
    assert [
        video["video"] for video in json.loads((tmp_path / "r.json").read_text())["videos"]
    ] == ["a"]
    said += [path.read_bytes().decode("utf-8", "replace") for path in tmp_path.rglob("*.*")]
    assert len(said) > 10
    assert [text for text in said if "hunter2" in text or "T0PS3CRET" in text] == []
