"""Models of transformers so small that a test can make them: random weights in a folder."""

import json

import torch

SIDE = 32
TEXT = {"vocab_size": 40, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1}
LAYERS = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2}
WORDS = ("a", "video", "of", "nothing", "in", "particular", "person", "running", "ball")


def video_model(kind):
    from transformers import (
        VideoMAEConfig,
        VideoMAEForVideoClassification,
        VJEPA2Config,
        VJEPA2Model,
    )

    if kind == "vjepa2":
        sizes = {"num_attention_heads": 2, "pred_hidden_size": 12, "pred_num_attention_heads": 1}
        config = VJEPA2Config(
            hidden_size=24, num_hidden_layers=2, crop_size=SIDE, pred_num_hidden_layers=1, **sizes
        )
        return VJEPA2Model(config)
    labels = {0: "running", 1: "jumping", 2: "falling"}
    config = VideoMAEConfig(
        **LAYERS, num_attention_heads=2, image_size=SIDE, num_frames=16, id2label=labels
    )
    return VideoMAEForVideoClassification(config)


def picture_model(kind):
    import transformers

    heads = {"num_attention_heads": 2}
    marks = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    vision = {**LAYERS, **heads, "image_size": SIDE, "patch_size": 8}
    text = {**TEXT, **heads, **marks, "max_position_embeddings": 16}
    if kind == "clip":
        config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=12)
        return transformers.CLIPModel(config)
    return transformers.SiglipModel(
        transformers.SiglipConfig(text_config=text, vision_config=vision)
    )


def processor(kind):
    import transformers

    if kind == "vjepa2":
        return transformers.VJEPA2VideoProcessor(crop_size=SIDE)
    crop = {"height": SIDE, "width": SIDE}
    if kind == "siglip":
        return transformers.SiglipImageProcessor(size=crop)
    kinds = {"clip": "CLIPImageProcessor", "videomae": "VideoMAEImageProcessor"}
    return getattr(transformers, kinds[kind])(size={"shortest_edge": SIDE + 5}, crop_size=crop)


def tokenizer():
    from tokenizers import Tokenizer, models, pre_tokenizers
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    words = {word: n for n, word in enumerate(("<s>", "</s>", "<unk>", *WORDS))}
    inner = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    inner.post_processor = TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)]
    )
    names = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "</s>"}
    return PreTrainedTokenizerFast(tokenizer_object=inner, **names)


def write_model(kind, folder, seed=0):
    """A model of random weights with its preprocessing; ``kind`` is a model type."""
    torch.manual_seed(seed)
    model = (video_model if kind in ("vjepa2", "videomae") else picture_model)(kind)
    for parameter in model.parameters():  # of the library's own making, all pictures look alike
        parameter.data += 0.2 * torch.randn_like(parameter)
    model.save_pretrained(folder)
    processor(kind).save_pretrained(folder)
    if kind in ("clip", "siglip"):
        tokenizer().save_pretrained(folder)
    assert json.loads((folder / "config.json").read_text())["model_type"] == kind
    return folder
