"""`basnet inspect`: what a file is."""

import json
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from basnet_e2e.cli.command import command
from basnet_e2e.cli.options import PATH
from basnet_e2e.data.annotations.video_names import counted, listing
from basnet_e2e.data.files.file_kinds import Kind
from basnet_e2e.data.inspection import inspect as look_into
from basnet_e2e.heads.registry import DEFAULT_HEAD

WIDTH = 80
TOPIC = 14  # columns


@command("basnet inspect model.safetensors")
@click.argument("file", type=PATH)
@click.option("--json", "as_json", is_flag=True, help="All that the file says, as JSON.")
def inspect(file: Path, as_json: bool) -> None:
    """Say what FILE is: a model, features of a video, a result, or another file of basnet.

    A model: its classes, what it was trained on and which features it needs. Features: how they
    were made. A result: what it holds and how it was made.
    """
    found = look_into(file)
    if as_json:
        click.echo(json.dumps(found, indent=1, ensure_ascii=False))
        return
    click.echo(f"{file}: {Kind[found['kind'].upper()]}")
    describe = {"model": _model, "features": _features, "result": _result}.get(found["kind"])
    lines = describe(found) if describe else {"use": str(found["use"])}
    for topic, text in lines.items():
        first = f"  {topic}".ljust(TOPIC)
        click.echo(textwrap.fill(text, WIDTH, initial_indent=first, subsequent_indent=" " * TOPIC))


def _model(found: Mapping[str, Any]) -> dict[str, str]:
    training = found.get("training", {})
    classes = found.get("classes", [])
    lines = {
        "head": _head(found),
        "classes": f"{len(classes)}: {', '.join(classes)}",
        "reads": _reads(found.get("extractor", {})),
        "width": f"{found.get('features')} numbers per snippet",
    }
    if training:
        lines["trained on"] = (
            f"{counted(training.get('videos', 0), 'video')}, {training.get('unlabelled', 0)} of "
            f"them without labels; {counted(training.get('steps', 0), 'step')}, seed "
            f"{training.get('seed')}, loss {training.get('loss', 0):.4f}"
        )
    if times := training.get("times"):
        lines["times"] = f"intervals or points of {counted(len(times), 'video')}"
    if validated := training.get("validation"):
        lines["validated"] = (
            f"step {validated['step']} was the best, average mAP "
            f"{100 * validated['average_map']:.1f} %"
        )
    if stopped := training.get("stopping"):
        lines["stopped"] = (
            f"step {stopped['step']} was the best, loss {stopped['loss']:.4f} on the videos "
            "held out"
        )
    if held := training.get("holdout"):
        lines["held out"] = (
            f"{counted(held['videos'], 'video')}, mean average precision of their labels "
            f"{100 * held['map']:.1f} % (chance {100 * held['chance']:.1f} %)"
        )
    return lines


def _head(found: Mapping[str, Any]) -> str:
    """Head, recipe if it has any, preset and T, of any format of the model file."""
    # Format 1 has no parts: settings are side by side, the recipe apart.
    settings = found.get("settings") or {
        **{"head": DEFAULT_HEAD, "name": found.get("preset", {}).get("name")},
        **{"own": {"recipe": found.get("recipe")}, "training": found.get("preset", {})},
    }
    recipe, members = settings["own"].get("recipe"), found.get("members")
    parts = [settings["head"], *([f"recipe {recipe}"] if recipe else [])]
    parts.append(f"preset {settings['name']}, T = {settings['training'].get('segments')}")
    return ", ".join([*parts, *([f"mean of {members} networks"] if members else [])])


def _reads(settings: Mapping[str, Any]) -> str:
    """Features as the settings of extraction describe them."""
    parts = [str(settings.get("backbone", "features of another program"))]
    if settings.get("streams"):
        parts.append("streams " + ",".join(settings["streams"]))
    if {"fps", "length", "stride"} <= settings.keys():
        parts.append("{fps} fps, snippets of {length} frames every {stride}".format(**settings))
    if settings.get("flow"):
        parts.append(f"flow {settings['flow'].get('method')}, quantize {settings.get('quantize')}")
    return ", ".join(parts)


def _features(found: Mapping[str, Any]) -> dict[str, str]:
    facts = found["facts"]
    widths = ", ".join(f"{name} {width}" for name, width in found["widths"].items())
    video = [str(facts.get("file", "unknown"))]
    if facts.get("duration"):
        video.append(f"{facts['duration']:.2f} s")
    if facts.get("source_fps"):
        video.append(f"{facts['source_fps']:.4g} fps")
    if facts.get("size"):
        video.append("{} x {}".format(*facts["size"]))
    lines = {
        "video": ", ".join(video),
        "rows": f"{found['rows']} snippets; numbers each: {widths}",
        "made as": _reads(found["settings"]),
    }
    used = [str(facts[key]) for key in ("decoder", "engine", "runtime") if facts.get(key)]
    if used:
        lines["made with"] = ", ".join(used)
    if facts.get("partial"):
        lines["partial"] = str(facts["partial"])
    return lines


def _result(found: Mapping[str, Any]) -> dict[str, str]:
    count = sum(found["intervals"].values())
    labels = ", ".join(f"{label} {number}" for label, number in found["intervals"].items())
    seconds = f", {found['seconds']:.1f} s" if "seconds" in found else ""
    lines = {
        "format": found["format"],
        "videos": f"{found['videos']}{seconds}",
        "intervals": f"{counted(count, 'interval')}{': ' if labels else ''}{labels}",
    }
    if found.get("models"):
        lines["model"] = ", ".join(found["models"])
    if found["kept"]:
        lines["kept"] = "; ".join(map(_kept, found["kept"]))
    for topic in ("failed", "left"):
        if found[topic]:
            lines[topic] = f"{len(found[topic])}: {listing(found[topic])}"
    return lines


def _kept(selection: Mapping[str, Any]) -> str:
    parts = [f"--keep {selection['keep']}"]
    if selection["min_score"] is not None:
        parts.append(f"score at least {selection['min_score']:g}")
    if selection["min_length"]:
        parts.append(f"{selection['min_length']:g} s or longer")
    return ", ".join(parts)
