"""A table of heads in Markdown from the ``report.json`` of ``basnet reproduce --heads``.

python tests/benchmarks/heads_table.py reproduce-thumos14/report.json
"""

import json
from pathlib import Path

import click
import numpy as np

SHOWN = (0.1, 0.3, 0.5, 0.7, 0.8, 0.9)


def markdown(report: dict) -> str:
    """Mean mAP in % of each head over its seeds, the best average first."""
    columns = [report["tious"].index(each) for each in SHOWN]
    rows = []
    for head, runs in report["heads"].items():
        found = 100 * np.array([run["last"]["map"] for run in runs])
        averages = found.mean(axis=1)
        spread = np.std(averages, ddof=min(1, len(runs) - 1))
        cells = [f"{each:.1f}" for each in found.mean(axis=0)[columns]]
        cells.append(f"**{averages.mean():.1f}** ± {spread:.1f}")
        rows.append((averages.mean(), f"| `{head}` | {' | '.join(cells)} |"))
    titles = ["head", *(f"{each:g}"[1:] for each in SHOWN), "average"]
    lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    return "\n".join(lines + [line for _, line in sorted(rows, reverse=True)])


@click.command()
@click.argument("report", type=click.Path(exists=True, path_type=Path))
def main(report: Path) -> None:
    """Print the table."""
    click.echo(markdown(json.loads(report.read_text("utf-8"))))


if __name__ == "__main__":
    main()
