"""The platform's headers, within their documented limits on both sides."""

import pytest

from absa_server.http.sagemaker_headers import CUSTOM_ATTRIBUTES, INFERENCE_ID, read_headers


@pytest.mark.parametrize(
    ("value", "is_taken"),
    [
        (b"a", True),
        (b"a" * 64, True),
        (b"a" * 65, False),
        (b"", False),
        (b"a b", True),
        (b"a\xff", False),
        (b" a", False),
    ],
)
def test_inference_id_is_taken_within_its_limits(value: bytes, is_taken: bool):
    """1 to 64 visible characters."""
    assert (read_headers([(INFERENCE_ID, value)]).inference_id is not None) is is_taken


@pytest.mark.parametrize(("value", "is_taken"), [(b"x" * 1024, True), (b"x" * 1025, False), (b"\x00", False)])
def test_custom_attributes_are_echoed_within_their_limits(value: bytes, is_taken: bool):
    """Up to 1,024 visible US-ASCII characters."""
    assert (read_headers([(CUSTOM_ATTRIBUTES, value)]).custom_attributes == value) is is_taken


def test_other_headers_are_passed_over():
    """What is not the platform's is not looked at."""
    assert read_headers([(b"host", b"x")]).inference_id is None
