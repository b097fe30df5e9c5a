"""Every way of writing tags that published models use, each with the names its labels have and what they should mean.

Written from the schemes' definitions and apart from the code under test: it turns known spans into tags of words.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import regex

from tests.absa.gold import GoldAspect

# Words as annotators see them: letters and digits with their marks; a character of Chinese or Japanese; any other sign.
_WORD = regex.compile(
    r"[\p{Han}\p{Hiragana}\p{Katakana}ー]|[[\p{L}\p{N}]--[\p{Han}\p{Hiragana}\p{Katakana}ー]]"
    r"[[\p{L}\p{N}\p{M}]--[\p{Han}\p{Hiragana}\p{Katakana}ー]]*|\S",
    regex.VERSION1,
)
_SHORT = {"positive": "POS", "negative": "NEG", "neutral": "NEU"}
CATEGORY = {"positive": "Food", "negative": "Service", "neutral": "Price"}


@dataclass(frozen=True, slots=True)
class TagScheme:
    """`labels` by id; `tag` names the label of word `rank` of `count` in an aspect, told whether it follows another."""

    labels: Sequence[str]
    tag: Callable[[GoldAspect, int, int, bool], str]
    renamed: dict[str, str] = field(default_factory=dict)
    is_joint: bool = False
    has_categories: bool = False
    separates_neighbours: bool = True


def words_of(text: str) -> list[tuple[int, int]]:
    """Half-open spans of the words."""
    return [match.span() for match in _WORD.finditer(text)]


def tags_of_words(text: str, aspects: Sequence[GoldAspect], scheme: TagScheme) -> list[str]:
    """The label of each word of `words_of(text)`; the scheme's first label is "outside" unless it says otherwise."""
    words = words_of(text)
    tags = [outside(scheme)] * len(words)
    last_inside = -2
    for aspect in aspects:
        members = [i for i, (start, end) in enumerate(words) if start >= aspect.start and end <= aspect.end]
        for rank, member in enumerate(members):
            tags[member] = scheme.tag(aspect, rank, len(members), members[0] == last_inside + 1)
        last_inside = members[-1]
    return tags


def outside(scheme: TagScheme) -> str:
    """The scheme's label for words of no aspect."""
    return next(name for name in scheme.labels if scheme.renamed.get(name, name) in {"O", "OTHER", "o"})


def _bi(rank: int, _count: int) -> str:
    return "B" if rank == 0 else "I"


def _with_ends(end: str, single: str) -> Callable[[int, int], str]:
    def letter(rank: int, count: int) -> str:
        if count == 1:
            return single
        return "B" if rank == 0 else end if rank == count - 1 else "I"

    return letter


def _plain(pattern: str, letter: Callable[[int, int], str] = _bi) -> Callable[[GoldAspect, int, int, bool], str]:
    return lambda _aspect, rank, count, _follows: pattern.format(letter(rank, count))


def _joint(pattern: str, letter: Callable[[int, int], str] = _bi) -> Callable[[GoldAspect, int, int, bool], str]:
    return lambda aspect, rank, count, _follows: pattern.format(letter(rank, count), _SHORT[aspect.polarity])


def _long(aspect: GoldAspect, rank: int, count: int, _follows: bool) -> str:
    return f"{_bi(rank, count)}-ASP-{aspect.polarity.capitalize()}"


def _gauneg(aspect: GoldAspect, rank: int, count: int, _follows: bool) -> str:
    return f"{_bi(rank, count)}-{_SHORT[aspect.polarity].lower()}"


def _iob1(_aspect: GoldAspect, rank: int, _count: int, follows: bool) -> str:
    return "B-ASP" if rank == 0 and follows else "I-ASP"


def _mixed(aspect: GoldAspect, rank: int, count: int, _follows: bool) -> str:
    """The second word of a longer aspect disagrees about the polarity; the others outvote it."""
    polarity = _SHORT[aspect.polarity]
    other = "NEG" if polarity != "NEG" else "POS"
    return f"{_bi(rank, count)}-{other if rank == 1 and count > 2 else polarity}"


def _category(aspect: GoldAspect, rank: int, count: int, _follows: bool) -> str:
    return f"{_bi(rank, count)}-{CATEGORY[aspect.polarity]}"


def _numbered(_aspect: GoldAspect, rank: int, _count: int, _follows: bool) -> str:
    return "LABEL_1" if rank == 0 else "LABEL_2"


def _names(pattern: str, letters: str, seconds: Sequence[str] = ("",)) -> list[str]:
    return ["O", *(pattern.format(letter, second) for second in seconds for letter in letters)]


_POLARITIES = ("POS", "NEG", "NEU")
_BIOES, _BILOU = _with_ends("E", "S"), _with_ends("L", "U")

SCHEMES: dict[str, TagScheme] = {
    "BIO": TagScheme(["O", "B-ASP", "I-ASP"], _plain("{}-ASP")),
    "BIO, PyABSA's order": TagScheme(["B-ASP", "I-ASP", "O", "[CLS]", "[SEP]"], _plain("{}-ASP")),
    "bare letters": TagScheme(["O", "B", "I"], _plain("{}")),
    "IOB1": TagScheme(["O", "B-ASP", "I-ASP"], _iob1),
    "BIOES": TagScheme(_names("{}-ASP", "BIES"), _plain("{}-ASP", _BIOES)),
    "BILOU": TagScheme(_names("{}_TERM", "BILU"), _plain("{}_TERM", _BILOU)),
    "IO": TagScheme(
        ["EQ", *_names("T-{1}", "T", _POLARITIES)],
        lambda aspect, *_: f"T-{_SHORT[aspect.polarity]}",
        is_joint=True,
        separates_neighbours=False,
    ),
    "joint BIO": TagScheme(_names("{}-{}", "BI", _POLARITIES), _joint("{}-{}"), is_joint=True),
    "joint BIOES": TagScheme(_names("{}-{}", "BIES", _POLARITIES), _joint("{}-{}", _BIOES), is_joint=True),
    "mixed polarity": TagScheme(_names("{}-{}", "BI", _POLARITIES), _mixed, is_joint=True),
    "three parts": TagScheme(_names("{}-ASP-{}", "BI", ("Positive", "Negative", "Neutral")), _long, is_joint=True),
    "gauneg's order": TagScheme(
        ["O", "B-neu", "I-neu", "B-neg", "B-con", "I-pos", "B-pos", "I-con", "I-neg"], _gauneg, is_joint=True
    ),
    "suffix": TagScheme(["O", "ASP-B", "ASP-I"], _plain("ASP-{}")),
    "joined": TagScheme(["O", "BA", "IA"], _plain("{}A")),
    "joined polarity": TagScheme(_names("{}{}", "BI", _POLARITIES), _joint("{}{}"), is_joint=True),
    "categories": TagScheme(_names("{}-{}", "BI", ("Food", "Service", "Price")), _category, has_categories=True),
    "LABEL_n with a manifest": TagScheme(
        ["LABEL_0", "LABEL_1", "LABEL_2"], _numbered, {"LABEL_0": "O", "LABEL_1": "B-ASP", "LABEL_2": "I-ASP"}
    ),
}
