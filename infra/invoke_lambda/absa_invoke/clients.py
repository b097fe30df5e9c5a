"""boto3's clients by their read timeout: botocore has no timeout of a single call, and every try here has its own."""

from collections.abc import Callable
from functools import cache
from typing import Any, Literal

import boto3
from botocore.config import Config

from absa_invoke.budgets import CONNECT_S, READ_TIMEOUTS_S

# Of the service's own client type: whoever keeps them says which.
Clients = Callable[[float], Any]


def make_clients(session: boto3.Session, service: Literal["sagemaker-runtime", "s3"]) -> Clients:
    """A client by its read timeout in seconds, made when it is first asked for; the longest one at once.

    None of them tries twice: that is for `retries.Retries`.
    """

    @cache
    def client(read_timeout_s: float) -> object:
        config = Config(
            connect_timeout=CONNECT_S,
            read_timeout=read_timeout_s,
            retries={"mode": "standard", "total_max_attempts": 1},
            tcp_keepalive=True,
            max_pool_connections=1,
            signature_version="s3v4" if service == "s3" else None,
        )
        found: object = session.client(service, config=config)
        return found

    client(READ_TIMEOUTS_S[0])
    return client
