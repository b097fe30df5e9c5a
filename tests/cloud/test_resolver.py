"""Templates resolved: functions, conditions, parameters and their constraints."""

import pytest

from absa_server.cloud.errors import BadTemplate
from absa_server.cloud.resolver import Place, Resolver
from absa_server.cloud.template import parse_template, read_template

TEXT = """
Parameters:
  Name: {Type: String, Default: one, AllowedPattern: "[a-z]+"}
  Count: {Type: Number, Default: 2, MinValue: 1, MaxValue: 3}
  Mode: {Type: String, Default: a, AllowedValues: [a, b]}
  Many: {Type: CommaDelimitedList, Default: ""}
  Needed: {Type: String, MinLength: 2}
Conditions:
  IsB: !Equals [!Ref Mode, b]
  IsA: !Not [!Condition IsB]
  Both: !And [!Condition IsA, !Equals [!Ref Count, 2]]
  Either: !Or [!Condition IsB, !Equals [!Join ["-", !Ref Many], "x-y"]]
Resources:
  First:
    Type: T
    Properties:
      Name: !Sub "${Name}-${AWS::Region}-${Second.Arn}-${!Literal}"
      Count: !Ref Count
      Left: !If [IsB, there, !Ref AWS::NoValue]
      List: [1, !If [IsB, 2, !Ref AWS::NoValue], 3]
      Local: !Sub ["${X}:${Name}", {X: !Select [0, !Ref Many]}]
      Attribute: !GetAtt Second.Arn
      Version: 2012-10-17
  Second: {Type: T, DependsOn: First}
  Third: {Type: T, Condition: IsB, DependsOn: [First, Second]}
"""


def resolver(**parameters: str) -> Resolver:
    return Resolver(parse_template(TEXT, name="test"), {"Needed": "xx"} | parameters, place=Place(region="r"))


def test_functions_are_computed():
    """Every function the templates use, in one resource."""
    assert resolver().properties("First") == {
        "Name": "one-r-Second.Arn-${Literal}",
        "Count": 2,
        "List": [1, 3],
        "Local": ":one",
        "Attribute": "Second.Arn",
        "Version": "2012-10-17",
    }
    assert resolver(Mode="b", Many="p, q").properties("First")["Local"] == "p:one"
    assert resolver(Mode="b").properties("First")["List"] == [1, 2, 3]


@pytest.mark.parametrize(
    ("name", "parameters", "expected"),
    [
        ("IsA", {}, True),
        ("IsA", {"Mode": "b"}, False),
        ("Both", {}, True),
        ("Both", {"Count": "3"}, False),
        ("Either", {}, False),
        ("Either", {"Many": "x,y"}, True),
    ],
)
def test_conditions_are_decided(name, parameters, expected):
    """Equals, Not, And, Or, Condition."""
    assert resolver(**parameters).condition(name) is expected


def test_resources_whose_condition_fails_are_not_there():
    """Neither in the list nor to be referred to."""
    assert list(resolver().resources()) == ["First", "Second"]
    assert list(resolver(Mode="b").resources()) == ["First", "Second", "Third"]
    with pytest.raises(BadTemplate, match="Third"):
        resolver().value({"Ref": "Third"})


def test_dependencies_are_a_list():
    """One name or several, in either form."""
    assert resolver().dependencies("First") == []
    assert resolver().dependencies("Second") == ["First"]
    assert resolver().dependencies("Third") == ["First", "Second"]


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"Name": "ONE"}, "Name: got 'ONE'"),
        ({"Count": "0"}, "expected 1 to 3, got 0"),
        ({"Count": "4"}, "expected 1 to 3, got 4"),
        ({"Count": "x"}, "expected a number"),
        ({"Mode": "c"}, "expected one of a, b"),
        ({"Needed": "x"}, "2 characters"),
        ({"Other": ""}, "no such parameter"),
    ],
)
def test_parameter_outside_its_constraint_is_refused(parameters, named):
    """With its name, before anything is sent to AWS."""
    with pytest.raises(BadTemplate, match=named):
        resolver(**parameters)


def test_missing_parameter_is_named():
    """One without a default must be given."""
    with pytest.raises(BadTemplate, match="Needed"):
        Resolver(parse_template(TEXT, name="test"), {})


@pytest.mark.parametrize("count", ["1", "3"])
def test_numbers_at_their_limits_are_allowed(count):
    """Both bounds are inclusive."""
    assert resolver(Count=count).value({"Ref": "Count"}) == int(count)


def test_unknown_function_is_an_error():
    """A function passed over would be a template not checked."""
    with pytest.raises(BadTemplate, match="Fn::ImportValue"):
        resolver().value({"Fn::ImportValue": "x"})
    with pytest.raises(BadTemplate, match="NoSuch"):
        resolver().condition("NoSuch")


def test_file_that_is_no_template_is_named(tmp_path):
    """A missing file, a broken one, and one that holds something else."""
    with pytest.raises(BadTemplate, match="--templates"):
        read_template(tmp_path / "none.yaml")
    for text in ("a: [", "a: 1", "[]"):
        path = tmp_path / "some.yaml"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(BadTemplate, match=r"some\.yaml"):
            read_template(path)
