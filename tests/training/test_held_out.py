"""The tenth of the reviews that scores are measured on."""

from absa_server.training.held_out import HELD_OUT_SHARE, is_held_out
from absa_server.training.records import LabelledReview


def test_about_one_review_in_ten_is_held_out(reviews):
    """The share holds for texts of any kind."""
    assert abs(sum(map(is_held_out, reviews)) / len(reviews) - HELD_OUT_SHARE) < 0.03


def test_choice_depends_on_the_text_alone(reviews):
    """Other labels, or another place in the file, do not move a review between training and measuring."""
    assert [is_held_out(review) for review in reviews] == [
        is_held_out(LabelledReview(review.text, ())) for review in reviews
    ]


def test_text_that_utf8_cannot_write_has_its_place():
    """A lone surrogate, legal in JSON, is no reason to fail."""
    assert is_held_out(LabelledReview("\ud800", ())) in (True, False)
