"""The drill of the API in small: the same code with one real server, scripted containers in the place of the others."""

import pytest

from tests.drills import api


@pytest.fixture(scope="module")
def drilled(tiny_models, s3_url, tmp_path_factory):
    """Rows, and documented answers that were not seen."""
    return api.drill(tiny_models, tmp_path_factory.mktemp("api"), threads="1", is_small=True)


def test_every_call_comes_back_as_it_should(drilled):
    """Status, headers and body of each are those of the document, and what the call is there to show."""
    rows, _ = drilled
    assert len(rows) > 100
    assert [row for row in rows if row.complaints] == []


def test_every_documented_answer_is_given(drilled):
    """No route, method or status of infra/openapi.yaml is only on paper."""
    assert drilled[1] == []
