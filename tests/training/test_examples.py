"""What the models are shown, checked against the tokens themselves."""

import pytest

from absa_server.training.base_model import read_tokenizer
from absa_server.training.examples import BEGIN, IGNORED, INSIDE, OUTSIDE, aspect_examples, sentiment_examples
from absa_server.training.records import POLARITIES, read_marked

NEGATIVE, NEUTRAL, POSITIVE = range(len(POLARITIES))


@pytest.fixture
def tokenizer(encoder):
    return read_tokenizer(encoder, max_tokens=32)


def labelled_words(example, tokenizer) -> dict[str, list[int]]:
    """The labels of each token, by the token."""
    words: dict[str, list[int]] = {}
    for token, label in zip(example.input_ids, example.labels, strict=True):
        words.setdefault(tokenizer.id_to_token(token), []).append(label)
    return words


def test_tags_open_with_the_first_sub_word_and_go_on(tokenizer):
    """B on the first sub-word of a term, I on every further one, O elsewhere, special tokens ignored."""
    [example] = aspect_examples([read_marked("the [battery life|+] was good, the [screen|-] not")], tokenizer)
    tokens = [tokenizer.id_to_token(token) for token in example.input_ids]
    opened = [tokens[n] for n, tag in enumerate(example.labels) if tag == BEGIN]
    assert (opened[0][0], opened[1][0], len(opened)) == ("b", "s", 2)
    assert example.labels[0] == example.labels[-1] == IGNORED
    assert example.labels[tokens.index("good")] == OUTSIDE
    assert example.labels[tokens.index("life")] == INSIDE


def test_long_text_becomes_several_examples(tokenizer):
    """What lies beyond the limit is taught too, tags and all."""
    review = read_marked("the place is here . " * 20 + "great [soup|+]")
    examples = aspect_examples([review], tokenizer)
    assert max(len(example.input_ids) for example in examples) == 32
    assert [BEGIN in example.labels for example in examples] == [False] * (len(examples) - 1) + [True]


def test_pair_shows_the_aspects_own_sentence(tokenizer):
    """A pair is (sentence, term), with the token types of two segments."""
    [example] = sentiment_examples([read_marked("We came. The [soup|+] was hot. Bye.")], tokenizer)
    assert tokenizer.decode(example.input_ids).split() == ["the", "soup", "was", "hot", ".", "soup"]
    assert example.token_type_ids == tokenizer.encode("The soup was hot.", "soup").type_ids


def test_pair_labels_the_whole_and_every_term_where_it_stands(tokenizer):
    """The first label is the pair's class; each term of the sentence, and the pair's own one, carries its polarity."""
    review = read_marked("the [soup|+] was good, the [fish|-] was bad")
    one, other = sentiment_examples([review], tokenizer)
    assert labelled_words(one, tokenizer)["[CLS]"] == [POSITIVE]
    assert labelled_words(one, tokenizer)["soup"] == [POSITIVE, POSITIVE]
    assert labelled_words(one, tokenizer)["fish"] == [NEGATIVE]
    assert labelled_words(other, tokenizer)["[CLS]"] == [NEGATIVE]
    assert labelled_words(other, tokenizer)["was"] == [IGNORED, IGNORED]


def test_limited_aspects_take_turns(tokenizer):
    """With one aspect a review, the second review gives its second aspect: no place in the sentence is preferred."""
    review = read_marked("the [soup|+] was good, the [fish|-] was bad")
    examples = sentiment_examples([review, review], tokenizer, aspects_per_review=1)
    assert [example.labels[0] for example in examples] == [POSITIVE, NEGATIVE]


def test_review_without_aspects_gives_no_pair(tokenizer):
    """There is nothing to rate."""
    assert sentiment_examples([read_marked("We came on Friday.")], tokenizer, aspects_per_review=1) == []
