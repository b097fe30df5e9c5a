"""Ways to make an int8 network of a float32 one. Knows no library.

What costs answers, measured on MiniLM taggers: the product that follows the activation function in the first half of
the layers, whose inputs have outliers; and the products inside of attention, which in float32 cost little.
"""

from dataclasses import dataclass
from typing import Literal

KeptFloat = Literal["attention", "early-down", "down"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """`alpha` of SmoothQuant, or None without it.

    `kept` in float32: products inside of attention, and the second products of the feed-forward layers (all of them, or
    those of the first half of the layers).
    """

    name: str
    alpha: float | None = None
    kept: tuple[KeptFloat, ...] = ()


# From the fastest network to the most careful.
RECIPES = (
    Recipe("plain"),
    Recipe("smooth", 0.5),
    Recipe("smooth-attention", 0.5, ("attention",)),
    Recipe("smoother-attention", 0.7, ("attention",)),
    Recipe("smooth-early", 0.5, ("attention", "early-down")),
    Recipe("smooth-down", 0.5, ("attention", "down")),
)
BY_NAME = {recipe.name: recipe for recipe in RECIPES}
