"""From tag probabilities of words to aspect spans: lenient decoding, spans' scores, and polarity of joint tags.

Decoding follows conlleval's leniency: an inside tag after an outside one, or after another category, opens a span; so
IOB1 and IOB2 both work. A difference in polarity never splits a span. Knows no tokenizer and no model.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from absa_server.absa.labels import Tag, TagSet
from absa_server.absa.words import trim
from absa_server.types import Aspect, FloatArray

_TINY = 1e-12  # keeps the logarithm of a probability of nought finite


@dataclass(frozen=True, slots=True)
class TaggedWord:
    """A word's half-open span in the text, and the probability of each tag, `(labels,)`."""

    start: int
    end: int
    probabilities: FloatArray


def decode_spans(text: str, words: Sequence[TaggedWord], tag_set: TagSet) -> list[Aspect]:
    """The aspect terms of `text`, in text order. `words` are in text order and do not overlap."""
    chosen = [int(word.probabilities.argmax()) for word in words]
    groups = group_words([tag_set.tags[tag] for tag in chosen])
    return [_aspect(text, words[first:last], chosen[first:last], tag_set) for first, last in groups]


def group_words(tags: Sequence[Tag]) -> list[tuple[int, int]]:
    """Half-open ranges of words that form one span each."""
    groups: list[tuple[int, int]] = []
    previous = Tag("O")
    for index, tag in enumerate(tags):
        if tag.position != "O":
            if _opens(previous, tag):
                groups.append((index, index + 1))
            else:
                groups[-1] = (groups[-1][0], index + 1)
        previous = tag
    return groups


def _opens(previous: Tag, tag: Tag) -> bool:
    return (
        tag.position in {"B", "S"}
        or previous.position in {"O", "E", "S"}  # after an end or a single, an inside tag is a new span
        or previous.category != tag.category
    )


def _aspect(text: str, words: Sequence[TaggedWord], chosen: Sequence[int], tag_set: TagSet) -> Aspect:
    start, end = trim(text, words[0].start, words[-1].end)
    score = float(np.mean([word.probabilities[tag] for word, tag in zip(words, chosen, strict=True)]))
    category = tag_set.tags[chosen[0]].category
    if not tag_set.is_joint:
        return Aspect(text[start:end], start, end, score, category)
    return _rated(Aspect(text[start:end], start, end, score, category), words, tag_set)


def rate_span(aspect: Aspect, words: Sequence[TaggedWord], tag_set: TagSet) -> Aspect:
    """A given aspect with what a joint tagger says of its words; of all `words` where it has no place among them."""
    inside = [
        word
        for word in words
        if aspect.start is not None and aspect.end is not None and word.start < aspect.end and word.end > aspect.start
    ]
    return _rated(aspect, inside or words, tag_set)


def _rated(aspect: Aspect, words: Sequence[TaggedWord], tag_set: TagSet) -> Aspect:
    scores = polarity_scores(words, tag_set)
    polarity = max(scores, key=lambda name: scores[name])
    label = next(tag.polarity_label for tag in tag_set.tags if tag.polarity == polarity)
    return replace(aspect, label=label, polarity=polarity, polarity_score=scores[polarity], scores=scores)


def polarity_scores(words: Sequence[TaggedWord], tag_set: TagSet) -> dict[str, float]:
    """Probability of each polarity over the words of a span: the product of what each word gives it, normalised.

    Equal shares where there are no words: a text of which the tokenizer sees nothing.
    """
    rows = [word.probabilities for word in words]
    probabilities = np.array(rows, np.float64).reshape(-1, len(tag_set.tags))  # (words, labels)
    logs = np.array(
        [
            np.log(probabilities[:, [tag.polarity == polarity for tag in tag_set.tags]].sum(axis=1) + _TINY).sum()
            for polarity in tag_set.polarities
        ]
    )
    shares = np.exp(logs - logs.max())
    shares /= shares.sum()
    return {name: float(share) for name, share in zip(tag_set.polarities, shares, strict=True)}
