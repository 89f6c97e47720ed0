"""Models of transformers as networks from clips to features, one class per kind of model."""

from typing import Any, cast

from torch import Tensor, nn


class _Network(nn.Module):
    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def classifier(self) -> tuple[Tensor, Tensor] | None:
        """Weight ``[classes, D]`` and bias of the linear layer on the features, if any."""
        return None


class VideoEncoder(_Network):
    """The mean of a video encoder's last tokens."""

    def features(self, x: Tensor) -> Tensor:
        """Clips ``[B, 3, T, H, W]`` to features ``[B, D]``."""
        inputs: dict[str, Any] = {self.model.main_input_name: x.transpose(1, 2).contiguous()}
        if self.model.config.model_type == "vjepa2":
            inputs["skip_predictor"] = True  # the feature is the encoder's
        return cast(Tensor, self.model(**inputs).last_hidden_state.mean(dim=1))


class VideoClassifier(_Network):
    """The input of a video classifier's last linear layer."""

    def __init__(self, model: Any) -> None:
        super().__init__(model)
        self.linear = model.classifier
        model.classifier = nn.Identity()

    def features(self, x: Tensor) -> Tensor:
        """Clips ``[B, 3, T, H, W]`` to features ``[B, D]``."""
        inputs = {self.model.main_input_name: x.transpose(1, 2).contiguous()}
        return cast(Tensor, self.model(**inputs).logits)

    def classifier(self) -> tuple[Tensor, Tensor] | None:
        """Weight ``[classes, D]`` and bias ``[classes]`` of the linear layer."""
        return self.linear.weight, self.linear.bias


class PictureEncoder(_Network):
    """The mean of the unit vectors of frames."""

    def features(self, x: Tensor) -> Tensor:
        """Clips ``[B, 3, T, H, W]`` to features ``[B, D]``."""
        frames = x.transpose(1, 2).flatten(0, 1).contiguous()
        unit = unit_vectors(self.model.get_image_features(pixel_values=frames))
        return unit.unflatten(0, (len(x), -1)).mean(dim=1)


def unit_vectors(output: Any) -> Tensor:
    """Normalised vectors of the library's output, which is a tensor itself in some releases."""
    return nn.functional.normalize(getattr(output, "pooler_output", output), dim=-1)


NETWORKS: dict[str, type[_Network]] = {
    "video": VideoEncoder,
    "classifier": VideoClassifier,
    "pictures": PictureEncoder,
}
