"""The function's environment and handler as infra/api.yaml gives them."""

from typing import Any

from tests.infra.stacks import resolver

NAME = "absa"


def properties(**parameters: str) -> dict[str, Any]:
    """The function's properties, with the template's parameters."""
    return resolver("api", **parameters).properties("Function")


def handler_name() -> str:
    """`package.module.function`."""
    return str(properties()["Handler"])


def environment(**parameters: str) -> dict[str, str]:
    """The template's variables, and those that Lambda itself sets, with credentials that are none."""
    given = {name: str(value) for name, value in properties(**parameters)["Environment"]["Variables"].items()}
    return given | {
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_LAMBDA_FUNCTION_NAME": "absa-api",
        "AWS_LAMBDA_FUNCTION_VERSION": "7",
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
    }
