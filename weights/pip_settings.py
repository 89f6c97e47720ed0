"""Where pip is set up to find packages: its environment variables and configuration files.

Only read, never run: pip's own documentation fixes the files, their order and the meaning of the
keys. What stands later wins: global, user and site files, then ``PIP_CONFIG_FILE``, then ``PIP_*``
variables.
"""

import configparser
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SECTIONS = ("global", "install")  # a command's section goes before [global]
KEYS = ("index-url", "extra-index-url", "find-links", "no-index", "cert", "proxy")
TRUE = ("1", "true", "yes", "on")


@dataclass(frozen=True)
class PipSettings:
    """Where packages come from.

    Attributes:
        index: main index, or None for the client library's default.
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


def config_files(environment: Mapping[str, str]) -> list[Path]:
    """Configuration files that pip would read, weakest first; they need not exist."""
    chosen = environment.get("PIP_CONFIG_FILE")
    if chosen == os.devnull:
        return []
    home = Path(environment.get("HOME") or Path.home())
    if sys.platform == "win32":
        name, data = "pip.ini", environment.get("APPDATA", str(home / "AppData/Roaming"))
        common = [Path(environment.get("PROGRAMDATA", "C:/ProgramData")) / "pip" / name]
        user = [home / "pip" / name, Path(data) / "pip" / name]
    else:
        name = "pip.conf"
        xdg = environment.get("XDG_CONFIG_DIRS") or "/etc/xdg"
        common = [Path(folder) / "pip" / name for folder in xdg.split(":") if folder]
        common.append(Path("/etc") / name)
        if sys.platform == "darwin":
            common.insert(0, Path("/Library/Application Support/pip") / name)
        config = environment.get("XDG_CONFIG_HOME") or str(home / ".config")
        user = [home / ".pip" / name, Path(config) / "pip" / name]
        support = home / "Library/Application Support/pip"
        if sys.platform == "darwin" and support.is_dir():
            user[1] = support / name
    site = Path(sys.prefix) / name
    if chosen and Path(chosen).exists():  # then pip leaves the user's files out
        return [*common, site, Path(chosen)]
    return [*common, *user, site]


def pip_settings(environment: Mapping[str, str] = os.environ) -> PipSettings:
    """Read pip's settings. A configuration file that cannot be read counts as absent."""
    values: dict[str, str] = {}
    for section in SECTIONS:
        for path in config_files(environment):
            values.update(_section(path, section))
    for key in KEYS:
        name = f"PIP_{key.upper().replace('-', '_')}"
        if environment.get(name):
            values[key] = environment[name]
    return PipSettings(
        index=values.get("index-url") or None,
        extra=tuple(values.get("extra-index-url", "").split()),
        find_links=tuple(values.get("find-links", "").split()),
        use_index=values.get("no-index", "").lower() not in TRUE,
        cert=values.get("cert") or None,
        proxy=values.get("proxy") or None,
    )


def _section(path: Path, section: str) -> dict[str, str]:
    parser = configparser.RawConfigParser()
    try:
        parser.read(path, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError, OSError):
        return {}
    if not parser.has_section(section):
        return {}
    found = {key.replace("_", "-"): value for key, value in parser.items(section)}
    return {key: value for key, value in found.items() if key in KEYS}
