"""Check that features are of the kind that a model was trained on."""

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
    """Settings that extract features for a model.

    Args:
        model: a trained model.
        streams: the requested ones, if any.
        precision: the requested precision of the networks, if any.

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
    trained: Mapping[str, Any], settings: Mapping[str, Any], name: str, *, finer: bool
) -> None:
    """Refuse features of another kind than those a model was trained on.

    Args:
        trained: settings of the features the model was trained on.
        settings: settings of the given features.
        name: of the given features, for the message.
        finer: accept a finer stride.

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
            f"the model was trained on other features than {name} ({difference})"
            + ("; --refine reads them" if strides > 1 and not finer else "")
        )
