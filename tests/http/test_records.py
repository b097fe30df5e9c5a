import pytest

from absa_server.http.limits import Limits
from absa_server.http.records import RecordError, parse_record
from absa_server.http.wording import Place
from absa_server.types import GivenAspect, Parameters, Record

LIMITS = Limits(max_records=5, max_text_chars=100, max_aspects=3)


def parse(value, *, place=Place("results[3]"), defaults=Parameters()):  # noqa: B008  both are frozen
    return parse_record(value, place=place, defaults=defaults, limits=LIMITS)


def test_string_is_a_record_with_the_requests_parameters():
    """A text alone is found all aspects in."""
    defaults = Parameters(mode="aspects")
    assert parse("good food", defaults=defaults) == Record("good food", None, None, False, defaults)


def test_object_is_a_record_with_its_own_parameters_over_the_requests():
    """id, aspects and truncated pass on; parameters override by name."""
    fields = {"id": 7, "text": "good food", "aspects": ["food"], "truncated": True, "parameters": {"min_score": 0.5}}
    expected = Record("good food", 7, (GivenAspect("food"),), True, Parameters("sentiment", 0.5))
    assert parse(fields, defaults=Parameters("sentiment", 0.1)) == expected


def test_null_fields_are_not_given():
    """null says the same as leaving the field out; an empty list of aspects does not."""
    nulls = dict.fromkeys(["id", "aspects", "truncated", "parameters", "error"])
    assert parse({"text": "a"} | nulls) == Record("a")
    assert parse({"text": "a", "aspects": []}) == Record("a", aspects=())


@pytest.mark.parametrize("record_id", ["a", "", 0, -7, 1.5, 2**64 - 1, 2**53, 2.0**53 - 1, True, False, None])
def test_id_passes_through_unchanged(record_id):
    """Strings, numbers, booleans and null are ids, of the same type on the way out."""
    record = parse({"text": "a", "id": record_id})
    assert isinstance(record, Record)
    assert record.id == record_id
    assert type(record.id) is type(record_id)


@pytest.mark.parametrize("text", ["a\x00", "\x00.", "\u200dx", "\u0301a", "!", "😀", " a ", "x" * 100, "😀" * 100])
def test_text_is_legal_when_anything_in_it_can_be_seen(text):
    """NUL, control and zero-width characters may be part of a text, and the limit counts code points."""
    assert parse(text) == parse({"text": text}) == parse({"inputs": text}) == Record(text)


@pytest.mark.parametrize("text", [" ", "\n\t\u3000\xa0", "\x00", "\u200b\ufeff", "\x1b\x7f\x85", "\u2060 \u00ad"])
def test_text_of_only_invisible_characters_is_an_error(text):
    """There is nothing in it to be analysed."""
    message = "results[3]: expected a text, got only white space or invisible characters"
    assert parse(text) == RecordError(None, message)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (3, ": expected a string or a record, got a number"),
        (True, ": expected a string or a record, got a boolean"),
        (None, ": expected a string or a record, got null"),
        (["a"], ": expected a string or a record, got a list"),
        ("", ": expected a text, got an empty string"),
        ("x" * 101, ": expected at most 100 characters (ABSA_MAX_TEXT_CHARS), got 101"),
        ({"text": "x" * 101}, ".text: expected at most 100 characters (ABSA_MAX_TEXT_CHARS), got 101"),
        ({"text": 1}, ".text: expected a string, got a number"),
        ({"text": None}, ".text: expected a string, got null"),
        ({"inputs": []}, ".inputs: expected a string, got a list"),
        ({"txt": "a"}, ': unknown name "txt"; did you mean text?'),
        ({"text": "a", "x" * 99: 1}, f': unknown name "{"x" * 40}…"; expected id, text, inputs, aspects, truncated,'),
        ({"text": "a", "inputs": "b"}, ".text: expected text or inputs, got both"),
        ({}, ".text: expected a string, got none"),
        (
            {"aspects": [], "truncated": False},
            ".text: expected a string, got none; an earlier answer holds it when asked with return_text=true",
        ),
        ({"text": "a", "id": [1]}, ".id: expected a string, a number, a boolean or null, got a list"),
        ({"text": "a", "id": 2.0**53}, ".id: expected a number that passes through exactly, got a larger one"),
        ({"text": "a", "truncated": 1}, ".truncated: expected a boolean, got a number"),
        ({"text": "a", "parameters": []}, ".parameters: expected an object, got a list"),
        ({"text": "a", "parameters": {"mode": 1}}, ".parameters.mode: expected chain, aspects or sentiment, got 1"),
        ({"text": "a", "aspects": {}}, ".aspects: expected a list, got an object"),
        ({"text": "a", "aspects": ["a"] * 4}, ".aspects: expected at most 3 aspects (ABSA_MAX_ASPECTS), got 4"),
        ({"text": "a", "aspects": ["a", ""]}, ".aspects[1]: expected a word to look for, got an empty string or only"),
    ],
)
def test_faulty_record_is_an_error_with_its_path(value, message):
    """The path leads to the field; what was expected and what came are told, but never the text itself."""
    error = parse(value)
    assert isinstance(error, RecordError)
    assert error.message.startswith(f"results[3]{message}")
    assert (error.id, error.code, error.type) == (None, 400, "InvalidRequest")


@pytest.mark.parametrize(
    ("place", "message"),
    [
        (Place(), "text: expected a string, got null"),
        (Place("inputs"), "inputs.text: expected a string, got null"),
        (Place("line 7", ": "), "line 7: text: expected a string, got null"),
    ],
)
def test_path_begins_with_the_records_place(place, message):
    """A record alone, in a list, on a line."""
    assert parse({"text": None}, place=place) == RecordError(None, message)


def test_faulty_record_keeps_its_id_where_that_is_none_of_its_faults():
    """The caller recognises the record by its id."""
    assert [parse({"id": "r1", "text": 1}).id, parse({"id": {}, "text": "a"}).id] == ["r1", None]


def test_error_of_an_earlier_answer_stays_in_its_place():
    """It is the same error with the same id."""
    fields = {"id": 3, "error": {"code": 503, "type": "DeadlineExceeded", "message": "too late"}}
    assert parse(fields) == RecordError(3, "too late", 503, "DeadlineExceeded")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        ("bad", ": expected an object, got a string"),
        ({}, ".code: expected a status from 400 to 599, got null"),
        ({"code": 399, "type": "", "message": ""}, ".code: expected a status from 400 to 599, got 399"),
        ({"code": 600, "type": "", "message": ""}, ".code: expected a status from 400 to 599, got 600"),
        ({"code": 400, "type": 1, "message": ""}, ": expected strings as type and message, got a number, a string"),
    ],
)
def test_malformed_error_of_an_earlier_answer_is_an_error_itself(error, message):
    """What stands in the place of a text must be an error as this server writes it."""
    assert parse({"error": error}) == RecordError(None, f"results[3].error{message}")


def test_text_beside_an_error_is_refused():
    """Only one of the two can be meant."""
    error = {"code": 400, "type": "InvalidRequest", "message": "bad"}
    assert parse({"error": error, "text": "a"}).message == "results[3].error: expected a text or an error, got both"
