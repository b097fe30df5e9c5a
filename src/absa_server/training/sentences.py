"""Labelled reviews without end, written by the grammar under phrases/ and roughened as people's typing is.

Nothing in them comes from a data set. The same seed gives the same reviews, on every machine. Knows no model.
"""

import random
import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files

from absa_server.training.grammar import Context, Grammar, parse_rules
from absa_server.training.records import MARK, LabelledReview, read_marked

PHRASES = ("opinions", "tales", "sentences", "restaurants", "laptops", "hotels")
DOMAINS = ("restaurants", "laptops", "hotels")
DOMAIN_WEIGHTS = (5, 3, 3)
MAX_WORDS = 60
MANY = re.compile(
    r"\b(we|we all|(?:wife|husband|friends) and I|the two of us|our group|they|they also) (was|am)\b", re.IGNORECASE
)


@cache
def review_grammar() -> Grammar:
    """The grammar of all domains, read once. Raises `GrammarError` if a phrase file is written wrongly."""
    folder = files(__package__) / "phrases"
    return Grammar(parse_rules("\n".join((folder / f"{name}.txt").read_text("utf-8") for name in PHRASES)))


def write_reviews(seed: int) -> Iterator[LabelledReview]:
    """Reviews for ever, no text twice."""
    rng = random.Random(seed)  # noqa: S311  sentences, not secrets
    seen: set[str] = set()
    while True:
        marked = _roughen(_sentences(rng), rng)
        review = read_marked(marked)
        if review.text not in seen and _is_natural(marked, review):
            seen.add(review.text)
            yield review


def _sentences(rng: random.Random) -> str:
    (domain,) = rng.choices(DOMAINS, DOMAIN_WEIGHTS)
    count = 2 if rng.random() < 0.1 else 1
    return " ".join(_sentence(domain, rng) for _ in range(count))


def _sentence(domain: str, rng: random.Random) -> str:
    marked = review_grammar().draw("sentence", Context(domain, domain, "0"), rng)
    marked = _agree(marked)
    marked = re.sub(r"\s+([,.;:!?])", r"\1", marked).replace(" 've", "'ve").replace(" 'll", "'ll")
    return re.sub(r"(?:^|(?<=[.!?] ))\[?[a-z]", lambda start: start[0].upper(), marked)


def _agree(marked: str) -> str:
    """The little grammar that the phrases leave open: we was, I were, sandwichs."""
    marked = MANY.sub(lambda said: f"{said[1]} {'were' if said[2] == 'was' else 'are'}", marked)
    marked = re.sub(r"(?<!and )\bI were\b", "I was", marked)
    return re.sub(r"(?<=[cs]h)s\b", "es", marked)


def _is_natural(marked: str, review: LabelledReview) -> bool:
    """Nobody names the same thing twice in a sentence, nor goes on for ever."""
    terms = [mark[1].lower() for mark in MARK.finditer(marked)]
    return len(terms) == len(set(terms)) and len(review.text.split()) <= MAX_WORDS


def _roughen(marked: str, rng: random.Random) -> str:
    """The text as it might have been typed: without capitals, full stop or apostrophes, and the like."""
    if rng.random() < 0.15:
        marked = marked.lower()
    if rng.random() < 0.12:
        marked = marked.rstrip(".!")
    if rng.random() < 0.04:
        marked = marked.replace("n't", "nt")
    if rng.random() < 0.06:
        marked = marked.replace(", ", " ")
    if rng.random() < 0.05:
        marked = marked.replace(" and ", " & ")
    if rng.random() < 0.03:
        marked = marked.replace(", ", " - ")
    return marked
