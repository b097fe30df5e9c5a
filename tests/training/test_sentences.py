"""What the generator writes, and that it can write all that its phrase files hold."""

import re
from collections import Counter
from itertools import islice

from absa_server.training.records import MARK
from absa_server.training.sentences import MAX_WORDS, write_reviews


def test_same_seed_writes_the_same_reviews():
    """A seed is a corpus; another seed is another one."""
    one, again, other = (list(islice(write_reviews(seed), 50)) for seed in (1, 1, 2))
    assert one == again
    assert one != other


def test_spans_are_whole_words_of_the_text(reviews):
    """No term is empty, begins or ends with white space, or cuts a word."""
    for review in reviews:
        for aspect in review.aspects:
            term = review.text[aspect.start : aspect.end]
            assert term == term.strip() != ""
            around = review.text[aspect.start - 1 : aspect.start], review.text[aspect.end : aspect.end + 1]
            assert not any(re.match(r"[^\W_]", neighbour) for neighbour in around), review


def test_no_mark_of_the_grammar_is_left_in_a_text(reviews):
    """Braces, brackets and names of rules stay behind."""
    for review in reviews:
        assert not re.search(r"[{}<>|\[\]_@~*]|a\(n\)", review.text), review.text
        assert not MARK.search(review.text)


def test_no_text_is_written_twice_nor_a_term_named_twice(reviews):
    """Repetition would teach nothing new."""
    assert len({review.text for review in reviews}) == len(reviews)
    for review in reviews:
        terms = [review.text[aspect.start : aspect.end].lower() for aspect in review.aspects]
        assert len(terms) == len(set(terms))
        assert len(review.text.split()) <= MAX_WORDS


def test_every_kind_of_review_is_written(reviews):
    """None, one and several aspects; agreeing and mixed; each polarity; lower case; without a final point."""
    counts = Counter(min(len(review.aspects), 3) for review in reviews)
    mixed = [review for review in reviews if len({aspect.polarity for aspect in review.aspects}) > 1]
    polarities = Counter(aspect.polarity for review in reviews for aspect in review.aspects)
    assert min(counts[number] for number in range(4)) > len(reviews) / 20
    assert len(mixed) > len(reviews) / 10
    assert min(polarities.values()) > sum(polarities.values()) / 10
    assert sum(review.text.islower() for review in reviews) > len(reviews) / 20
    assert sum(review.text[-1].isalpha() for review in reviews) > len(reviews) / 20


def test_vocabulary_of_terms_is_large(reviews):
    """Hundreds of different terms stand in a thousand reviews, many of several words."""
    terms = {review.text[aspect.start : aspect.end].lower() for review in reviews for aspect in review.aspects}
    assert len(terms) > 500
    assert sum(" " in term for term in terms) > len(terms) / 4


def test_phrases_hold_no_dead_end():
    """Many draws of every domain meet no rule that does not exist."""
    assert sum(1 for _ in islice(write_reviews(11), 5000)) == 5000
