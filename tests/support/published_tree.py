"""A small data set in the layout in which THUMOS'14 features are published."""

import json

import numpy as np

from basnet_e2e.heads.presets import preset
from basnet_e2e.reproduction.runs import Spec

WIDTH = 6
CLASSES = ("swim", "jump")
TINY = preset("official", hidden=8, filter_hidden=8, batch=4, rate=3e-3, segments=32, steps=6)


def tiny(recipe, seed, settings=TINY, fix=None):
    """One run of a recipe."""
    return Spec(preset(settings, recipe=recipe), seed, fix)


def write_tree(root, *, prefix="", divided=True, streams=("rgb", "flow")):
    """Published features of 6 training and 4 test videos, as THUMOS'14 features are laid out."""
    rng = np.random.default_rng(0)
    database = {}
    for subset, part, count in (("validation", "train", 6), ("test", "test", 4)):
        for index in range(count):
            name, label = f"{part}_{index}", CLASSES[index % 2]
            rows = int(rng.integers(20, 40))
            x = rng.normal(0, 0.3, (rows, WIDTH)).astype(np.float32)
            x[5:12, CLASSES.index(label)] += 3
            for stream in streams:
                folder = root / "features" / (part if divided else "") / stream
                folder.mkdir(parents=True, exist_ok=True)
                np.save(folder / f"{prefix}{name}.npy", x)
            segment = [f"{5 * 0.64:.2f}", f"{12 * 0.64:.2f}"]
            database[name] = {
                "subset": subset,
                "duration": rows * 0.64,
                "annotations": [{"label": label, "segment": segment}],
            }
    write_truth(root, database)
    return root


def write_truth(root, database):
    (root / "gt.json").write_text(json.dumps({"database": database}))


def read_truth(root):
    return json.loads((root / "gt.json").read_text())["database"]
