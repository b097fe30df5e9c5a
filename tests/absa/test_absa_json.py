"""absa.json: every field optional, every unknown or contradictory one refused by its path."""

import json

import pytest

from absa_server.absa.absa_json import AbsaJson, parse_absa_json
from absa_server.errors import InvalidModel


def test_empty_file_is_the_defaults() -> None:
    """What is not said is the common case: a pair model of (text, aspect) in folders named by role."""
    options = parse_absa_json(b"{}")
    assert options == AbsaJson()
    assert (options.aspect.path, options.sentiment.path) == ("aspect", "sentiment")
    assert options.sentiment.order == ("text", "aspect")
    assert options.sentiment.context == "sentence"
    assert options.aspect.word_level == "first"


def test_every_documented_field_is_read() -> None:
    """The whole file of the documentation is legal, and its values arrive."""
    document = {
        "version": 1,
        "aspect": {
            "path": "a", "kind": "token-classification", "labels": {"LABEL_0": "O"}, "scheme": "auto",
            "word_level": "mean", "max_length": 512, "stride": 64, "min_score": 0.5, "lowercase": True,
        },
        "sentiment": {
            "path": "s", "kind": "pair", "order": ["aspect", "text"], "template": "of the {aspect} ?",
            "markers": ["<a>", "</a>"], "labels": {"LABEL_0": "negative"}, "activation": "sigmoid",
            "context": "text", "max_length": 256,
        },
        "output": {"offsets": "codepoint", "scores": False, "categories": False},
    }  # fmt: skip
    options = parse_absa_json(json.dumps(document).encode())
    assert json.loads(options.model_dump_json()) == document


@pytest.mark.parametrize(
    ("document", "telling"),
    [
        ("not json", "Invalid JSON"),
        ("[]", "document"),
        ('{"versoin": 1}', "versoin: Extra inputs"),
        ('{"version": 2}', "version: "),
        ('{"aspect": {"lables": {}}}', "aspect.lables: Extra inputs"),
        ('{"aspect": {"labels": {"LABEL_0": 1}}}', "aspect.labels.LABEL_0: "),
        ('{"aspect": {"max_length": 7}}', "aspect.max_length: "),
        ('{"aspect": {"stride": -1}}', "aspect.stride: "),
        ('{"aspect": {"min_score": 1.01}}', "aspect.min_score: "),
        ('{"aspect": {"word_level": "last"}}', "aspect.word_level: "),
        ('{"aspect": {"scheme": "BIO"}}', "aspect.scheme: "),
        ('{"aspect": {"kind": "seq2seq"}}', "aspect.kind: "),
        ('{"sentiment": {"order": ["text", "text"]}}', "order must be"),
        ('{"sentiment": {"order": ["text"]}}', "sentiment.order"),
        ('{"sentiment": {"template": "what of it?"}}', "template must contain {aspect}"),
        ('{"sentiment": {"markers": ["<a>"]}}', "sentiment.markers"),
        ('{"sentiment": {"kind": "single"}}', "needs markers"),
        ('{"sentiment": {"kind": "single", "markers": ["<", ">"], "template": "{aspect}"}}', "takes no template"),
        ('{"sentiment": {"activation": "relu"}}', "sentiment.activation: "),
        ('{"sentiment": {"context": "page"}}', "sentiment.context: "),
        ('{"output": {"offsets": "utf16"}}', "output.offsets: "),
    ],
)
def test_wrong_field_is_named(document: str, telling: str) -> None:
    """The message begins with the file's name and has the field's path."""
    with pytest.raises(InvalidModel) as refusal:
        parse_absa_json(document.encode())
    assert refusal.value.message.startswith("absa.json: ")
    assert telling in refusal.value.message


def test_all_wrong_fields_are_named_at_once() -> None:
    """An owner repairs the file in one go."""
    with pytest.raises(InvalidModel, match=r"aspect\.strid.*sentiment\.max_length"):
        parse_absa_json(b'{"aspect": {"strid": 1}, "sentiment": {"max_length": 1}}')


@pytest.mark.parametrize(
    "document", ['{"aspect": {"max_length": 8, "min_score": 1, "stride": 0}}', '{"aspect": {"min_score": 0}}']
)
def test_values_at_their_limits_are_legal(document: str) -> None:
    """The other side of each limit."""
    assert parse_absa_json(document.encode()).version == 1


def test_bytes_that_are_no_text_are_refused() -> None:
    """A file in another encoding is named, not a traceback."""
    with pytest.raises(InvalidModel, match=r"absa\.json: "):
        parse_absa_json(b'{"aspect": {"path": "\xff"}}')
