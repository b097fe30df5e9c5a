"""A labelled review: the common currency of generator, user's file, trainer and scores. Knows no model and no file."""

import re
from dataclasses import dataclass, replace
from typing import Literal

Polarity = Literal["negative", "neutral", "positive"]

POLARITIES: tuple[Polarity, ...] = ("negative", "neutral", "positive")
SIGNS: dict[str, Polarity] = {"-": "negative", "0": "neutral", "+": "positive"}
MARK = re.compile(r"\[([^|\]]+)\|([-+0])\]")


@dataclass(frozen=True, slots=True)
class LabelledAspect:
    """A term of a text, half-open and in code points, and how the text judges it."""

    start: int
    end: int
    polarity: Polarity


@dataclass(frozen=True, slots=True)
class LabelledReview:
    """A text with all of its aspect terms, in text order, none overlapping another."""

    text: str
    aspects: tuple[LabelledAspect, ...]

    def cut(self, start: int, end: int) -> "LabelledReview":
        """The part of the text at `start:end`, with the aspects that lie whole within it."""
        inside = [aspect for aspect in self.aspects if start <= aspect.start and aspect.end <= end]
        moved = (replace(aspect, start=aspect.start - start, end=aspect.end - start) for aspect in inside)
        return LabelledReview(self.text[start:end], tuple(moved))


def read_marked(marked: str) -> LabelledReview:
    """The review that a marked text stands for: `The [soup|+] was hot.` has one positive aspect at 4 to 8."""
    text, aspects, read_to = "", [], 0
    for mark in MARK.finditer(marked):
        text += marked[read_to : mark.start()]
        aspects.append(LabelledAspect(len(text), len(text) + len(mark[1]), SIGNS[mark[2]]))
        text, read_to = text + mark[1], mark.end()
    return LabelledReview(text + marked[read_to:], tuple(aspects))
