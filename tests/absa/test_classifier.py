"""Stage two apart from any network: which words the model is shown, and how its logits are read."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from absa_server.absa.classifier import AspectInText, Classifier, EncodedAspect, PolarityLabel
from absa_server.absa.tokenization import TextTokenizer
from absa_server.errors import InvalidModel
from absa_server.types import Aspect

LABELS = (PolarityLabel("NEG", "negative"), PolarityLabel("NEU", "neutral"), PolarityLabel("POS", "positive"))
REVIEW = "The food was good. But the service , again , was slow ! We went home early ."


@pytest.fixture(scope="session")
def classifier(text_tokenizer: Callable[[str], TextTokenizer]) -> Classifier:
    """A pair classifier of BERT's family with plenty of room."""
    return Classifier(text_tokenizer("bert"), LABELS, max_tokens=128)


def _aspect(text: str, term: str) -> AspectInText:
    start = text.index(term)
    return AspectInText(text, term, start, start + len(term))


def _shown(classifier: Classifier, aspect: AspectInText) -> EncodedAspect:
    [encoded] = classifier.encode([aspect])
    assert len(encoded.input) <= classifier.max_tokens
    return encoded


def _pair(classifier: Classifier, *strings: str) -> list[int]:
    """The row of ids that those whole strings make."""
    template = classifier.tokenizer.pair if len(strings) == 2 else classifier.tokenizer.single
    return template.build(*(tokens.ids for tokens in classifier.tokenizer.encode(strings))).ids.tolist()


def test_aspect_is_shown_with_its_own_sentence(classifier: Classifier) -> None:
    """By default the sentence that holds the aspect, nothing of the others, and nothing is called cut."""
    encoded = _shown(classifier, _aspect(REVIEW, "service"))
    assert encoded.input.ids.tolist() == _pair(classifier, "But the service , again , was slow !", "service")
    assert not encoded.truncated


def test_aspect_is_shown_with_the_whole_text_by_manifest(classifier: Classifier) -> None:
    """`sentiment.context = text` shows all of it, as long as it fits."""
    encoded = _shown(replace(classifier, context="text"), _aspect(REVIEW, "service"))
    assert encoded.input.ids.tolist() == _pair(classifier, REVIEW, "service")
    assert not encoded.truncated


def test_aspect_without_a_place_is_shown_with_the_whole_text(classifier: Classifier) -> None:
    """A term that does not occur has no sentence of its own; a text too long for it is cut at its end, and told."""
    encoded = _shown(classifier, AspectInText(REVIEW, "ambience", None, None))
    assert encoded.input.ids.tolist() == _pair(classifier, REVIEW, "ambience")
    assert not encoded.truncated
    short = _shown(replace(classifier, max_tokens=20), AspectInText(REVIEW, "food", None, None))
    assert short.truncated
    assert short.input.ids[:8].tolist() == _pair(classifier, REVIEW, "food")[:8]


@pytest.mark.parametrize(("max_tokens", "truncated"), [(24, False), (23, True)])
def test_cut_is_told_exactly_when_something_is_missing(
    classifier: Classifier, max_tokens: int, truncated: bool
) -> None:
    """A context that fills the last token is whole; with one token less it is cut."""
    text = "food " * 20
    encoded = _shown(replace(classifier, max_tokens=max_tokens), AspectInText(text.strip(), "food", 0, 4))
    assert encoded.truncated is truncated
    assert len(encoded.input) == max_tokens


@pytest.mark.parametrize("context", ["text", "sentence"])
@pytest.mark.parametrize("family", ["bert", "roberta", "deberta v2", "xlm-roberta"])
@pytest.mark.parametrize("place", [0, 1, 30, 58, 59])
def test_long_context_is_cut_around_the_aspect(
    family: str, place: int, context: str, text_tokenizer: Callable[[str], TextTokenizer]
) -> None:
    """Wherever the aspect stands in a long sentence, the model sees it there, with as much around it as fits."""
    tokenizer = text_tokenizer(family)
    words = ["the"] * 60
    words[place] = "screen"
    text = " ".join(words)
    classifier = Classifier(tokenizer, LABELS, max_tokens=24, context=context)  # type: ignore[arg-type]
    encoded = _shown(classifier, _aspect(text, "screen"))
    [own] = tokenizer.encode([" screen" if place else "screen"])
    [alone] = tokenizer.encode(["screen"])
    ids = encoded.input.ids.tolist()
    assert encoded.truncated
    assert len(ids) == 24
    context_ids = ids[tokenizer.pair.first : len(ids) - len(alone) - len(tokenizer.pair.pieces[1]) - 1]
    assert own.ids.tolist()[-1] in context_ids


_SNIPPETS = st.sampled_from(["food", "slow", "waiter's", "wi-fi", "牛肉面", "!", "good.", "😀"])


@given(st.lists(_SNIPPETS, min_size=1, max_size=60), st.data())
def test_aspect_is_never_lost(classifier: Classifier, words: list[str], data: st.DataObject) -> None:
    """In any text, at any length of model, both segments hold all tokens of an aspect of a word."""
    text = " ".join(words)
    chosen = data.draw(st.integers(0, len(words) - 1))
    start = len(" ".join(words[:chosen])) + (chosen > 0)
    small = replace(
        classifier,
        max_tokens=data.draw(st.integers(20, 60)),
        context=data.draw(st.sampled_from(["text", "sentence"])),
        aspect_first=data.draw(st.booleans()),
    )
    encoded = _shown(small, AspectInText(text, words[chosen], start, start + len(words[chosen])))
    [aspect] = classifier.tokenizer.encode([words[chosen]])
    ids, needle = encoded.input.ids.tolist(), aspect.ids.tolist()
    found = [i for i in range(len(ids)) if ids[i : i + len(needle)] == needle]
    assert len(found) >= 2


def test_aspect_longer_than_half_the_room_is_cut_and_told(classifier: Classifier) -> None:
    """A given span of a whole paragraph takes at most half; the context begins where it begins."""
    text = "good " * 10 + "food " * 50
    encoded = _shown(replace(classifier, max_tokens=23), AspectInText(text, text[50:].strip(), 50, len(text) - 1))
    [food] = classifier.tokenizer.encode(["food"])
    assert encoded.truncated
    assert encoded.input.ids.tolist().count(int(food.ids[0])) == 20


def test_order_template_and_token_types_follow_the_manifest(classifier: Classifier) -> None:
    """(aspect, text) puts the aspect first, a template words it, and the second segment has the second type."""
    aspect = _aspect("The food was good", "food")
    first = _shown(replace(classifier, aspect_first=True), aspect)
    assert first.input.ids.tolist() == _pair(classifier, "food", "The food was good")
    assert first.input.types.tolist() == [0, 0, 0] + [1] * (len(first.input) - 3)
    worded = _shown(replace(classifier, template="what of the {aspect} of it ?"), aspect)
    assert worded.input.ids.tolist() == _pair(classifier, "The food was good", "what of the food of it ?")


@pytest.mark.parametrize("is_pair", [True, False])
def test_markers_stand_around_the_aspect(classifier: Classifier, is_pair: bool) -> None:
    """Markers are put around the occurrence meant, be it the second one; without a pair they alone tell it."""
    text = "good food , bad food"
    marked = replace(classifier, markers=("<", ">"), is_pair=is_pair)
    encoded = _shown(marked, AspectInText(text, "food", 16, 20))
    strings = ["good food , bad < food >", "food"] if is_pair else ["good food , bad < food >"]
    assert encoded.input.ids.tolist() == _pair(classifier, *strings)
    absent = _shown(marked, AspectInText(text, "price", None, None))
    assert absent.input.ids.tolist() == _pair(classifier, *([text, "price"] if is_pair else [text]))


def test_markers_stay_when_the_context_is_cut(classifier: Classifier) -> None:
    """The room they take is the context's, never the aspect's."""
    text = "good " * 40 + "food " + "bad " * 40
    encoded = _shown(replace(classifier, markers=("<", ">"), max_tokens=16), _aspect(text, "food"))
    [piece] = classifier.tokenizer.encode(["< food >"])
    ids = encoded.input.ids.tolist()
    assert piece.ids.tolist() in [ids[i : i + 3] for i in range(len(ids))]
    assert len(ids) == 16
    assert encoded.truncated


def test_special_tokens_in_a_text_do_not_end_its_segment(classifier: Classifier) -> None:
    """A review with [SEP] in it still is one segment: as many separators as the template has."""
    encoded = _shown(classifier, _aspect("The [SEP] food [SEP] was good", "food"))
    assert encoded.input.ids.tolist().count(3) == 2


def test_same_text_is_encoded_for_each_of_its_aspects(classifier: Classifier) -> None:
    """Many aspects at once get what each gets alone, in order."""
    aspects = [_aspect(REVIEW, "slow"), _aspect(REVIEW, "food"), AspectInText(REVIEW, "x", None, None)]
    together = [encoded.input.ids.tolist() for encoded in classifier.encode(aspects)]
    assert together == [_shown(classifier, aspect).input.ids.tolist() for aspect in aspects]


@pytest.mark.parametrize(
    ("changes", "fits"),
    [
        ({"max_tokens": 8}, True),
        ({"max_tokens": 4}, False),
        ({"max_tokens": 17, "template": "a b c d e f {aspect}"}, True),
        ({"max_tokens": 16, "template": "a b c d e f {aspect}"}, False),
        ({"max_tokens": 8, "markers": ("<", ">")}, True),
        ({"max_tokens": 6, "markers": ("<", ">")}, False),
        ({"max_tokens": 5, "markers": ("<", ">"), "is_pair": False}, True),
        ({"max_tokens": 4, "markers": ("<", ">"), "is_pair": False}, False),
    ],
)
def test_length_without_room_for_an_aspect_is_refused(
    classifier: Classifier, changes: dict[str, object], fits: bool
) -> None:
    """A limit that template, markers and special tokens fill up is found at load; the message says what to raise."""
    if fits:
        assert _shown(replace(classifier, **changes), _aspect("good food", "food"))  # type: ignore[arg-type]
        return
    with pytest.raises(InvalidModel, match=r"raise sentiment\.max_length"):
        replace(classifier, **changes)  # type: ignore[arg-type]


def test_softmax_gives_shares_of_one(classifier: Classifier) -> None:
    """The best class is the answer, in the model's name and the canonical one; what the aspect carried stays."""
    aspect = Aspect("food", 4, 8, 0.75, "Food")
    rated = classifier.decode(aspect, np.array([0.0, 1.0, 3.0], np.float32))
    assert (rated.label, rated.polarity) == ("POS", "positive")
    assert rated.scores is not None
    assert list(rated.scores) == ["negative", "neutral", "positive"]
    assert sum(rated.scores.values()) == pytest.approx(1)
    assert rated.polarity_score == rated.scores["positive"] == pytest.approx(0.8438, abs=1e-4)
    assert replace(rated, label=None, polarity=None, polarity_score=None, scores=None) == aspect


def test_sigmoid_rates_each_class_on_its_own(classifier: Classifier) -> None:
    """By manifest, each logit is its own probability; the highest is still the answer."""
    rated = replace(classifier, activation="sigmoid").decode(Aspect("x", 0, 1), np.array([2.0, 2.5, -1.0], np.float32))
    assert rated.scores == {
        "negative": pytest.approx(0.8808, abs=1e-4),
        "neutral": pytest.approx(0.9241, abs=1e-4),
        "positive": pytest.approx(0.2689, abs=1e-4),
    }
    assert (rated.label, rated.polarity) == ("NEU", "neutral")


def test_huge_logits_stay_finite(classifier: Classifier) -> None:
    """No overflow, whatever a model puts out."""
    for activation in ("softmax", "sigmoid"):
        rated = replace(classifier, activation=activation).decode(
            Aspect("x", 0, 1), np.array([-9e4, 0, 9e4], np.float32)
        )
        assert rated.polarity_score == pytest.approx(1)
