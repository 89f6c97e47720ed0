"""A scripted user of a studio that is killed at random moments, and what must not be lost then."""

import csv
import http.client
import json
import threading
import time

from studio_server import Studio

from basnet_e2e.heads.checkpoint import load_model
from extract.features.feature_file import Features

CLASSES = ("jump", "run", "rest")
REFUSED = (OSError, http.client.HTTPException, json.JSONDecodeError)


class Script:
    """Changes annotations all the time and remembers what the studio said is saved."""

    def __init__(self, chance):
        self._chance = chance
        self.saved = {}  # video -> annotation that was acknowledged last
        self.asked = {}  # video -> annotation that was asked for last
        self.changes = 0

    def work(self, studio, keys):
        """Change one video after the other until the studio is gone."""
        try:
            while True:
                video = str(self._chance.choice(sorted(keys)))
                annotation = self._annotation()
                found = studio.json("GET", f"/api/videos/{keys[video]}")
                self.asked[video] = annotation
                version = f'"{found["version"]}"'
                answer = studio.json(
                    "PUT", f"/api/videos/{keys[video]}", annotation, If_Match=version
                )
                self.saved[video] = answer["annotation"]
                self.changes += 1
        except REFUSED:
            return

    def _annotation(self):
        count = int(self._chance.integers(0, 6))
        starts = sorted(self._chance.uniform(0, 20, count).round(3).tolist())
        spans = [[str(self._chance.choice(CLASSES)), start, start + 1.5] for start in starts]
        return {"labels": [], "spans": spans}

    def check(self, studio, keys):
        """Everything that was acknowledged is there; a change that was under way may be."""
        for video, saved in self.saved.items():
            found = studio.json("GET", f"/api/videos/{keys[video]}")["annotation"]
            if found != saved:
                times = [span[1] for span in self.asked[video]["spans"]]
                assert [span[1] for span in found["spans"]] == times, (video, found, saved)
            self.saved[video] = found


def whole_files(project):
    """Every file that people and commands read is there in full."""
    for name, columns in (("labels.csv", 2), ("intervals.csv", 4)):
        if (project / name).is_file():
            with open(project / name, newline="", encoding="utf-8") as file:
                assert all(len(row) == columns for row in csv.reader(file))
    for path in project.glob("*.safetensors"):
        load_model(path)
    for path in (project / "features").rglob("*.safetensors"):
        Features.load(path)
    for path in (project / "results").rglob("*.json"):
        json.loads(path.read_text("utf-8"))


def killed_sessions(videos, project, cache, kills, chance, *, train=False):
    """Start, change, kill, start again; number of changes that were acknowledged.

    Args:
        videos: folder.
        project: folder.
        cache: folder.
        kills: how often.
        chance: numpy's generator.
        train: train in half of the sessions, as soon as there are features.
    """
    script = Script(chance)
    for number in range(kills + 1):
        with Studio(videos, project, cache=cache) as studio:
            found = studio.changes()
            assert found["status"]["problem"] is None
            if number == 0:
                for name in CLASSES:
                    studio.json("POST", "/api/classes", {"do": "add", "name": name})
            keys = {row["name"]: row["key"] for row in found["rows"]}
            script.check(studio, keys)
            whole_files(project)
            if number == kills:
                break
            if train and number % 2 and found["status"]["features"]["done"] > 1:
                studio.ask("POST", "/api/training", {"do": "start"})
            thread = threading.Thread(target=script.work, args=(studio, keys))
            thread.start()
            time.sleep(float(chance.uniform(0.05, 4.0 if train else 0.8)))
            studio.kill()
            thread.join()
    return script.changes
