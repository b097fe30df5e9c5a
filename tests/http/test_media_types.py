from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from absa_server.errors import NotAcceptable, UnsupportedMediaType
from absa_server.http.media_types import default_type, negotiate, parse_media_type, request_type

JSON, LINES, CSV, PLAIN = "application/json", "application/jsonlines", "text/csv", "text/plain"
header_text = st.text(st.characters(max_codepoint=255)) | st.text(alphabet='*/;,="\\q01. tex/csvaplionj+')


@pytest.mark.parametrize(
    ("header", "type_", "params"),
    [
        ("text/csv", "text/csv", {}),
        ("  Text/CSV ; Charset=UTF-8;header=present ", "text/csv", {"charset": "UTF-8", "header": "present"}),
        ('text/csv; a="x;y,\\"z"; b=2', "text/csv", {"a": 'x;y,"z', "b": "2"}),
        ('text/csv; a="never closed', "text/csv", {"a": "never closed"}),
        ("text/csv;; nonsense; =x; a=1; a=2", "text/csv", {"a": "1"}),
        ("", "", {}),
    ],
)
def test_media_type_is_read_whatever_its_case_quotes_and_blanks(header, type_, params):
    """Type and parameter names are in lower case, values unquoted, and what is no parameter is passed over."""
    media_type = parse_media_type(header)
    assert (media_type.type, media_type.params) == (type_, params)


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        (None, JSON),
        ("", JSON),
        ("  ", JSON),
        ("APPLICATION/JSON; charset=utf-8", JSON),
        ('application/json;charset="UTF-8"', JSON),
        ("application/json; charset=us-ascii", JSON),
        ("application/jsonlines", LINES),
        ("application/x-ndjson", LINES),
        ("application/x-jsonlines", LINES),
        ("text/csv; header=present", CSV),
        ("text/plain", PLAIN),
    ],
)
def test_request_type_is_one_of_four(content_type, expected):
    """Every name and spelling of a format leads to its canonical name; no header means JSON."""
    assert request_type(content_type) == expected


@pytest.mark.parametrize(
    "content_type",
    ["application/octet-stream", "text/html", "json", "*/*", "application/json, text/csv", ";", "x" * 9999],
)
def test_request_type_refuses_what_is_not_read(content_type):
    """The refusal lists every type that is read, and repeats no more than a piece of what came."""
    with pytest.raises(UnsupportedMediaType) as caught:
        request_type(content_type)
    assert caught.value.message.startswith("Content-Type: expected application/json, application/jsonlines, text/csv, ")
    assert len(caught.value.message) < 250


@pytest.mark.parametrize("charset", ["iso-8859-1", "utf-16", ""])
def test_request_type_refuses_other_charsets(charset):
    """A charset that would be misread as UTF-8 is refused by name."""
    with pytest.raises(UnsupportedMediaType, match=f'charset: expected utf-8, got "{charset}"'):
        request_type(f"text/csv; charset={charset}")


@pytest.mark.parametrize(
    ("configured", "request_type", "expected"),
    [
        (None, JSON, JSON),
        (None, CSV, JSON),
        (None, PLAIN, JSON),
        (None, LINES, LINES),
        ("", LINES, LINES),
        (" Text/CSV ", LINES, CSV),
        (JSON, LINES, JSON),
    ],
)
def test_default_type_follows_the_setting_then_the_request(configured, request_type, expected):
    """The operator's choice wins; without one, lines are answered by lines and all else by JSON."""
    assert default_type(configured, request_type) == expected


@pytest.mark.parametrize("default", [JSON, LINES, CSV, "application/x-ndjson"])
@pytest.mark.parametrize("accept", [None, "", " ", ",", "*/*", "*", "*/*;q=0.1", "text/html, */*;q=0.5", "*; q=.2"])
def test_negotiate_takes_the_default_where_accept_leaves_it_open(accept, default):
    """No header, an empty one, and wildcards that match everything give the default."""
    assert negotiate(accept, default) == default


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("text/csv", CSV),
        ("TEXT/CSV; charset=utf-8", CSV),
        ("application/x-ndjson", "application/x-ndjson"),
        ("application/x-jsonlines", "application/x-jsonlines"),
        ("application/jsonlines", LINES),
        ("application/*", JSON),
        ("text/*", CSV),
        ("text/html, text/csv;q=0.3", CSV),
        ("application/json;q=0.5, text/csv;q=0.9", CSV),
        ("text/csv, application/json", CSV),
        ("application/json, text/csv", JSON),
        ("*/*, text/csv", CSV),
        ("application/json, text/plain, */*", JSON),
        ("application/*;q=0.8, application/json;q=0.1", LINES),
        ("*/*, application/json;q=0", LINES),
        ("*/*;q=0.5, application/*;q=0", CSV),
        ("nonsense, text/csv;q=x, text/csv;q=7, application/jsonlines;q=0.2", LINES),
        ('text/html;a="x,application/json", text/csv', CSV),
    ],
)
def test_negotiate_follows_quality_then_specificity_then_order(accept, expected):
    """RFC 9110: quality decides, q=0 refuses, the most specific element speaks for a type, malformed ones do not."""
    assert negotiate(accept, JSON) == expected


@pytest.mark.parametrize(
    "accept", ["text/html", "image/*", "*/*;q=0", "text/plain", "nonsense", "application/json;q=0"]
)
def test_negotiate_refuses_when_nothing_is_acceptable(accept):
    """The refusal lists every type that is written."""
    with pytest.raises(NotAcceptable) as caught:
        negotiate(accept, JSON)
    assert all(name in caught.value.message for name in (JSON, LINES, CSV, "application/x-ndjson"))


@given(header_text, st.sampled_from([JSON, LINES, CSV]))
def test_negotiate_answers_any_header(accept, default):
    """Whatever Accept holds, the answer is a type that is written, or `NotAcceptable`."""
    with suppress(NotAcceptable):
        assert negotiate(accept, default) in {JSON, LINES, CSV, "application/x-ndjson", "application/x-jsonlines"}


@given(header_text)
def test_request_type_answers_any_header(content_type):
    """Whatever Content-Type holds, it is read as one of four formats, or refused."""
    with suppress(UnsupportedMediaType):
        assert request_type(content_type) in {JSON, LINES, CSV, PLAIN}


@given(st.lists(st.sampled_from(["text/csv", "application/json", "*/*", "application/*"]), min_size=1), st.data())
def test_negotiate_never_gives_what_a_header_refuses_by_name(accepted, data):
    """A type with q=0 is not answered, whichever wildcards stand beside it."""
    refused = data.draw(st.sampled_from([JSON, LINES, CSV]))
    elements = [*(element for element in accepted if element != refused), f"{refused};q=0"]
    try:
        assert negotiate(", ".join(data.draw(st.permutations(elements))), JSON) != refused
    except NotAcceptable:
        assert "*/*" not in elements
