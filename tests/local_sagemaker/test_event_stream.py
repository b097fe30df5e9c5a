"""The event stream encoder, held by the decoder of botocore."""

from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from local_sagemaker.event_stream import exception, message, payload_part

text = st.text(max_size=40)


@given(st.dictionaries(st.text(min_size=1, max_size=20), text, max_size=5), st.binary(max_size=500))
def test_message_is_read_back_by_botocore(headers, payload):
    """Headers and payload come back as they were, and botocore finds both checksums right."""
    buffer = EventStreamBuffer()
    buffer.add_data(message(headers, payload))
    decoded = next(buffer)
    assert decoded.headers == headers
    assert decoded.payload == payload


@given(st.lists(st.binary(max_size=50), max_size=5), st.integers(1, 60))
def test_messages_are_found_however_they_are_cut(parts, size):
    """Frames say their own length: a decoder finds them in pieces of any size."""
    stream = b"".join(map(payload_part, parts))
    buffer = EventStreamBuffer()
    decoded = []
    for start in range(0, len(stream), size):
        buffer.add_data(stream[start : start + size])
        decoded += list(buffer)
    assert [one.payload for one in decoded] == parts


def test_exception_names_its_shape():
    """botocore takes an exception event for an error of that name."""
    buffer = EventStreamBuffer()
    buffer.add_data(exception("ModelStreamError", {"Message": "broken", "ErrorCode": "StreamBroken"}))
    told = next(buffer).to_response_dict()
    assert told["headers"][":exception-type"] == "ModelStreamError"
    assert told["status_code"] == 400
