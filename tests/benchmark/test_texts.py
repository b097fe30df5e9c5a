"""Reading texts, naming targets, building requests."""

import json

import pytest

from absa_server.benchmark.errors import InvalidTarget, InvalidTexts
from absa_server.benchmark.texts import Target, build_requests, parse_target, read_texts

TARGET = Target("127.0.0.1", 8080, "/invocations")


def test_json_lines_and_plain_lines_give_the_same_texts(tmp_path):
    """Both kinds of file are read; empty lines and repeated texts are left out; the order is the seed's."""
    lines, plain = tmp_path / "a.jsonl", tmp_path / "a.txt"
    lines.write_text('\n{"text": "Great soup."}\n{"text": " Great soup. "}\n{"text": "Slow. Très slow."}\n')
    plain.write_text("Great soup.\n\nSlow. Très slow.\n")
    assert read_texts(lines) == read_texts(plain)
    assert set(read_texts(plain)) == {"Great soup.", "Slow. Très slow."}
    assert len(read_texts(plain, limit=1)) == 1


@pytest.mark.parametrize("line", ['{"texts": 1}', '{"text": 1}', "{", '{"text": null}'])
def test_bad_line_is_named(tmp_path, line):
    """The message begins with file and line."""
    file = tmp_path / "a.jsonl"
    file.write_text('{"text": "ok"}\n' + line + "\n")
    with pytest.raises(InvalidTexts, match=r"a\.jsonl:2: "):
        read_texts(file)


def test_empty_file_is_refused(tmp_path):
    """Nothing to send is an error of the command, not a division by zero."""
    (tmp_path / "a.txt").write_text("\n \n")
    with pytest.raises(InvalidTexts, match="found none"):
        read_texts(tmp_path / "a.txt")


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://127.0.0.1:8080", TARGET),
        ("127.0.0.1:8080/", TARGET),
        ("http://host/models/a/invoke", Target("host", 80, "/models/a/invoke")),
        ("http://[::1]:9", Target("::1", 9, "/invocations")),
    ],
)
def test_target_is_read_from_the_url(url, target):
    """Scheme, port and path may be left out."""
    assert parse_target(url) == target


@pytest.mark.parametrize("url", ["https://host", "http://", "http://host:x", "http://host/?a=1", "http://u:p@host"])
def test_other_urls_are_refused(url):
    """What the generator does not speak is said at once."""
    with pytest.raises(InvalidTarget):
        parse_target(url)


def test_requests_are_whole_http():
    """Length and body fit, in bytes."""
    head, _, body = build_requests(TARGET, ["Très bon"], texts_per_request=1)[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /invocations HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert json.loads(body) == {"text": "Très bon"}


def test_requests_carry_whole_groups():
    """Texts that do not fill a request are left out; too few for one are an error."""
    bodies = [
        json.loads(one.partition(b"\r\n\r\n")[2]) for one in build_requests(TARGET, list("abcde"), texts_per_request=2)
    ]
    assert bodies == [{"texts": ["a", "b"]}, {"texts": ["c", "d"]}]
    with pytest.raises(InvalidTexts):
        build_requests(TARGET, ["a"], texts_per_request=2)
