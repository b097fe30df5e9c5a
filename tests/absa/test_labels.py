"""Labels read as tags: every scheme of the published models, and what is refused rather than guessed."""

import pytest

from absa_server.absa.labels import Tag, parse_tags
from absa_server.errors import InvalidModel


def _tags(*names: str, renamed: dict[str, str] | None = None) -> list[Tag]:
    return list(parse_tags(dict(enumerate(names)), renamed).tags)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["O", "B-ASP", "I-ASP"], [Tag("O"), Tag("B"), Tag("I")]),
        (["B", "I", "O"], [Tag("B"), Tag("I"), Tag("O")]),
        (["o", "b", "i"], [Tag("O"), Tag("B"), Tag("I")]),
        (["O", "I-TERM"], [Tag("O"), Tag("I")]),
        (["O", "B_ASPECT", "I_ASPECT", "E_ASPECT", "S_ASPECT"], [Tag("O"), Tag("B"), Tag("I"), Tag("E"), Tag("S")]),
        (["O", "B-A", "I-A", "L-A", "U-A"], [Tag("O"), Tag("B"), Tag("I"), Tag("E"), Tag("S")]),
        (["O", "B", "M", "E", "S"], [Tag("O"), Tag("B"), Tag("I"), Tag("E"), Tag("S")]),
        (["O", "ASP-B", "ASP-I"], [Tag("O"), Tag("B"), Tag("I")]),
        (["O", "BA", "IA"], [Tag("O"), Tag("B"), Tag("I")]),
        (["O", "ASPECT"], [Tag("O"), Tag("I")]),
        (["B-ASP", "I-ASP", "O", "[CLS]", "[SEP]"], [Tag("B"), Tag("I"), Tag("O"), Tag("O"), Tag("O")]),
        (["X", "[PAD]", "B-AT", "I-AT"], [Tag("O"), Tag("O"), Tag("B"), Tag("I")]),
    ],
)
def test_plain_schemes_are_recognised(names: list[str], expected: list[Tag]) -> None:
    """A plain tag carries a position and nothing else, however it is written."""
    assert _tags(*names) == expected
    assert not parse_tags(dict(enumerate(names))).is_joint


@pytest.mark.parametrize(
    ("name", "other", "expected"),
    [
        ("B-POS", "I-POS", Tag("B", None, "positive", "POS")),
        ("B-ASP-Positive", "I-ASP-Positive", Tag("B", None, "positive", "Positive")),
        ("B-neg", "I-neg", Tag("B", None, "negative", "neg")),
        ("B-con", "I-con", Tag("B", None, "conflict", "con")),
        ("BNEU", "INEU", Tag("B", None, "neutral", "NEU")),
        ("T-NEG", "T-POS", Tag("I", None, "negative", "NEG")),
        ("POS-B", "POS-I", Tag("B", None, "positive", "POS")),
        ("positive", "negative", Tag("I", None, "positive", "positive")),
        ("B-正面", "I-正面", Tag("B", None, "positive", "正面")),
        ("B-Food", "I-Food", Tag("B", "Food", None, None)),
        ("B-FOOD#QUALITY", "I-FOOD#QUALITY", Tag("B", "FOOD#QUALITY", None, None)),
        ("B-Battery-Life", "I-Battery-Life", Tag("B", "Battery-Life", None, None)),
        ("B-Food-Positive", "I-Food-Positive", Tag("B", "Food", "positive", "Positive")),
        ("B-Negative-Food", "I-Negative-Food", Tag("B", "Food", "negative", "Negative")),
        ("B-ASP_Food_neutral", "I-ASP_Food_neutral", Tag("B", "Food", "neutral", "neutral")),
    ],
)
def test_remainder_is_polarity_or_category(name: str, other: str, expected: Tag) -> None:
    """What follows the letter is a polarity where it names one, a word for "aspect", or else a category."""
    assert _tags("O", name, other)[1] == expected


def test_irregular_order_of_labels_is_kept_by_id() -> None:
    """Tags stand at their ids, whatever the order; polarities come in label order, each once."""
    names = ["O", "B-neu", "I-neu", "B-neg", "B-con", "I-pos", "B-pos", "I-con", "I-neg"]
    tag_set = parse_tags(dict(enumerate(names)))
    assert [f"{tag.position}-{tag.polarity_label}" for tag in tag_set.tags[1:]] == names[1:]
    assert tag_set.polarities == ("neutral", "negative", "conflict", "positive")
    assert tag_set.is_joint


def test_manifest_renames_before_reading() -> None:
    """`LABEL_n` is readable once absa.json says what each means."""
    renamed = {"LABEL_0": "O", "LABEL_1": "B-ASP", "LABEL_2": "I-ASP"}
    assert _tags("LABEL_0", "LABEL_1", "LABEL_2", renamed=renamed) == [Tag("O"), Tag("B"), Tag("I")]


@pytest.mark.parametrize(
    ("names", "renamed", "telling"),
    [
        (["LABEL_0", "LABEL_1", "LABEL_2"], {}, '"aspect": {"labels": {"LABEL_0"'),
        (["LABEL_0", "LABEL_1"], {"LABEL_0": "O"}, "['LABEL_1'] say nothing"),
        (["B-ASP", "I-ASP"], {}, 'means "outside"'),
        (["O", "[PAD]"], {}, "every label"),
        (["O", "B-ASP", "I-ASP"], {"LABEL_1": "B"}, "aspect.labels names ['LABEL_1']"),
        (["O", "Interior", "Battery"], {}, "no tag scheme"),
        (["O", "B-ASP", "opinion"], {}, "no tag scheme"),
        (["O", "E-ASP", "L-ASP"], {}, "no tag scheme"),
        (["O", "BA", "IB"], {}, "no tag scheme"),
    ],
)
def test_labels_that_tell_nothing_are_refused(names: list[str], renamed: dict[str, str], telling: str) -> None:
    """Nothing is guessed: the message names the labels and the field of absa.json that would settle it."""
    with pytest.raises(InvalidModel) as refusal:
        _tags(*names, renamed=renamed)
    assert telling in refusal.value.message
    assert "absa.json" in refusal.value.message or "every label" in refusal.value.message


def test_missing_id_is_refused() -> None:
    """A gap in id2label would shift every tag behind it."""
    with pytest.raises(InvalidModel, match=r"ids 0 to 2; \[2\] are missing"):
        parse_tags({0: "O", 1: "B", 3: "I"})
