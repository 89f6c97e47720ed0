"""Where pip is set up to find packages, as pip itself prints it.

``pip config list`` merges its configuration files and ``PIP_*`` variables in pip's own order; the
help of ``pip download`` names the index that is used where none is set. Neither runs a package.
"""

import ast
import functools
import logging
import os
import re
import subprocess
import sys
from dataclasses import dataclass

from weights.errors import WeightsError

log = logging.getLogger(__name__)

SECTIONS = ("global", "install", ":env:")  # later ones win, as in pip
TRUE = ("1", "true", "t", "yes", "y", "on")
SECONDS = 60
DEFAULT = re.compile(r"--index-url <url>.*?\(default:? (\S+?)\)", re.DOTALL)


@dataclass(frozen=True)
class PipSettings:
    """Where packages come from.

    Attributes:
        index: main index, or None for pip's usual one, see `default_index`.
        extra: further indexes.
        find_links: folders, archives' pages or addresses of pages that link to files.
        use_index: False where only ``find_links`` may be used.
        cert: file of trusted certificates, or None.
        proxy: proxy for every address, or None.
    """

    index: str | None = None
    extra: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    use_index: bool = True
    cert: str | None = None
    proxy: str | None = None


@functools.cache
def pip_settings() -> PipSettings:
    """Ask pip for its settings, once; where it cannot be asked, say so and use none."""
    try:
        return parse_settings(_pip("config", "list"))
    except WeightsError as error:
        log.warning("%s; its index, proxy and certificates are not known", error)
        return PipSettings()


def parse_settings(printed: str) -> PipSettings:
    """What ``pip config list`` printed: lines of ``section.option='value'``."""
    sections: dict[str, dict[str, str]] = {name: {} for name in SECTIONS}
    for line in printed.splitlines():
        key, _, value = line.partition("=")
        section, _, option = key.partition(".")
        if section not in sections:
            continue
        try:
            text = str(ast.literal_eval(value))
        except (SyntaxError, ValueError):
            continue  # not a setting
        if text:  # pip passes over empty ones
            sections[section][option] = text
    values = {option: text for name in SECTIONS for option, text in sections[name].items()}
    return PipSettings(
        index=values.get("index-url"),
        extra=tuple(values.get("extra-index-url", "").split()),
        find_links=tuple(values.get("find-links", "").split()),
        use_index=values.get("no-index", "").lower() not in TRUE,
        cert=values.get("cert"),
        proxy=values.get("proxy"),
    )


@functools.cache
def default_index() -> str:
    """The index that pip uses where none is set.

    Raises:
        WeightsError: pip cannot be asked, or does not say.
    """
    found = DEFAULT.search(_pip("download", "--help"))
    if found is None:
        raise WeightsError("pip does not say which package index it uses; set PIP_INDEX_URL")
    return found[1]


def _pip(*arguments: str) -> str:
    """What this Python's pip prints; ``-P`` keeps a ``pip.py`` in the current folder out of it."""
    command = [sys.executable, "-P", "-m", "pip", "--disable-pip-version-check", *arguments]
    environment = {**os.environ, "COLUMNS": "1000", "PYTHONIOENCODING": "utf-8"}
    try:
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise WeightsError(f"pip cannot be asked ({error})") from error
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise WeightsError(f"pip cannot be asked ({lines[-1]})")
    return done.stdout
