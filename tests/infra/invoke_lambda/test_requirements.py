"""What is deployed with the function: the versions that the tests run with, and nothing that it does not import."""

import re
import sys

from tests.infra.stacks import INFRA
from tests.test_architecture import ROOT, imports

FUNCTION = INFRA / "invoke_lambda"
SOURCES = sorted((FUNCTION / "absa_invoke").glob("*.py"))


def pins(text: str) -> dict[str, str]:
    return dict(re.findall(r"(?m)^([a-z0-9-]+)(?:\[[a-z,]+\])?==([0-9.]+)", text))


def test_versions_are_those_of_the_lock_file():
    """So the tests have run what is deployed."""
    wanted = pins((FUNCTION / "requirements.txt").read_text(encoding="utf-8"))
    locked = pins((ROOT / "requirements-dev.lock").read_text(encoding="utf-8"))
    assert set(wanted) == {"aws-lambda-powertools", "boto3", "pydantic"}
    assert {name: locked[name] for name in wanted} == wanted


def test_function_imports_only_its_own():
    """A deployment unit of its own: the standard library, what requirements.txt installs, and itself."""
    installed = {"absa_invoke", "aws_lambda_powertools", "boto3", "botocore", "pydantic"}
    stubs = {"mypy_boto3_s3", "mypy_boto3_sagemaker_runtime"}  # for the type checker, never at run time
    for file in SOURCES:
        unknown = {name.split(".")[0] for name in imports(file)} - installed - stubs - set(sys.stdlib_module_names)
        assert unknown == set(), file


def test_only_the_entry_reads_the_environment():
    """app.py passes it on."""
    readers = [file.name for file in SOURCES if "os" in set(imports(file))]
    assert readers == ["app.py"]
