"""Two sets of forty sentences written by hand: one the generator never met, one it grew beside."""

import json
from pathlib import Path

import pytest

from absa_server.training.review_file import read_reviews

FILES = [Path(__file__).parent / f"{name}_reviews.jsonl" for name in ("handwritten", "development")]
pytestmark = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


def test_offsets_cut_out_each_term(file):
    """`text[start:end]` is the term, for every aspect."""
    for line in file.read_text(encoding="utf-8").splitlines():
        review = json.loads(line)
        for aspect in review["aspects"]:
            assert review["text"][aspect["start"] : aspect["end"]] == aspect["term"], review["id"]


def test_file_is_legal_training_data_of_forty_reviews(file):
    """It has the format of a user's file, some reviews without any aspect, and all three polarities."""
    reviews = read_reviews(file)
    assert len(reviews) == len({review.text for review in reviews}) == 40
    assert sum(not review.aspects for review in reviews) >= 5
    assert {aspect.polarity for review in reviews for aspect in review.aspects} == {"negative", "neutral", "positive"}
