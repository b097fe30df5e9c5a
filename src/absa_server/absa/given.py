"""Aspects that came with the request: terms are looked for in the text, spans are taken as they are."""

from collections.abc import Sequence

import regex

from absa_server.types import Aspect, GivenAspect

# A word of the text may not go on at either side of a term, unless the term itself ends in a sign there ("C++").
_LETTER = r"[\p{L}\p{N}\p{M}]"


def resolve_given(text: str, given: Sequence[GivenAspect]) -> list[Aspect]:
    """One aspect a span; one for every whole-word occurrence of a term, or one without offsets if there is none."""
    resolved: list[Aspect] = []
    for aspect in given:
        if aspect.start is not None and aspect.end is not None:
            resolved.append(_at(aspect, aspect.term or text[aspect.start : aspect.end], aspect.start, aspect.end))
            continue
        term = aspect.term or ""
        found = [_at(aspect, text[start:end], start, end) for start, end in find_term(text, term)]
        resolved += found or [_at(aspect, term, None, None)]
    return resolved


def find_term(text: str, term: str) -> list[tuple[int, int]]:
    """Half-open spans of the whole-word occurrences of `term`, in its own case if there are any, else in any case."""
    wanted = term.strip()
    before = rf"(?<!{_LETTER})" if regex.match(_LETTER, wanted) else ""
    after = rf"(?!{_LETTER})" if regex.match(_LETTER, wanted[-1:]) else ""
    pattern = before + regex.escape(wanted) + after
    exact = [match.span() for match in regex.finditer(pattern, text)]
    return exact or [match.span() for match in regex.finditer(pattern, text, regex.IGNORECASE)]


def _at(aspect: GivenAspect, term: str, start: int | None, end: int | None) -> Aspect:
    return Aspect(term, start, end, aspect.score, aspect.category, aspect.label)
