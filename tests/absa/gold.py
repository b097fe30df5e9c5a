"""Sentences whose aspects are known beforehand, written to hold whatever tokenizers stumble over.

A mark `{+food}` is an aspect term rated positive, `{-…}` negative, `{=…}` neutral; the marks are not part of the text.
"""

import re
from dataclasses import dataclass

_MARK = re.compile(r"\{([+\-=])([^}]*)\}")
_POLARITY = {"+": "positive", "-": "negative", "=": "neutral"}


@dataclass(frozen=True, slots=True)
class GoldAspect:
    """A half-open span in code points, and its polarity."""

    start: int
    end: int
    polarity: str


@dataclass(frozen=True, slots=True)
class GoldText:
    """A text and its aspects in order."""

    text: str
    aspects: tuple[GoldAspect, ...]

    @property
    def spans(self) -> list[tuple[int, int]]:
        """The aspects' spans alone."""
        return [(aspect.start, aspect.end) for aspect in self.aspects]


def marked(source: str) -> GoldText:
    """The text without its marks, and the aspects that the marks tell."""
    text, aspects, position = "", [], 0
    for match in _MARK.finditer(source):
        text += source[position : match.start()]
        aspects.append(GoldAspect(len(text), len(text) + len(match[2]), _POLARITY[match[1]]))
        text += match[2]
        position = match.end()
    return GoldText(text + source[position:], tuple(aspects))


GOLD: dict[str, GoldText] = {
    name: marked(source)
    for name, source in {
        "leading and double spaces": "  The  {+food} was  good ,  the {-service}   slow .  ",
        "line breaks": "Great {+battery\nlife}!\nBut the\n{-fan  noise}\r\nis awful.\n\n{=screen}\n",
        "tabs and odd spaces": "the\t{+menu}\u00a0and the {-bar\u00a0tender}\u3000were\u2009{=fine wine} \u200b",
        "emoji": "Loved the {+food}😀 and the {-price}👍🏽, 😀{+pizza} ❤️ {=beer}🍺🍺! 👨‍👩‍👧 {-waiter}",
        "combining accents": (
            "The cafe\u0301 has {+cre\u0300me bru\u0302le\u0301e} and a {-cafe\u0301}, nai\u0308ve {=jalapen\u0303o}."
        ),
        "letters with accents": "Ein {+Käsespätzle} für {-Führung} à la {=crème brûlée} in İstanbul, {+İskender} dazu.",
        "chinese": "{+牛肉面}很好吃，但是{-服务}不行。{=价格}一般",
        "japanese and mixed": "この{+ラーメン}は美味しい。{-iPhone}很好 {=Wi-Fi}不行",
        "hyphens": (
            "The {+wi-fi}, the {-built-in keyboard} and a state-of-the-art {=screen-size}—{+trackpad} – {-hinge}"
        ),
        "apostrophes": (
            "The {+chef's special}, the {-waiter}'s tone, it's {=staff’s attitude}; don't 'skip' the {+'90s menu}."
        ),
        "same term twice": "The {+food} was good, the other {-food} bad, foodies like food-court {=food}.",
        "names of special tokens": (
            "The {+food} [SEP] was [CLS] good </s> <s> but <pad> [MASK] <mask> [PAD] the {-service} [SEP]"
            " {=pizza}[SEP] <unk> [UNK] {+sushi}</s> [SEP]"
        ),
        "digits and signs": 'The {+RAM} (8GB) costs $5.99…{-SSD}; "{=USB-C port}" & {+C++} #1 100%',
        "unknown letters": "the {+Ωμέγα} and ϟϠ {-ⲁⲃⲅ} are {=ᚠᚢᚦ menu}",
        "ligatures and wide forms": "fresh {+ﬁsh} and ½ {-souﬄe} for {=ｍｅｎｕ} ①",
        "neighbours": "{+sushi} {-service} {=price}",
        "nothing": "We went home early , it was fine .",
        "one word": "{+Delicious}",
    }.items()
}
