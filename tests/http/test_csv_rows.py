import csv
import io

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from absa_server.errors import InvalidRequest
from absa_server.http.csv_rows import parse_rows
from absa_server.http.limits import Limits
from absa_server.http.records import RecordError
from absa_server.types import GivenAspect, Parameters, Record

LIMITS = Limits(max_records=5, max_text_chars=300_000, max_aspects=3)


def parse(text, *, header=None, defaults=Parameters(), limits=LIMITS):  # noqa: B008  frozen
    return parse_rows(text, header=header, defaults=defaults, limits=limits)


def refusal(text, **options):
    with pytest.raises(InvalidRequest) as caught:
        parse(text, **options)
    return caught.value.message


def written(rows):
    page = io.StringIO(newline="")
    csv.writer(page).writerows(rows)
    return page.getvalue()


def test_without_header_column_1_is_the_text():
    """Further columns, as exports have them, are passed over; rows need not be of one width."""
    assert parse("good food,5,2019\nslow staff\n") == (Record("good food"), Record("slow staff"))


def test_quoted_texts_are_read_whole():
    """Quotes, doubled quotes, commas and newlines inside quotes belong to the text; either line end will do."""
    rows = parse('plain\r\n"a, ""b""\nc"\nsaid "so"', defaults=Parameters(mode="aspects"))
    assert [row.text for row in rows] == ["plain", 'a, "b"\nc', 'said "so"']
    assert {row.parameters for row in rows} == {Parameters(mode="aspects")}


@pytest.mark.parametrize("header", [None, "present"])
def test_header_names_the_columns(header):
    """In any order; an empty id or aspects is one that is not given."""
    rows = parse('aspects,id, text \n"[""food""]",r1,good food\n,,fine\n[],0,none\n', header=header)
    assert rows == (
        Record("good food", "r1", (GivenAspect("food"),)),
        Record("fine"),
        Record("none", "0", ()),
    )


@pytest.mark.parametrize("first", ["text", "inputs", "text,id", "id,inputs,aspects"])
def test_first_row_of_just_column_names_is_a_header(first):
    """The text's column is among them, and nothing else."""
    width = first.count(",")
    assert len(parse(f"{first}\na{',' * width}\n")) == 1
    assert parse(f"{first}\n") == ()


@pytest.mark.parametrize("first", ["id", "aspects", "Text", "texts", "the text"])
def test_first_row_of_anything_else_is_a_text(first):
    """Without the text's column, or with a word more, it is the first record."""
    assert parse(f"{first}\na\n") == (Record(first), Record("a"))


def test_header_absent_makes_the_first_row_a_text():
    """The Content-Type's word counts more than how the row looks."""
    assert parse("text\na\n", header="absent") == (Record("text"), Record("a"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\nb\n", 'row 1: header: unknown name "a"; expected text, inputs, id or aspects'),
        ("Text\nb\n", 'row 1: header: unknown name "Text"; did you mean text?'),
        ("id\nb\n", 'row 1: header: expected one column text or inputs, got "id"'),
        ("text,inputs\nb,c\n", 'row 1: header: expected one column text or inputs, got "text,inputs"'),
        ("text,id,id\nb,c,d\n", "row 1: header: expected each column once, got id more often"),
        ("\nb\n", 'row 1: header: expected one column text or inputs, got ""'),
    ],
)
def test_bad_header_is_refused(text, message):
    """Where the Content-Type promises a header, the first row must be one."""
    assert refusal(text, header="present") == message


def test_header_parameter_is_present_or_absent():
    """Any other word is refused by name."""
    assert refusal("a", header="yes") == 'Content-Type: header: expected present or absent, got "yes"'


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("", "row 2: text: expected a text, got an empty string"),
        ('""', "row 2: text: expected a text, got an empty string"),
        (" ", "row 2: text: expected a text, got only white space"),
        ("x" * 300_001, "row 2: text: expected at most 300000 characters (ABSA_MAX_TEXT_CHARS), got 300001"),
    ],
)
def test_bad_row_is_an_error_in_its_place(row, message):
    """Rows count from 1, and the rows around it are answered."""
    before, error, after = parse(f"a\n{row}\nc\n")
    assert (before, after) == (Record("a"), Record("c"))
    assert isinstance(error, RecordError)
    assert error.message.startswith(message)


@pytest.mark.parametrize(
    ("row", "message", "record_id"),
    [
        ("r1", "row 2: expected 3 columns, got 1", None),
        ("r1,a,b,c", "row 2: expected 3 columns, got 4; put quotes around a text", None),
        ("r1,a,food", "row 2: aspects: malformed JSON at column 1: ", "r1"),
        ('r1,a,"""food"""', "row 2: aspects: expected a list, got a string", "r1"),
        ('r1,a,"[{""start"": 0, ""end"": 2}]"', "row 2: aspects[0].end: expected 1 to 1", "r1"),
    ],
)
def test_bad_row_under_a_header_keeps_its_id(row, message, record_id):
    """The header is row 1, as a spreadsheet counts."""
    (error,) = parse(f"id,text,aspects\n{row}\n")
    assert error.message.startswith(message)
    assert error.id == record_id


@pytest.mark.parametrize(
    ("text", "row"), [('a\n"never closed', 2), ('"closed" too early', 1), ('text\n"a"\n"b"c\nd', 3), ('a\n"b\nc\nd', 2)]
)
def test_quotes_that_do_not_match_are_refused(text, row):
    """After them no row can be trusted, so the body is refused as a whole."""
    assert refusal(text).startswith(f"row {row}: malformed CSV: ")


def test_large_field_is_read_whole():
    """The csv module's own limit of 131,072 characters does not cut in."""
    assert parse("x" * 300_000) == (Record("x" * 300_000),)


def test_rows_are_counted_to_the_end():
    """The limit is inclusive; beyond it both numbers are told, and a header is no record."""
    assert len(parse("text\n" + "a\n" * 5)) == 5
    assert refusal("text\n" + "a\n" * 8) == "body: expected at most 5 records (ABSA_MAX_RECORDS), got 8"
    assert refusal("a\n" * 6) == "body: expected at most 5 records (ABSA_MAX_RECORDS), got 6"


# Each holds something to see, and none is a column's name.
texts = st.text(st.characters(exclude_categories=["Cs"])).map("{}!".format) | st.sampled_from(
    ['a,"b"', "a\r\nb", " a ", 'a"', "a\x00", "text a"]
)


@given(st.lists(texts, max_size=5))
def test_texts_come_back_from_csv(values):
    """What the csv module writes in one column is read as the same texts."""
    if values:
        assert parse(written([value] for value in values)) == tuple(map(Record, values))


@given(st.lists(st.tuples(texts, texts, st.lists(texts, max_size=3)), max_size=5))
def test_records_come_back_from_csv(values):
    """What the csv module writes in three columns is read as the same ids, texts and aspects."""
    rows = [(record_id, text, orjson.dumps(aspects).decode()) for record_id, text, aspects in values]
    assert parse(written([("id", "text", "aspects"), *rows])) == tuple(
        Record(text, record_id, tuple(map(GivenAspect, aspects))) for record_id, text, aspects in values
    )
