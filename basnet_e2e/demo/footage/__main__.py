"""Write generated footage: ``python -m basnet_e2e.demo.footage FOLDER``."""

import sys
from pathlib import Path

import click

from basnet_e2e.demo.footage.collection import Collection, write_collection

DEFAULTS = Collection()


@click.command(
    epilog="Example: python -m basnet_e2e.demo.footage basnet-demo --training 30 --test 15"
)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--training", default=DEFAULTS.training, show_default=True, help="Training videos.")
@click.option("--test", default=DEFAULTS.test, show_default=True, help="Test videos.")
@click.option("--seed", default=DEFAULTS.seed, show_default=True, help="Decides all that happens.")
@click.option("--jobs", type=click.IntRange(min=1), help="Processes. Default: one per core.")
def main(folder: Path, training: int, test: int, seed: int, jobs: int | None) -> None:
    """Write untrimmed videos with labels (training) and intervals (test) into FOLDER."""
    collection = Collection(training, test, seed)
    with click.progressbar(length=training + test, label="generate", file=sys.stderr) as bar:

        def show(done: int, total: int) -> None:
            bar.update(done - bar.pos)

        write_collection(folder, collection, jobs=jobs, progress=show)


if __name__ == "__main__":
    main()
