"""Every template, as each shape, through cfn-lint, and through our own checks."""

import pytest
from cfnlint import lint
from cfnlint.config import ManualArgs

from absa_server.cloud.template_checks import complaints, resolved_resources

from .stacks import ANSWERING_SHAPES, INFRA, SHAPES, TEMPLATES, resolver

SHAPED = [(name, shape) for name in ("endpoint", "api") for shape in SHAPES]
SHAPED += [(name, shape) for name in ("alarms", "dashboard") for shape in ANSWERING_SHAPES]


def said_by_cfn_lint(text: str) -> list[str]:
    return [f"{found.rule.id} line {found.linenumber}: {found.message}" for found in lint(text, config=ManualArgs())]


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda template: template.stem)
def test_template_is_clean(template):
    """cfn-lint has nothing to say, warnings included."""
    assert said_by_cfn_lint(template.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(("name", "shape"), SHAPED)
def test_template_is_clean_in_every_shape(name, shape):
    """Nor when the shape is another than the default."""
    text = (INFRA / f"{name}.yaml").read_text(encoding="utf-8")
    assert "Default: single" in text
    assert said_by_cfn_lint(text.replace("Default: single", f"Default: {shape}")) == []


@pytest.mark.parametrize(("name", "shape"), [pair for pair in SHAPED if pair[0] != "api"])
def test_our_own_checks_have_no_complaint(name, shape):
    """What SageMaker would refuse and cfn-lint lets pass is not in our templates."""
    assert complaints(resolved_resources(resolver(name, Shape=shape))) == []


def test_cfn_lint_sees_an_error_at_all():
    """The tests above can fail."""
    text = (INFRA / "endpoint.yaml").read_text(encoding="utf-8")
    assert said_by_cfn_lint(text.replace("LEAST_OUTSTANDING_REQUESTS", "LEAST_BUSY")) != []
