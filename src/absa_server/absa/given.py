"""Aspects that came with the request: terms are looked for in the text, spans are taken as they are."""

from collections.abc import Sequence

from absa_server.absa.words import WordBorders, lowered, word_borders
from absa_server.types import Aspect, GivenAspect


def resolve_given(text: str, given: Sequence[GivenAspect]) -> list[Aspect]:
    """One aspect a span; one for every whole-word occurrence of a term, or one without offsets if there is none."""
    borders = word_borders(text) if any(aspect.start is None for aspect in given) else WordBorders()
    resolved: list[Aspect] = []
    for aspect in given:
        if aspect.start is not None and aspect.end is not None:
            resolved.append(_at(aspect, aspect.term or text[aspect.start : aspect.end], aspect.start, aspect.end))
            continue
        term = aspect.term or ""
        found = [_at(aspect, text[start:end], start, end) for start, end in find_term(text, term, borders)]
        resolved += found or [_at(aspect, term, None, None)]
    return resolved


def find_term(text: str, term: str, borders: WordBorders) -> list[tuple[int, int]]:
    """Half-open spans of the whole-word occurrences of `term`, in its own case if there are any, else in any case.

    `borders` are those of `text`: an occurrence begins where a word begins and ends where one ends.
    """
    wanted = term.strip()
    return _occurrences(text, wanted, borders) or _occurrences(lowered(text), lowered(wanted), borders)


def _occurrences(text: str, wanted: str, borders: WordBorders) -> list[tuple[int, int]]:
    """Compared only where words begin: a search of a term that repeats itself would take its length squared."""
    found: list[tuple[int, int]] = []
    free = 0  # where the last occurrence ended
    for start in sorted(borders.starts) if wanted else ():
        end = start + len(wanted)
        if start >= free and end in borders.ends and text.startswith(wanted, start):
            found.append((start, end))
            free = end
    return found


def _at(aspect: GivenAspect, term: str, start: int | None, end: int | None) -> Aspect:
    return Aspect(term, start, end, aspect.score, aspect.category, aspect.label)
