"""How long and how the models are trained. Knows no data and no torch: it is hashed before either is read."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a model is fine-tuned. `layer_decay` is the rate of each encoder layer relative to the one above it."""

    learning_rate: float = 2e-4
    head_learning_rate: float = 1e-3
    layer_decay: float = 0.9
    batch_size: int = 8
    warmup: float = 0.1
    weight_decay: float = 0.01
    label_smoothing: float = 0.05
    max_gradient_norm: float = 1.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What is trained on, how long, and how. Every field changes the weights, so all of them are hashed."""

    seed: int = 1
    epochs: int = 1
    aspect_reviews: int | None = None
    aspects_per_review: int | None = None
    max_tokens: int = 256
    recipe: Recipe = field(default_factory=Recipe)
