from hypothesis import given
from hypothesis import strategies as st

from absa_server.http.offset_units import Utf16Index

texts = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("a é料😀𠀀\u0301"))


@given(texts)
def test_utf16_offsets_slice_the_utf16_encoding(text):
    """Every offset is where the UTF-16 encoding of the text up to it ends."""
    index = Utf16Index(text)
    assert [index.to_utf16(i) for i in range(len(text) + 1)] == [
        len(text[:i].encode("utf-16-le")) // 2 for i in range(len(text) + 1)
    ]
    assert index.length == len(text.encode("utf-16-le")) // 2


@given(texts)
def test_codepoints_come_back_from_utf16(text):
    """There and back is the same offset, and what no offset leads to lies inside a surrogate pair."""
    index = Utf16Index(text)
    there = {index.to_utf16(i): i for i in range(len(text) + 1)}
    assert {unit: index.to_codepoint(unit) for unit in range(index.length + 1)} == {
        unit: there.get(unit) for unit in range(index.length + 1)
    }


def test_long_text_of_emoji_is_indexed():
    """100,000 emoji: the last one begins at code unit 199,998."""
    index = Utf16Index("😀" * 100_000)
    assert (index.to_utf16(99_999), index.to_codepoint(199_998), index.to_codepoint(199_999)) == (199_998, 99_999, None)
