"""The toolkit's codecs, with the values that its own tests assert (test_decoder.py, test_encoder.py)."""

import io
import json

import numpy as np
import pytest

from absa_server.errors import InvalidRequest, NotAcceptable, UnsupportedMediaType
from absa_server.user_code.codecs import CSV, JSON, NPY, decode, encode


@pytest.mark.parametrize("target", [[42, 6, 9], [42.0, 6.0, 9.0], ["42", "6", "9"]])
def test_decode_json(target: list[object]):
    """sagemaker-inference-toolkit test_decoder.py::test_json_to_numpy."""
    np.testing.assert_equal(decode(json.dumps(target), JSON), np.array(target))


@pytest.mark.parametrize(("text", "expected"), [("42\n6\n9\n", [42, 6, 9]), ("42.0,6.0,9.0\n", [42.0, 6.0, 9.0])])
def test_decode_csv(text: str, expected: list[float]):
    """sagemaker-inference-toolkit test_decoder.py::test_csv_to_numpy."""
    np.testing.assert_array_equal(decode(text, CSV), np.array(expected))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([42, 6, 9], "[42, 6, 9]"),
        (np.array([42, 6, 9]), "[42, 6, 9]"),
        ({42: {"6": 9.0}}, '{"42": {"6": 9.0}}'),
        ([42.0, 6.0, 9.0], "[42.0, 6.0, 9.0]"),
        ({"42": np.float64(6.5)}, '{"42": 6.5}'),
    ],
)
def test_encode_json(value: object, expected: str):
    """sagemaker-inference-toolkit test_encoder.py::test_array_to_json."""
    assert encode(value, JSON) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [([42, 6, 9], "42\n6\n9\n"), ([42.0, 6.0, 9.0], "42.0\n6.0\n9.0\n"), (["42", "6", "9"], "42\n6\n9\n")],
)
def test_encode_csv(value: list[object], expected: str):
    """sagemaker-inference-toolkit test_encoder.py::test_array_to_csv."""
    assert encode(value, CSV) == expected


@pytest.mark.parametrize("target", [[42, 6, 9], [42.0, 6.0, 9.0], ["42", "6", "9"]])
def test_npy_goes_round(target: list[object]):
    """sagemaker-inference-toolkit test_encoder.py::test_array_to_npy."""
    body = encode(target, NPY)
    assert isinstance(body, bytes)
    np.testing.assert_equal(decode(body, NPY), np.array(target))


def test_npy_with_a_pickle_is_refused():
    """A pickle inside an array is never run, though the toolkit would."""
    page = io.BytesIO()
    np.save(page, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(InvalidRequest, match="allow_pickle=False"):
        decode(page.getvalue(), NPY)


def test_unknown_types_are_refused_by_name():
    """An unsupported type is 415 going in and 406 going out, as the toolkits of single frameworks answer."""
    with pytest.raises(UnsupportedMediaType, match="application/octet-stream"):
        decode(b"", "application/octet-stream")
    with pytest.raises(NotAcceptable, match="application/octet-stream"):
        encode([], "application/octet-stream")


def test_value_without_a_json_form_says_so():
    """A prediction that JSON cannot hold names its type."""
    with pytest.raises(TypeError, match="set cannot be written as JSON"):
        encode({1, 2}, JSON)
