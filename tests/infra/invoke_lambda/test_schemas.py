"""The form and infra/openapi.yaml take the same bodies: what the gateway lets through is what the function reads."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from absa_invoke.schemas import MAX_TEXTS, MAX_TEXTS_OF_A_JOB, AnalyzeRequest, JobRequest, ModelName

from .gateway import read_openapi, schema_validator

DOCUMENT = read_openapi()
SCHEMAS = DOCUMENT["components"]["schemas"]
FORMS = {"AnalyzeRequest": AnalyzeRequest, "JobRequest": JobRequest}
VALIDATORS = {name: schema_validator(DOCUMENT, SCHEMAS[name]) for name in FORMS}

ODD = st.none() | st.booleans() | st.integers(-1, 2) | st.floats(-1, 2) | st.sampled_from(["", "a", "chain", "utf16"])


def some(**fields):
    """An object with any of the fields, each as it should be or odd."""
    return st.fixed_dictionaries({}, optional={name: ODD | kind for name, kind in fields.items()})


REVIEWS = some(
    text=st.text(max_size=3),
    id=st.text(max_size=3),
    aspects=st.lists(ODD | some(start=ODD), max_size=2),
    ids=ODD,
)
PARAMETERS = some(
    mode=st.sampled_from(["aspects", "all"]), min_score=ODD, offsets=ODD, return_text=st.booleans(), more=ODD
)
BODIES = some(
    text=st.text(max_size=3),
    texts=st.lists(ODD | REVIEWS, max_size=3),
    parameters=PARAMETERS,
    model=st.sampled_from(["m.tar.gz", "a/b.tar.gz", "../m.tar.gz", "m.zip"]),
    more=ODD,
)


def is_read(form, body) -> bool:
    try:
        form.model_validate_json(json.dumps(body))
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("name", FORMS)
@given(body=BODIES | ODD)
def test_document_and_function_agree(name, body):
    """On every body, right or wrong."""
    assert VALIDATORS[name].is_valid(body) == is_read(FORMS[name], body)


@pytest.mark.parametrize(("name", "limit"), [("AnalyzeRequest", MAX_TEXTS), ("JobRequest", MAX_TEXTS_OF_A_JOB)])
def test_document_has_the_same_limits(name, limit):
    """API Gateway does not look at maxItems; generated clients do."""
    assert SCHEMAS[name]["properties"]["texts"]["maxItems"] == limit
    (pattern,) = [part.pattern for part in ModelName.__metadata__ if hasattr(part, "pattern")] or [
        part.metadata[-1].pattern for part in ModelName.__metadata__
    ]
    assert SCHEMAS[name]["properties"]["model"]["pattern"] == pattern


@pytest.mark.parametrize(
    ("model", "is_one"),
    [
        ("a.tar.gz", True),
        ("v1/de/a-b_c.1.tar.gz", True),
        ("../a.tar.gz", False),
        ("a/../b.tar.gz", False),
        ("/a.tar.gz", False),
        ("a//b.tar.gz", False),
        (".tar.gz", False),
        ("a.tar.gz\n", False),
        ("a b.tar.gz", False),
    ],
)
def test_model_is_a_path_below_the_prefix(model, is_one):
    """And leads nowhere else."""
    assert is_read(AnalyzeRequest, {"text": "a", "model": model}) is is_one
