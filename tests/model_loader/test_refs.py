"""Names: which are legal, and what is said of the others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_loader import ModelRef, NameInvalid


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("restaurants", "folder"),
        ("NewYork_NY/NewYork_NY.tar.gz", "archive"),
        ("a/b/c.TGZ", "archive"),
        ("plain.tar", "archive"),
        ("v1.2..3", "folder"),
        ("...", "folder"),
        ("café/日本", "folder"),
        ("/".join(["a"] * 512) + "b", "folder"),
        ("x" * 255, "folder"),
        ("a" * 200 + "/" + "b" * 200, "folder"),
    ],
)
def test_legal_name_tells_what_lies_there(name, kind):
    """Relative paths of up to 1,024 characters; the ending makes an archive."""
    assert ModelRef.parse(name).kind == kind


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "empty"),
        ("..", r"segment '\.\.'"),
        ("a/../b", r"segment '\.\.'"),
        ("./a", r"segment '\.'"),
        ("a//b", "empty segment"),
        ("a/", "empty segment"),
        ("/etc/passwd", "begins with a slash"),
        ("a\\b", "backslash"),
        ("a\0b", "NUL"),
        ("a/" * 512 + "b", "1025 characters, 1024 are allowed"),
        ("x" * 256, "256 bytes, 255 are allowed"),
        ("é" * 128, "256 bytes"),
        ("\ud800", "not Unicode"),
    ],
)
def test_illegal_name_is_refused_by_its_rule(name, said):
    """One rule a message."""
    with pytest.raises(NameInvalid, match=said):
        ModelRef.parse(name)


@given(st.text(max_size=50) | st.lists(st.sampled_from(["..", ".", "", "a", "\\", "\0"])).map("/".join))
def test_legal_name_never_leads_out(name):
    """Whatever is accepted stays below its folder."""
    try:
        ref = ModelRef.parse(name)
    except NameInvalid:
        return
    depth = 0
    for segment in ref.name.split("/"):
        depth += {"..": -1, ".": 0, "": 0}.get(segment, 1)
        assert depth > 0
