"""Many videos by one localizer, each with its result or its failure."""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from basnet_e2e.intervals import Failure, Localization
from basnet_e2e.localization.inputs import Source, find_sources

if TYPE_CHECKING:
    from basnet_e2e.localization.localizer import Localizer
    from extract.jobs.resources import Division
    from extract.sources.urls import Url


def localize_several(
    localizer: "Localizer",
    paths: "Iterable[str | os.PathLike[str] | Url]",
    jobs: int | None,
    failed: Callable[[Failure], None] | None,
) -> Iterator[Localization]:
    """See ``Localizer.videos``."""
    from basnet_e2e.localization.video_failures import failure_message

    sources = find_sources(list(paths))
    with videos_ahead(localizer, sources, jobs):
        for source in sources:
            try:
                source.check(localizer)
                found = source.localize(localizer, None)
            except Exception as error:
                if failed is None:
                    raise
                failed(Failure(source.id, source.path.name, failure_message(error, source.path)))
                continue
            yield found


@contextlib.contextmanager
def videos_ahead(
    localizer: "Localizer", sources: Sequence[Source], jobs: int | None
) -> "Iterator[Division | None]":
    """Within the block processes make the features of those sources that are videos.

    Args:
        localizer: what the sources are given to.
        sources: in their order.
        jobs: see ``Localizer.ahead``.

    Returns:
        How the machine is divided; None where there is no work to divide.
    """
    videos = [source for source in sources if source.makes_features]
    if len(videos) < 2 or jobs == 1:
        yield None
        return
    with localizer.ahead(videos, jobs) as division:
        yield division
