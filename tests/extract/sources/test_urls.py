"""URLs: what they are called, what is read and written there, how they fail."""

import errno
import http.server
import threading
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extract.errors import ExtractError
from extract.features.fingerprint import FINGERPRINT_CHUNK, fingerprint
from extract.sources import storage, urls
from extract.sources.find import VideoInput, find_videos, path_or_url, with_unique_ids
from extract.sources.urls import TransferError, Url, masked


@pytest.fixture
def folder():
    return Url(f"memory://{uuid.uuid4().hex}/in")


def test_names_are_those_of_paths():
    url = Url("s3://bucket/games/a b.final.mp4")
    assert (url.scheme, url.name, url.stem, url.suffix) == (
        "s3",
        "a b.final.mp4",
        "a b.final",
        ".mp4",
    )
    assert str(url.parent) == "s3://bucket/games"
    assert str(Url("s3://bucket/games/") / "a.mp4") == "s3://bucket/games/a.mp4"
    assert Url("https://host/my%20game.mp4?key=a/b.c").name == "my game.mp4"


def test_credentials_are_never_shown():
    url = Url("https://me:secret@host/games/a.mp4?token=T/x y:z")
    assert str(url) == "https://***@host/games/a.mp4?***"
    assert repr(url) == "Url('https://***@host/games/a.mp4?***')"
    assert (url.name, url.stem, str(url.parent)) == ("a.mp4", "a", "https://***@host/games")
    assert str(TransferError(errno.EIO, "refused", str(url))) == f"{url}: refused"
    plain = Url("https://host/@user/clip@2x.mp4")
    assert str(plain) == plain.text
    words = (
        "404, message='Not Found', url='https://me:secret@host/a.mp4?token=T' (or http://b/?k=T)"
    )
    hidden = "404, message='Not Found', url='https://***@host/a.mp4?***' (or http://b/?***"
    assert masked(words) == hidden


def test_ids_hold_no_credentials():
    given = [Url(f"https://me:secret@{host}/v/a.mp4?token=a/b") for host in ("one", "two")]
    found = with_unique_ids([(VideoInput(url.stem, url), url.parent) for url in given])
    assert [video.id for video in found] == ["one/v/a", "two/v/a"]


@pytest.mark.parametrize("name", ["..%2F..%2Fa.mp4", "b%2Fa.mp4"])
def test_an_escaped_slash_leads_into_no_other_folder(name):
    url = Url(f"https://host/{name}")
    assert (url.name, url.stem) == ("a.mp4", "a")


def test_what_is_a_url():
    assert isinstance(path_or_url("s3://bucket/a.mp4"), Url)
    for text in ("a.mp4", "C:/a.mp4", "C://a.mp4", "/a//b.mp4", "s3:/a.mp4", "file:///a.mp4"):
        assert not isinstance(path_or_url(text), Url), text
    assert str(path_or_url("file:///a/b.mp4")) == "/a/b.mp4"


def test_folders_are_searched_as_those_of_this_machine(folder):
    for name in ("b.mp4", "deep/a.MKV", "note.txt", ".hidden/c.mp4", "deep/.d.mp4"):
        storage.write(folder / name, b"content")
    found = find_videos([folder])
    assert [video.id for video in found] == ["b", "deep/a"]
    assert str(found[1].path) == f"{folder}/deep/a.MKV"
    assert [video.id for video in find_videos([folder, folder / "b.mp4"])] == ["b", "deep/a"]


def test_two_folders_of_urls_have_different_ids(folder):
    for name in ("x/a.mp4", "y/a.mp4"):
        storage.write(folder / name, b"content")
    found = find_videos([folder / "x", folder / "y"])
    assert [video.id for video in found] == ["x/a", "y/a"]


def test_a_local_folder_and_one_of_urls(folder, tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"content")
    storage.write(folder / "a.mp4", b"content")
    here, there = find_videos([tmp_path, folder])
    assert here.id != there.id
    assert here.id.endswith("/a")
    assert there.id.endswith("/in/a")


def test_a_missing_input_is_named(folder):
    with pytest.raises(ExtractError, match="no such file or folder"):
        find_videos([folder / "none.mp4"])
    storage.write(folder / "note.txt", b"content")
    with pytest.raises(ExtractError, match="no video in this folder"):
        find_videos([folder])


def test_unknown_schemes_and_missing_packages_are_named(monkeypatch):
    with pytest.raises(ExtractError, match="nosuch:// is not a kind of URL"):
        storage.read(Url("nosuch://a/b"))
    monkeypatch.setattr(urls.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ExtractError, match=r"not installed: pip install s3fs$"):
        storage.read(Url("s3://bucket/a"))


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 12), st.binary(max_size=20))
def test_a_fingerprint_is_that_of_the_file(tmp_path_factory, pieces, rest):
    data = bytes(range(256)) * (FINGERPRINT_CHUNK // 1024) * pieces + rest
    url, path = Url(f"memory://{uuid.uuid4().hex}"), tmp_path_factory.mktemp("f") / "a"
    storage.write(url, data)
    path.write_bytes(data)
    assert fingerprint(url) == fingerprint(path)
    storage.remove(url)
    path.unlink()


def test_a_failing_connection_is_retried_and_reported(monkeypatch):
    monkeypatch.setattr(urls, "PAUSE", 0.0)
    tries = []

    def work():
        tries.append(1)
        if len(tries) < good:
            raise ConnectionResetError(errno.ECONNRESET, "reset by peer")
        return "data"

    good = urls.ATTEMPTS
    assert urls.patiently(Url("s3://b/a"), work) == "data"
    tries.clear()
    good = urls.ATTEMPTS + 1
    with pytest.raises(TransferError) as caught:
        urls.patiently(Url("s3://b/a"), work)
    assert str(caught.value) == "s3://b/a: the connection failed 4 times (reset by peer)"
    assert len(tries) == urls.ATTEMPTS


@pytest.mark.parametrize("error", [PermissionError("no"), ValueError("no"), FileNotFoundError()])
def test_what_will_not_change_is_tried_once(error):
    tries = []

    def work():
        tries.append(1)
        raise error

    with pytest.raises(OSError, match="s3://b/a"):
        urls.patiently(Url("s3://b/a"), work)
    assert len(tries) == 1


class Site(http.server.BaseHTTPRequestHandler):
    """A plain web server without ranges: a file, a refused one, one that comes in two halves."""

    data = bytes(range(256)) * 4000
    halves = 0

    def do_GET(self):
        name = self.path.partition("?")[0]
        if name not in ("/a.mp4", "/half.mp4"):
            self.send_error(403 if name == "/refused.mp4" else 404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.data)))
        self.end_headers()
        if self.command == "HEAD":
            return
        cut = name == "/half.mp4" and type(self).halves > 0
        type(self).halves -= cut
        self.wfile.write(self.data[: len(self.data) // 2] if cut else self.data)

    do_HEAD = do_GET

    def log_message(self, *arguments):
        pass


@pytest.fixture
def site(monkeypatch):
    pytest.importorskip("aiohttp", reason="needs aiohttp")
    monkeypatch.setattr(urls, "PAUSE", 0.01)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def test_over_the_web(site, tmp_path):
    from extract.sources.download import download

    (video,) = find_videos([f"{site}/a.mp4?key=1"])
    assert video.id == "a"
    download(video.path, tmp_path / "a.mp4")
    assert (tmp_path / "a.mp4").read_bytes() == Site.data
    Site.halves = 2
    download(Url(f"{site}/half.mp4"), tmp_path / "half.mp4")
    assert (tmp_path / "half.mp4").read_bytes() == Site.data
    with pytest.raises(FileNotFoundError):
        download(Url(f"{site}/none.mp4"), tmp_path / "none.mp4")
    with pytest.raises(ExtractError, match=r"none.mp4: no such file or folder"):
        find_videos([f"{site}/none.mp4"])
    with pytest.raises(TransferError, match=r"refused\.mp4: .*(403|Forbidden)"):
        download(Url(f"{site}/refused.mp4"), tmp_path / "refused.mp4")
    with pytest.raises(OSError, match="no part of it can be read alone"):
        fingerprint(video.path)
