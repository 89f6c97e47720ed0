"""Video to snippet features: exact time grid, optical flow, backbones, feature files."""

from typing import TYPE_CHECKING

from extract.errors import ExtractError

if TYPE_CHECKING:
    from extract.features.feature_file import Features
    from extract.flow.tvl1.solver import tvl1
    from extract.inference.backbone import load_backbone
    from extract.jobs.run import extract_folder
    from extract.pipeline.extractor import Extractor, extract_features
    from extract.pipeline.settings import DecodeOptions, ExtractSettings
    from extract.video.clip import open_video

__all__ = [
    "DecodeOptions",
    "ExtractError",
    "ExtractSettings",
    "Extractor",
    "Features",
    "extract_features",
    "extract_folder",
    "load_backbone",
    "open_video",
    "tvl1",
]

_HOMES = {
    "DecodeOptions": "extract.pipeline.settings",
    "ExtractSettings": "extract.pipeline.settings",
    "Extractor": "extract.pipeline.extractor",
    "Features": "extract.features.feature_file",
    "extract_features": "extract.pipeline.extractor",
    "extract_folder": "extract.jobs.run",
    "load_backbone": "extract.inference.backbone",
    "open_video": "extract.video.clip",
    "tvl1": "extract.flow.tvl1.solver",
}


def __getattr__(name: str) -> object:
    """Import a public name at first use, so that importing the package stays cheap (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'extract' has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
