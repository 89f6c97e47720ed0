"""Presets by name: a head's settings, with fixes and single settings changed."""

from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import Any

from basnet_e2e.errors import BasnetError
from basnet_e2e.heads.common.settings import PARTS, Preset, check_names
from basnet_e2e.heads.registry import DEFAULT_HEAD, find_head


def preset(
    name: "str | Preset" = "default",
    /,
    *,
    head: str | None = None,
    fix: Iterable[str] = (),
    **overrides: Any,
) -> Preset:
    """A preset by name, with fixes and single settings changed.

    Args:
        name: a preset of the head (BaS-Net: ``official``, ``default``, ``small``,
            ``activitynet``), or settings to start from.
        head: whose settings; default: BaS-Net's.
        fix: names of the head's fixes to apply.
        overrides: single settings of any part, and ``name``.

    Raises:
        BasnetError: a head, preset, fix or setting is unknown (with the nearest known name).
    """
    if isinstance(name, Preset):
        chosen = name
        if head is not None and head != chosen.head:
            raise BasnetError(f"these are settings of the head {chosen.head}, not of {head}")
    else:
        presets = find_head(head or DEFAULT_HEAD).presets
        check_names([name], presets, "preset")
        chosen = presets[name]
    fixes = find_head(chosen.head).fixes
    fix = list(fix)
    check_names(fix, fixes, "fix")
    settings = {key: value for each in fix for key, value in fixes[each].items()} | overrides
    if "name" in settings:
        chosen = replace(chosen, name=settings.pop("name"))
    if "recipe" in settings and not find_head(chosen.head).recipes:
        raise BasnetError(f"the head {chosen.head} has no recipes")
    return chosen.changed(**settings)


def preset_from_json(document: Mapping[str, Any]) -> Preset:
    """Settings as :meth:`Preset.to_json` wrote them; what was added since has its older value.

    Raises:
        BasnetError: the head or a setting is unknown, or one is missing.
    """
    head = find_head(str(document["head"]))
    parts: dict[str, Any] = {
        part: getattr(head, part).from_json(document[name]) for name, part in PARTS.items()
    }
    return Preset(str(document["name"]), head.name, **parts)


def preset_from_flat(values: Mapping[str, Any], head: str) -> Preset:
    """Settings by their names alone, as model files of format 1 hold them.

    Raises:
        BasnetError: a setting is missing or has a value it cannot have.
    """
    document: dict[str, Any] = {"head": head, "name": values.get("name", "?")}
    for name, part in PARTS.items():
        known = [each.name for each in fields(getattr(find_head(head), part))]
        document[name] = {each: values[each] for each in known if each in values}
    return preset_from_json(document)
