"""Whether features are of the kind that a model was trained on."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from basnet_e2e.errors import BasnetError
from basnet_e2e.localization.feature_rows import strides_between
from extract.features.settings import settings_difference, settings_for_streams
from extract.pipeline.extractor import ExtractSettings
from extract.streams import STREAMS

if TYPE_CHECKING:
    from basnet_e2e.heads.checkpoint import HeadModel


def settings_for(
    model: "HeadModel", streams: tuple[str, ...] | None, precision: str | None
) -> ExtractSettings:
    """How features for a model are made from a video.

    Args:
        model: a trained model.
        streams: those that are asked for, if any.
        precision: that of the networks, if one is asked for.

    Raises:
        BasnetError: the model was trained on other streams or another precision.
    """
    trained = model.extractor
    if streams is not None and streams != tuple(trained.get("streams", streams)):
        raise BasnetError(
            f"the model was trained on {','.join(trained['streams'])}, so it cannot run on "
            f"{','.join(streams)} alone; train another with 'basnet train --streams'"
        )
    if "backbone" not in trained:
        return ExtractSettings()
    settings = ExtractSettings.from_file(trained)
    if precision not in (None, settings.precision):
        raise BasnetError(
            f"the model was trained on features of precision {settings.precision}, so it "
            f"cannot run on those of {precision}; drop --precision"
        )
    return settings


def check_settings(
    trained: Mapping[str, Any], settings: Mapping[str, Any], what: str, *, finer: bool
) -> None:
    """Refuse features of another kind than those a model was trained on.

    Args:
        trained: settings of the features that it was trained on.
        settings: of the given features.
        what: what the message calls them.
        finer: take those of a finer stride.

    Raises:
        BasnetError: names the setting that differs.
    """
    if "backbone" not in trained and "backbone" not in settings:
        return
    strides = strides_between(trained, settings)
    if finer and strides > 1:
        settings = {**settings, "stride": trained["stride"]}
    difference = settings_difference(
        trained, settings_for_streams(settings, trained.get("streams", STREAMS))
    )
    if difference:
        raise BasnetError(
            f"the model was trained on other features than {what} ({difference})"
            + ("; --refine reads them" if strides > 1 and not finer else "")
        )
