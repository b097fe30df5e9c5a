"""The drills of performance in small: the same code on tiny models for a moment. Figures are for the full form."""

import pytest

from tests.drills import context, engine, fairness, front, start
from tests.tiny_models import write_sentences

TEXTS = [sentence.text for sentence in write_sentences(32)]


def test_front_drill_in_small(tiny_models, tmp_path):
    """The server without its networks answers under load, and tells which of its modules used the CPU."""
    load = front.Load(TEXTS, seconds=0.4, concurrency=4)
    [cell], aspects = front.measure(tiny_models, tmp_path, load, rounds=1)
    assert front.per_cpu_second(cell) > 0
    assert aspects > 0
    modules, functions = front.profile(tiny_models, tmp_path, load)
    assert modules.row_count > 3
    assert functions.row_count > 3


def test_fairness_drill_in_small(tiny_models, tmp_path):
    """Short texts are answered beside reviews and alone, and the server's own count of tokens sets the rate."""
    figures = fairness.measure(tiny_models, tmp_path, TEXTS, seconds=0.4, rounds=1, share=0.2)
    assert figures.capacity_s > 0
    assert figures.beside[0].reviews_s > 0
    assert figures.alone[0].tokens_s > 0
    assert fairness.p99(figures.alone) > 0


def test_reviews_of_the_fairness_drill_have_their_aspects():
    """Thirty words, each where it is said to be."""
    for review in fairness.make_reviews(TEXTS):
        assert len(review.aspects) == fairness.ASPECTS
        assert all(fairness.WORD.fullmatch(review.text[start:end]) for start, end in review.aspects)


def test_context_drill_in_small(tiny_models, tmp_path):
    """Joined sentences keep their aspects, and both contexts are scored by a real server."""
    gold = [
        {"text": one.text, "aspects": [{"start": one.start, "end": one.end, "polarity": one.polarity}] * bool(one.end)}
        for one in write_sentences(48)
    ]
    terms = {one.text[one.start : one.end] for one in write_sentences(48)}
    reviews = context.make_reviews(gold)
    assert {review["text"][a["start"] : a["end"]] for review in reviews for a in review["aspects"]} <= terms
    assert sum(len(review["aspects"]) for review in reviews) == sum(len(record["aspects"]) for record in gold)
    scores = {name: context.measure(tiny_models, tmp_path, reviews, name) for name in context.CONTEXTS}
    assert scores["sentence"].accuracy > 0.8  # the tiny models know their sentences, and read no longer texts
    assert 0 <= scores["text"].macro_f1 <= 1


def test_conflict_is_dropped_from_reviews():
    """Nobody is asked for what has no single right answer."""
    record = {"text": "The food.", "aspects": [{"start": 4, "end": 8, "polarity": "conflict"}]}
    assert context.make_reviews([record]) == []


def test_context_scores_are_the_fields_own():
    """Accuracy over aspects, F1 a polarity, their mean."""
    scores = context.score(["positive", "positive", "negative"], ["positive", "negative", "negative"])
    assert scores.accuracy == pytest.approx(2 / 3)
    assert scores.macro_f1 == pytest.approx((2 / 3 + 2 / 3) / 2)


def test_start_drill_in_small(tiny_models, tmp_path, caplog):
    """A first start, a warm one and a reload, from what is kept compiled, are timed on real servers and a real load."""
    figures = start.measure(tiny_models, tiny_models, tmp_path, times=1, first_times=1)
    assert "engine_cache_unavailable" not in caplog.messages
    assert all(taken.wall_s > 0 and taken.cpu_s > 0 for taken in (*figures.first, *figures.warm, *figures.reload))


def test_engine_drill_in_small(tmp_path, capsys):
    """A folder of random weights with a tokenizer of its kind opens, converts, and gives torch's answers."""
    engine.save_random("tiny", tmp_path / "tiny")
    [ratio] = engine.measure_artifact(tmp_path / "tiny", engine.parse(["--rounds", "2", "--random", "0"]))
    assert ratio > 0
    assert "cached load" in capsys.readouterr().out
