"""Names of polarities in several languages, mapped to the canonical four by name, never by index.

The index order differs between published models (negative first, neutral first, positive first), so an index
says nothing. Unknown names (emotions, stars) pass through unchanged.
"""

from collections.abc import Sequence

NAMES: dict[str, tuple[str, ...]] = {
    "positive": ("positive", "pos", "+", "positif", "positivo", "positiva", "pozitif", "positiv", "正面", "积极"),
    "negative": ("negative", "neg", "-", "negatif", "negativo", "negativa", "négatif", "negativ", "负面", "消极"),
    "neutral": ("neutral", "neu", "netral", "neutro", "neutre", "nötr", "中性"),
    "conflict": ("conflict", "con", "both", "mixed", "konflik"),
}
_CANONICAL = {name: canonical for canonical, names in NAMES.items() for name in names}
_NUMERALS = {"1": "positive", "+1": "positive", "0": "neutral", "-1": "negative"}


def canonical_polarity(name: str) -> str | None:
    """The canonical polarity that `name` means, in any case; None for a name that means none."""
    return _CANONICAL.get(name.strip().casefold())


def canonical_polarities(names: Sequence[str]) -> list[str]:
    """The polarities of a model's whole label set, unknown names unchanged.

    Numerals count only as the set -1, (0,) 1: among stars 1 to 5, "1" is no praise.
    """
    if "-1" in names and all(name.strip() in _NUMERALS for name in names):
        return [_NUMERALS[name.strip()] for name in names]
    return [canonical_polarity(name) or name for name in names]
