"""Templates, styles and scripts to self-contained HTML.

Styles and scripts are files of their own and are inlined on writing. A content security policy
in each page allows exactly these by their hash, and nothing from any network.
"""

import base64
import functools
import hashlib
import json
import re
from collections.abc import Sequence
from importlib import resources
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from basnet_e2e.display import clock

IMPORT = re.compile(r"^import [^;]*;\n+", re.MULTILINE)
EXPORT = re.compile(r"^export (?=async |const |function|let )", re.MULTILINE)
GENERATOR = "basnet report"
# JSON inside a script element: nothing may look like the end of that element or like a comment.
ESCAPES = {
    "<": "\\u003c",
    ">": "\\u003e",
    "&": "\\u0026",
    "\u2028": "\\u2028",
    "\u2029": "\\u2029",
}


def render(template: str, styles: Sequence[str], scripts: Sequence[str], **context: Any) -> str:
    """A page of one template.

    Args:
        template: file name in ``templates``.
        styles: files in ``assets``, in their order.
        scripts: ES modules in ``assets``, each after those it imports. A page from disk cannot
            import modules, so they are joined into one scope: no two may declare one name.
        context: what the template shows; all of it is escaped.
    """
    style = "\n".join(map(_asset, styles))
    joined = "\n".join(_without_modules(_asset(name)) for name in scripts)
    script = f'(() => {{\n"use strict";\n{joined}\n}})();'
    policy = (
        "default-src 'none'; img-src data:; media-src 'self' file: blob:; "
        f"style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )

    # Our own files, not input: they are the only text that is not escaped.
    assets = {"style": Markup(style), "script": Markup(script)}
    rooms = ("basnet_e2e.report.pages",)
    return filled(rooms, template, policy=policy, generator=GENERATOR, **assets, **context)


def filled(rooms: tuple[str, ...], template: str, **context: Any) -> str:
    """A template of some rooms with its values, all of which are escaped."""
    page = environment(*rooms).get_template(template).render(**context)
    # A damaged file name may hold half characters that no file can.
    return page.encode("utf-8", "replace").decode("utf-8")


def script_json(value: Any) -> str:
    r"""JSON that is harmless within a script element, whatever text it holds.

    >>> script_json({"label": "</script>"})
    '{"label":"\\u003c/script\\u003e"}'
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # Lone surrogates of a damaged file name cannot be written as UTF-8.
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    for character, escape in ESCAPES.items():
        text = text.replace(character, escape)
    return text


def _without_modules(script: str) -> str:
    r"""A module as part of one scope: without imports, and nothing exported.

    >>> _without_modules('import { a } from "./a.js";\nexport const b = a;')
    'const b = a;'
    """
    return EXPORT.sub("", IMPORT.sub("", script))


def _asset(name: str) -> str:
    return (resources.files("basnet_e2e.report.pages") / "assets" / name).read_text("utf-8")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"


@functools.cache
def environment(*rooms: str) -> Environment:
    """Templates of some rooms, those of the first before those of the others.

    Filters: ``clock`` for seconds, ``script_json`` for data that a script reads.
    """
    found = Environment(
        loader=ChoiceLoader([PackageLoader(room, "templates") for room in rooms]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    found.filters["script_json"] = lambda value: Markup(script_json(value))
    found.filters["clock"] = clock
    return found
