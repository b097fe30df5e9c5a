"""The account that the templates are applied to."""

from tests.cloud.conftest import account

__all__ = ["account"]
