"""The forty sentences that were written before the generator, as a measure that it has not seen."""

import json
from pathlib import Path

from absa_server.training.review_file import read_reviews

FILE = Path(__file__).parent / "handwritten_reviews.jsonl"


def test_offsets_cut_out_each_term():
    """`text[start:end]` is the term, for every aspect."""
    for line in FILE.read_text(encoding="utf-8").splitlines():
        review = json.loads(line)
        for aspect in review["aspects"]:
            assert review["text"][aspect["start"] : aspect["end"]] == aspect["term"], review["id"]


def test_file_is_legal_training_data_of_forty_reviews():
    """It has the format of a user's file, some reviews without any aspect, and all three polarities."""
    reviews = read_reviews(FILE)
    assert len(reviews) == len({review.text for review in reviews}) == 40
    assert sum(not review.aspects for review in reviews) >= 5
    assert {aspect.polarity for review in reviews for aspect in review.aspects} == {"negative", "neutral", "positive"}
