"""Entity tags: the same question has the same tag, any other question another."""

import pytest

from absa_invoke.etags import etag, is_confirmed
from absa_invoke.schemas import AnalyzeRequest, Parameters

FORM = AnalyzeRequest(text="Great food.")
OTHERS = [
    AnalyzeRequest(text="Great food"),
    AnalyzeRequest(text="Great food.", model="a.tar.gz"),
    AnalyzeRequest(text="Great food.", parameters=Parameters(min_score=0.5)),
    AnalyzeRequest(text="Great food.", parameters=Parameters(offsets="utf16")),
    AnalyzeRequest(text="Great food.", parameters=Parameters(mode="aspects")),
    AnalyzeRequest(text="Great food.", parameters=Parameters(return_text=True)),
]


def test_default_parameters_are_no_others():
    """To say what would be so anyway changes nothing."""
    said = Parameters(mode="chain", min_score=0, offsets="codepoint", return_text=False)
    assert etag(AnalyzeRequest(text="Great food.", parameters=said), release="1") == etag(FORM, release="1")


def test_every_part_of_the_question_counts():
    """Release, text, model and each parameter."""
    tags = {etag(form, release="1") for form in [FORM, *OTHERS]} | {etag(FORM, release="2")}
    assert len(tags) == len(OTHERS) + 2


def test_unicode_forms_are_different_texts():
    """Offsets point into the string that was sent: é as one character and as two have different answers."""
    forms = [AnalyzeRequest(text="caf\u00e9 nice"), AnalyzeRequest(text="cafe\u0301 nice")]
    assert len({etag(form, release="1") for form in forms}) == 2


TAG = etag(FORM, release="1")


@pytest.mark.parametrize(
    ("header", "is_known"),
    [
        (None, False),
        (TAG, True),
        (TAG.removeprefix("W/"), True),
        (f'"other", {TAG}', True),
        ("*", True),
        ('"other"', False),
        ("", False),
        (TAG.upper(), False),
    ],
)
def test_comparison_is_weak(header, is_known):
    """RFC 9110, If-None-Match: a list, `*`, and tags without regard to W/."""
    assert is_confirmed(header, TAG) is is_known
