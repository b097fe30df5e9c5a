"""The words of a text, as aspect terms are bounded by them: runs of letters and digits, or one other visible character.

Scripts written without spaces count each character as a word. A combining mark belongs to the character before it.
Knows no tokenizer.
"""

from dataclasses import dataclass

import regex

# Scripts that are written without spaces between words: no run of letters tells a word there.
_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_WORD = regex.compile(
    rf"""(?V1)
    [{_UNSPACED}]\p{{M}}*                          # one character of an unspaced script
  | [[\p{{L}}\p{{N}}]--[{_UNSPACED}]][[\p{{L}}\p{{N}}\p{{M}}]--[{_UNSPACED}]]*   # a run of letters and digits
  | (?!\s)\X                                       # anything else that can be seen: one grapheme (an emoji, a comma)
    """,
    regex.VERBOSE,
)
_PICTURE = regex.compile(r"(?:\p{Extended_Pictographic}|\p{So}|\p{Sk}|\p{Cf}|\p{Cc}|\p{Variation_Selector})+")


def split_words(text: str) -> list[tuple[int, int]]:
    """Half-open code-point spans of the words of `text`, in order."""
    return [match.span() for match in _WORD.finditer(text)]


@dataclass(frozen=True, slots=True)
class WordBorders:
    """The places in a text where words begin, and where they end."""

    starts: frozenset[int] = frozenset()
    ends: frozenset[int] = frozenset()


def word_borders(text: str) -> WordBorders:
    """The borders of the words of `text`."""
    words = split_words(text)
    return WordBorders(frozenset(start for start, _ in words), frozenset(end for _, end in words))


def lowered(text: str) -> str:
    """Lower case of the same length, so that offsets stay: `İ` and its like are left alone."""
    return "".join(low if len(low := character.lower()) == 1 else character for character in text)


def trim(text: str, start: int, end: int) -> tuple[int, int]:
    """The span without white space, emoji and invisible characters at its edges.

    Some vocabularies glue an emoji to its neighbour as one unknown token; no aspect term begins or ends with one. Where
    nothing else is left, without white space alone; unchanged where that is all.
    """
    for is_edge in (_is_edge, str.isspace):
        inner_start, inner_end = start, end
        while inner_start < inner_end and is_edge(text[inner_start]):
            inner_start += 1
        while inner_end > inner_start and is_edge(text[inner_end - 1]):
            inner_end -= 1
        if inner_start < inner_end:
            return inner_start, inner_end
    return start, end


def _is_edge(character: str) -> bool:
    return character.isspace() or _PICTURE.fullmatch(character) is not None
