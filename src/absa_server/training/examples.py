"""What the two models are shown: token ids of a text with a tag each, or of a (text, term) pair with one class.

Knows the tokenizer and no network.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from tokenizers import Encoding, Tokenizer

from absa_server.absa.sentences import enclosing_sentence, split_sentences
from absa_server.training.records import POLARITIES, LabelledAspect, LabelledReview

OUTSIDE, BEGIN, INSIDE = range(3)
TAGS = ("O", "B-ASP", "I-ASP")
IGNORED = -100


@dataclass(frozen=True, slots=True)
class Example:
    """One text or pair. `labels` holds a class for each token, or `IGNORED`; the first one is that of the whole."""

    input_ids: list[int]
    token_type_ids: list[int]
    labels: list[int]


def aspect_examples(reviews: Iterable[LabelledReview], tokenizer: Tokenizer) -> list[Example]:
    """Tagged examples, more than one for a text longer than the tokenizer's limit.

    Every sub-word of a term is tagged, not its first one alone, so that no sub-word learns to be ignored.
    """
    reviews = list(reviews)
    encodings = tokenizer.encode_batch([review.text for review in reviews])
    return [
        Example(piece.ids, piece.type_ids, _tags(review, piece))
        for review, encoding in zip(reviews, encodings, strict=True)
        for piece in (encoding, *encoding.overflowing)
    ]


def sentiment_examples(
    reviews: Iterable[LabelledReview], tokenizer: Tokenizer, *, aspects_per_review: int | None = None
) -> list[Example]:
    """Classified examples of (the aspect's own sentence, its term), the context that the server shows.

    Every term of the sentence is labelled where it stands, and so is the pair's own term. With `aspects_per_review`
    only so many aspects of a review become an example: a thousand texts teach more than a thousand terms of few.
    """
    rated = [pair for n, review in enumerate(reviews) for pair in _own_sentences(review, n, aspects_per_review)]
    pairs = [(review.text, review.text[aspect.start : aspect.end]) for review, aspect in rated]
    return [
        Example(encoding.ids, encoding.type_ids, _polarities(review, aspect, encoding))
        for encoding, (review, aspect) in zip(tokenizer.encode_batch(pairs), rated, strict=True)
    ]


def _own_sentences(review: LabelledReview, turn: int, limit: int | None) -> list[tuple[LabelledReview, LabelledAspect]]:
    """Some aspects of a review, each with the review cut down to its sentence; `turn` says which aspect comes first."""
    count = len(review.aspects)
    sentences = split_sentences(review.text)
    pairs = []
    for n in range(count if limit is None else min(limit, count)):
        aspect = review.aspects[(turn + n) % count]
        start, end = enclosing_sentence(sentences, aspect.start, aspect.end)
        pairs.append((review.cut(start, end), replace(aspect, start=aspect.start - start, end=aspect.end - start)))
    return pairs


def _polarities(review: LabelledReview, aspect: LabelledAspect, encoding: Encoding) -> list[int]:
    own = POLARITIES.index(aspect.polarity)
    labels = [own if sequence == 1 else IGNORED for sequence in encoding.sequence_ids]
    for other in review.aspects:
        for token in _tokens_of(other, encoding):
            labels[token] = POLARITIES.index(other.polarity)
    return [own, *labels[1:]]


def _tags(review: LabelledReview, encoding: Encoding) -> list[int]:
    tags = [IGNORED if special else OUTSIDE for special in encoding.special_tokens_mask]
    for aspect in review.aspects:
        for n, token in enumerate(_tokens_of(aspect, encoding)):
            tags[token] = INSIDE if n else BEGIN
    return tags


def _tokens_of(aspect: LabelledAspect, encoding: Encoding) -> list[int]:
    """The tokens of the text, not of a pair's second half, that the aspect's span touches."""
    return [
        token
        for token, (start, end) in enumerate(encoding.offsets)
        if encoding.sequence_ids[token] == 0 and start < aspect.end and end > aspect.start
    ]
