from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from absa_server.errors import InvalidRequest
from absa_server.http.parameters import changed_parameters, parse_custom_attributes, parse_parameters
from absa_server.types import Parameters

DEFAULTS = Parameters()
ALL = "mode, min_score, offsets, return_text, stream, model, aspect_model or sentiment_model"
all_parameters = st.builds(
    Parameters,
    mode=st.sampled_from(["chain", "aspects", "sentiment"]),
    min_score=st.floats(0, 1),
    offsets=st.sampled_from(["codepoint", "utf16"]),
    return_text=st.sampled_from([None, True, False]),
)


def test_parameters_override_the_base_by_name():
    """What is given replaces the base's value, what is null or absent leaves it."""
    base = Parameters(mode="aspects", min_score=0.5, return_text=True)
    parsed = parse_parameters({"min_score": 1, "offsets": "utf16", "mode": None}, base=base, path="parameters")
    assert parsed == Parameters("aspects", 1, "utf16", True)
    assert parse_parameters(None, base=base, path="parameters") is base


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "parameters: expected an object, got a list"),
        ({"mod": "chain"}, 'parameters: unknown name "mod"; did you mean mode?'),
        ({"model": 7}, "parameters.model: expected a model's name, got 7"),
        ({"aspect_model": ["a"]}, "parameters.aspect_model: expected a model's name, got a list"),
        ({"models": "a"}, 'parameters: unknown name "models"; did you mean model?'),
        ({"streams": 1}, 'parameters: unknown name "streams"; did you mean stream?'),
        ({"stream": 1}, "parameters.stream: expected true or false, got 1"),
        ({"mode": "both"}, 'parameters.mode: expected chain, aspects or sentiment, got "both"'),
        ({"mode": ["chain"]}, "parameters.mode: expected chain, aspects or sentiment, got a list"),
        ({"min_score": -0.01}, "parameters.min_score: expected a number from 0 to 1, got -0.01"),
        ({"min_score": 1.01}, "parameters.min_score: expected a number from 0 to 1, got 1.01"),
        ({"min_score": float("nan")}, "parameters.min_score: expected a number from 0 to 1, got NaN"),
        ({"min_score": True}, "parameters.min_score: expected a number from 0 to 1, got true"),
        ({"min_score": "0.5"}, 'parameters.min_score: expected a number from 0 to 1, got "0.5"'),
        ({"offsets": "utf8"}, 'parameters.offsets: expected codepoint or utf16, got "utf8"'),
        ({"return_text": 1}, "parameters.return_text: expected true or false, got 1"),
        ({"return_text": "true"}, 'parameters.return_text: expected true or false, got "true"'),
    ],
)
def test_parameters_are_refused_by_name(value, message):
    """An unknown name, a wrong type or a value out of range is told with the name, what was expected and what came."""
    with pytest.raises(InvalidRequest) as caught:
        parse_parameters(value, base=DEFAULTS, path="parameters")
    assert caught.value.message == message


@pytest.mark.parametrize("min_score", [0, 0.0, 1, 1.0])
def test_min_score_may_be_either_end(min_score):
    """0 and 1 are scores."""
    assert parse_parameters({"min_score": min_score}, base=DEFAULTS, path="p").min_score == min_score


def test_unknown_name_is_cut_in_the_message():
    """A key of a megabyte is neither compared nor repeated in full."""
    with pytest.raises(InvalidRequest) as caught:
        parse_parameters({"mode" * 250_000: 1}, base=DEFAULTS, path="parameters")
    assert len(caught.value.message) < 200


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, DEFAULTS),
        ("", DEFAULTS),
        ("c000b4f9-df62-4c85-a0bf-7c525f9104a4", DEFAULTS),
        ("mode=aspects", Parameters(mode="aspects")),
        (" mode = sentiment ; min_score= .5;", Parameters(mode="sentiment", min_score=0.5)),
        ("offsets=utf16;return_text=true", Parameters(offsets="utf16", return_text=True)),
        ("return_text=false", Parameters(return_text=False)),
        ("model=NewYork_NY/a=b.tar.gz", Parameters(model="NewYork_NY/a=b.tar.gz")),
        ("aspect_model=a; sentiment_model=b", Parameters(aspect_model="a", sentiment_model="b")),
    ],
)
def test_custom_attributes_are_parameters(header, expected):
    """`key=value;…` is read with blanks around trimmed; a header without any `=` is somebody's trace id."""
    assert parse_custom_attributes(header) == expected


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("Mode=chain", 'unknown name "Mode"; did you mean mode?'),
        ("trace=abc", f'unknown name "trace"; expected {ALL}'),
        ("mode=chain;oops", 'expected key=value, each key once, got "oops"'),
        ("mode=chain;mode=aspects", 'expected key=value, each key once, got "mode"'),
        ("=x", f'unknown name ""; expected {ALL}'),
        ("min_score=nan", "min_score: expected a number from 0 to 1, got NaN"),
        ("min_score=high", 'min_score: expected a number from 0 to 1, got "high"'),
        ("return_text=True", 'return_text: expected true or false, got "True"'),
        ("mode=", 'mode: expected chain, aspects or sentiment, got ""'),
    ],
)
def test_custom_attributes_are_refused_by_name(header, message):
    """The message names the header and the key."""
    with pytest.raises(InvalidRequest) as caught:
        parse_custom_attributes(header)
    assert caught.value.message == f"X-Amzn-SageMaker-Custom-Attributes: {message}"


@given(st.text(st.characters(max_codepoint=255)) | st.text(alphabet="mode=chain;min_score.5 "))
def test_custom_attributes_answer_any_header(header):
    """Whatever the header holds, it gives parameters or `InvalidRequest`."""
    with suppress(InvalidRequest):
        assert isinstance(parse_custom_attributes(header), Parameters)


@given(all_parameters, all_parameters)
def test_changed_parameters_lead_from_the_base_to_the_parameters(parameters, base):
    """Applied to the base they give the parameters again; `return_text` false and absent mean the same there."""
    changed = changed_parameters(parameters, base=base)
    reached = parse_parameters(changed, base=base, path="parameters")
    assert (reached.mode, reached.min_score, reached.offsets) == (
        parameters.mode,
        parameters.min_score,
        parameters.offsets,
    )
    assert bool(reached.return_text) == bool(parameters.return_text)


def test_changed_parameters_of_the_defaults_are_none():
    """Nothing is repeated to the next container when nothing was asked for, nor that no text was asked for."""
    assert changed_parameters(DEFAULTS) == {}
    assert changed_parameters(Parameters(return_text=False)) == {}
    assert changed_parameters(Parameters(mode="aspects", return_text=True)) == {"mode": "aspects", "return_text": True}


def test_models_are_not_passed_on():
    """The next container has other models."""
    assert changed_parameters(Parameters(model="a", aspect_model="b", sentiment_model="c")) == {}
