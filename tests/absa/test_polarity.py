"""Names of polarities: by name, in several languages and any case, and never by index."""

import pytest

from absa_server.absa.polarity import canonical_polarities, canonical_polarity


@pytest.mark.parametrize(
    ("canonical", "names"),
    [
        ("positive", ["positive", "POS", "Positive", "+", "positif", "positivo", "pozitif", "positiv", "正面", "积极"]),
        ("negative", ["negative", "Neg", "-", "negatif", "NÉGATIF", "negativo", "负面", "消极", " negative "]),
        ("neutral", ["neutral", "NEU", "netral", "neutro", "neutre", "中性"]),
        ("conflict", ["conflict", "con", "both", "MIXED", "konflik"]),
    ],
)
def test_names_of_many_languages_are_canonical(canonical: str, names: list[str]) -> None:
    """Each language's word means the one polarity."""
    assert {canonical_polarity(name) for name in names} == {canonical}


@pytest.mark.parametrize("name", ["food", "LABEL_1", "joy", "1", "0", "5 stars", "posit", ""])
def test_other_names_are_no_polarity(name: str) -> None:
    """A name that is none of the known ones is not bent into one; a lone numeral says nothing."""
    assert canonical_polarity(name) is None


def test_order_of_labels_decides_nothing() -> None:
    """The same names in another order map to the same polarities."""
    assert canonical_polarities(["NEUTRAL", "POSITIVE", "NEGATIVE"]) == ["neutral", "positive", "negative"]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["-1", "0", "1"], ["negative", "neutral", "positive"]),
        (["1", "-1"], ["positive", "negative"]),
        (["1", "2", "3", "4", "5"], ["1", "2", "3", "4", "5"]),
        (["0", "1"], ["0", "1"]),
        (["anger", "positive"], ["anger", "positive"]),
    ],
)
def test_numerals_are_polarities_only_with_minus_one(names: list[str], expected: list[str]) -> None:
    """Stars and class numbers pass unchanged; -1, 0, 1 together are read."""
    assert canonical_polarities(names) == expected
