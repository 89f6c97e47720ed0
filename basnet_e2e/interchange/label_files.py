"""The label file of `basnet train`, out of annotated videos."""

import csv
import io
from collections.abc import Sequence

from basnet_e2e.errors import BasnetError
from basnet_e2e.interchange.annotated import AnnotatedVideo

SEPARATOR = ";"


def labels_csv(videos: Sequence[AnnotatedVideo]) -> str:
    """The label file of ``basnet train``: ``video,labels``.

    Raises:
        BasnetError: a label file cannot hold a label.
    """
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["video", "labels"])
    for video in videos:
        for label in video.labels:
            if SEPARATOR in label or label != label.strip() or not label:
                raise BasnetError(
                    f"a label file cannot hold the label '{label}' of video '{video.video}': "
                    f"no '{SEPARATOR}', and no space at its ends; rename it in the tool"
                )
        rows.writerow([video.video, SEPARATOR.join(video.labels)])
    return text.getvalue()
