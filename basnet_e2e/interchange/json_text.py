"""JSON as every document of this project is written."""

import json
from collections.abc import Mapping
from typing import Any


def json_text(document: Mapping[str, Any]) -> str:
    """Indented by one space, letters of all scripts as they are, one line end at the end."""
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
