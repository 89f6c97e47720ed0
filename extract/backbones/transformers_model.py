"""Models of the transformers library as backbones: V-JEPA 2, VideoMAE, CLIP, SigLIP.

What a network expects of a clip is read from the configuration and the preprocessing beside its
weights. Three kinds are supported:

- a video classifier: the feature is the input of its last linear layer;
- a video encoder: the mean of its last tokens;
- an encoder of pictures and text: the mean of the frames' unit vectors.
"""

import importlib.util
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from extract.backbones.spec import BackboneSpec, Colour
from extract.errors import ExtractError
from extract.preprocessing.torchvision_resize import Resize
from weights.sources.huggingface import EXTRA, read_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn

VIDEO, CLASSIFIER, PICTURES = "video", "classifier", "pictures"
PICTURE_MODELS = ("clip", "siglip")
# Frames of a snippet, how many are seen, and their rate: video encoders were trained on 16 or more
# frames of two seconds; a few pictures are enough for a shorter snippet.
LENGTHS = {VIDEO: 64, CLASSIFIER: 64, PICTURES: 16}
SEEN = {VIDEO: 16, PICTURES: 4}
FPS = {"videomae": Fraction(30)}
PROCESSORS = ("video_preprocessor_config.json", "preprocessor_config.json", "processor_config.json")
MODES = {0: "nearest", 2: "bilinear", 3: "bicubic"}  # as Pillow numbers them
# A folder may need a program of its own; otherwise the library asks whether to run it.
NOTHING_RUN = {"local_files_only": True, "trust_remote_code": False}


@dataclass(frozen=True)
class TextTower:
    """Prompts as vectors of a model of pictures and text.

    Attributes:
        vectors: ``[P, D]`` unit vectors.
        scale: multiplies cosines before a softmax.
    """

    vectors: NDArray[np.float32]
    scale: float


def unbuilt(stream: str, classes: int) -> "nn.Module":
    """Refuse: `load_model` builds a model from its folder."""
    raise ExtractError("a model of transformers is loaded from its folder")


_VIDEO = BackboneSpec(
    name="",
    streams=("rgb",),
    frame_side=224,
    crop=224,
    length=LENGTHS[VIDEO],
    dimension=768,
    build=unbuilt,
    step=4,
    mean=(0.485, 0.456, 0.406),  # of ImageNet
    deviation=(0.229, 0.224, 0.225),
    resize=Resize(224, antialias=True),
)
_PICTURES = replace(
    _VIDEO,
    length=LENGTHS[PICTURES],
    mean=(0.5, 0.5, 0.5),
    deviation=(0.5, 0.5, 0.5),
    resize=Resize((224, 224), "bicubic", antialias=True),
)
# A test compares these with the library's defaults; loading compares them with the folder.
KNOWN = {
    spec.name: spec
    for spec in (
        replace(
            _VIDEO,
            name="vjepa2-vitl",
            model="facebook/vjepa2-vitl-fpc64-256",
            dimension=1024,
            frame_side=292,
            crop=256,
            resize=Resize(292, antialias=True),
        ),
        replace(
            _VIDEO,
            name="videomae-base",
            model="MCG-NJU/videomae-base-finetuned-kinetics",
            fps=FPS["videomae"],
        ),
        replace(
            _PICTURES,
            name="clip-vit-b32",
            model="openai/clip-vit-base-patch32",
            dimension=512,
            mean=(0.48145466, 0.4578275, 0.40821073),
            deviation=(0.26862954, 0.26130258, 0.27577711),
            resize=Resize(224, "bicubic", antialias=True),
        ),
        replace(_PICTURES, name="siglip-base", model="google/siglip-base-patch16-224"),
    )
}


def model_spec(name: str, folder: Path) -> BackboneSpec:
    """The spec of a model, read from its folder.

    Raises:
        ExtractError: the model or its preprocessing is of an unsupported kind.
        WeightsError: a file is missing or damaged.
    """
    _require()
    config = read_json(folder / "config.json")
    kind = _kind(config, folder)
    with _one_line(folder):
        from transformers import AutoConfig

        built = AutoConfig.from_pretrained(folder, **NOTHING_RUN)
        processor = _processor(folder)
        side, crop, resize = _picture(processor, folder)
        length = LENGTHS[kind]
        frames = SEEN.get(kind) or int(getattr(built, "num_frames", 0) or built.frames_per_clip)
        if kind == VIDEO:  # learned positions fix the number of frames
            frames = int(getattr(built, "num_frames", frames))
        return BackboneSpec(
            name=name,
            streams=("rgb",),
            frame_side=side,
            crop=crop,
            length=length,
            dimension=_dimension(built, kind),
            build=unbuilt,
            frames=None if length % frames == 0 else frames,
            step=length // frames if length % frames == 0 else 1,
            fps=FPS.get(str(config["model_type"]), Fraction(25)),
            mean=cast(Colour, tuple(processor.image_mean)),
            deviation=cast(Colour, tuple(processor.image_std)),
            resize=resize,
            model=str(folder),
        )


def _require() -> None:
    if importlib.util.find_spec("transformers") is None:
        raise ExtractError(f"transformers is not installed; install the extra: {EXTRA}")


@contextmanager
def _one_line(folder: Path) -> "Iterator[None]":
    """Turn the library's errors about a folder into one line and silence its notes."""
    from transformers.utils import logging

    level = logging.get_verbosity()
    bars = logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    except ExtractError:
        raise
    except Exception as error:  # of any kind, since the files decide which code runs
        text = " ".join(str(error).split()) or type(error).__name__
        if "trust_remote_code" in text:
            text = "it needs a program of its own, and such programs are never run"
        raise ExtractError(
            f"{folder}: transformers cannot read the model ({text[:160]})"
        ) from error
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _kind(config: dict[str, Any], folder: Path) -> str:
    if any(str(n).endswith("ForVideoClassification") for n in config.get("architectures") or ()):
        return CLASSIFIER
    kind = str(config.get("model_type"))
    if kind in PICTURE_MODELS:
        return PICTURES
    if kind in ("vjepa2", "videomae"):
        return VIDEO
    raise ExtractError(
        f"{folder}: models of the kind {kind} are not supported; V-JEPA 2, VideoMAE, CLIP, SigLIP "
        "and video classifiers are"
    )


def _processor(folder: Path) -> Any:
    """The preprocessing beside the weights."""
    from transformers import AutoImageProcessor, AutoVideoProcessor

    there = [name for name in PROCESSORS if (folder / name).is_file()]
    if not there:
        raise ExtractError(f"{folder}: its preprocessing is missing, it has no {PROCESSORS[1]}")
    auto = AutoVideoProcessor if there[0] == PROCESSORS[0] else AutoImageProcessor
    return auto.from_pretrained(folder, **NOTHING_RUN)


def _picture(processor: Any, folder: Path) -> tuple[int, int, Resize]:
    """Short side, crop and resize of a preprocessing."""
    size = dict(processor.size)
    size = {key: int(value) for key, value in size.items() if value is not None}
    mode = MODES.get(int(processor.resample))
    if mode is None or not (
        processor.do_resize and processor.do_rescale and processor.do_normalize
    ):
        raise ExtractError(f"{folder}: its preprocessing is not supported")
    shape: int | tuple[int, int]
    if "shortest_edge" in size:
        shape = side = size["shortest_edge"]
    else:
        shape, side = (size["height"], size["width"]), min(size["height"], size["width"])
    crop = side
    if processor.do_center_crop:
        crop = int(dict(processor.crop_size)["height"])
    elif isinstance(shape, int):
        raise ExtractError(f"{folder}: its preprocessing does not crop")
    return side, crop, Resize(shape, cast(Any, mode), antialias=True)


def _dimension(config: Any, kind: str) -> int:
    if kind != PICTURES:
        return int(config.hidden_size)
    if config.model_type == "clip":
        return int(config.projection_dim)
    return int(config.vision_config.hidden_size)


def check_known(spec: BackboneSpec, folder: Path) -> None:
    """Check that a folder has the preprocessing of the spec that it is used for.

    Raises:
        ExtractError: it has another.
    """
    found = model_spec(spec.name, folder)
    for field in ("dimension", "crop", "resize", "mean", "deviation", "frames", "step", "length"):
        here, there = getattr(spec, field), getattr(found, field)
        if not _same(here, there):
            raise ExtractError(
                f"{folder}: not the model {spec.name}, its {field} is {there} instead of {here}; "
                "to use it anyway, give the folder as the backbone"
            )


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, tuple):
        return bool(np.allclose(one, other, atol=1e-6))
    return bool(one == other)


def load_model(folder: Path) -> "nn.Module":
    """A model with its weights as a network that gives features, in inference mode.

    Raises:
        ExtractError: the weights are not those of the network in its configuration.
    """
    _require()
    from extract.backbones.transformers_network import NETWORKS

    config = read_json(folder / "config.json")
    kind = _kind(config, folder)
    with _one_line(folder):
        auto = "AutoModelForVideoClassification" if kind == CLASSIFIER else "AutoModel"
        network: nn.Module = NETWORKS[kind](_from_folder(folder, auto))
    return network.eval().requires_grad_(False)


def _from_folder(folder: Path, auto: str = "AutoModel") -> Any:
    import torch
    import transformers

    model, notes = getattr(transformers, auto).from_pretrained(
        folder,
        **NOTHING_RUN,
        use_safetensors=True,
        output_loading_info=True,
        dtype=torch.float32,
        attn_implementation="sdpa",
    )
    absent = sorted(notes["missing_keys"]) + sorted(map(str, notes["mismatched_keys"]))
    if absent:  # the library fills them with random numbers
        raise ExtractError(
            f"{folder}: the weights are not those of the model that config.json describes "
            f"({absent[0]} is missing; {len(absent)} of them)"
        )
    return model


def encode_prompts(folder: Path, prompts: Sequence[str]) -> TextTower:
    """Unit vectors of prompts by a model of pictures and text.

    Raises:
        ExtractError: the model has no text encoder, or its vocabulary is missing.
    """
    import torch

    _require()
    config = read_json(folder / "config.json")
    if _kind(config, folder) != PICTURES:
        raise ExtractError(
            f"{folder}: prompts need a model of pictures and text, e.g. clip-vit-b32 or siglip-base"
        )
    with _one_line(folder), torch.inference_mode():
        from transformers import AutoTokenizer

        from extract.backbones.transformers_network import unit_vectors

        model = _from_folder(folder).eval()
        tokens = AutoTokenizer.from_pretrained(folder, **NOTHING_RUN)
        longest = int(model.config.text_config.max_position_embeddings)
        # SigLIP was trained on prompts of one length, and without a mask.
        siglip = config["model_type"] == "siglip"
        options = {"padding": "max_length" if siglip else True, "truncation": True}
        inputs = tokens(list(prompts), return_tensors="pt", max_length=longest, **options)
        names = ("input_ids",) if siglip else ("input_ids", "attention_mask")
        found = model.get_text_features(**{name: inputs[name] for name in names})
        vectors = unit_vectors(found).float().numpy()
        return TextTower(vectors, float(model.logit_scale.exp()))
