"""The endpoint of SageMaker, asked by boto3. Knows the two calls and what is sent beside a body; nothing of routes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from absa_invoke.answers import JSON
from absa_invoke.budgets import CONNECT_S, READ_TIMEOUTS_S, TimeBudget
from absa_invoke.failures import translated
from absa_invoke.identities import Identity
from absa_invoke.retries import Retries

if TYPE_CHECKING:
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient

Clients = Callable[[float], "SageMakerRuntimeClient"]


def make_clients(session: boto3.Session) -> Clients:
    """A client by its read timeout in seconds, made when it is first asked for; the longest one at once."""

    @cache
    def client(read_timeout_s: float) -> "SageMakerRuntimeClient":
        config = Config(
            connect_timeout=CONNECT_S,
            read_timeout=read_timeout_s,
            retries={"mode": "standard", "total_max_attempts": 1},
            tcp_keepalive=True,
            max_pool_connections=1,
        )
        found: SageMakerRuntimeClient = session.client("sagemaker-runtime", config=config)
        return found

    client(READ_TIMEOUTS_S[0])
    return client


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: an endpoint's body, or the address where it will be; and how many tries it took."""

    content: str
    tries: int


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint. Calls block."""

    name: str
    clients: Clients
    retries: Retries = field(default_factory=Retries)

    def invoke(self, body: bytes, identity: Identity, budget: TimeBudget, *, model: str | None = None) -> Reply:
        """The containers' JSON. Raises `CallFailed`."""
        target: Any = {} if model is None else {"TargetModel": model}

        def call(read_timeout_s: float) -> str:
            with translated():
                answer = self.clients(read_timeout_s).invoke_endpoint(
                    EndpointName=self.name,
                    Body=body,
                    ContentType=JSON,
                    Accept=JSON,
                    InferenceId=identity.inference_id,
                    CustomAttributes=identity.custom_attributes,
                    **target,
                )
                return answer["Body"].read().decode()

        return Reply(*self.retries.run(call, budget))

    def invoke_later(self, input_uri: str, identity: Identity, budget: TimeBudget) -> Reply:
        """Where the answer to the question at `input_uri` will be. Raises `CallFailed`."""

        def call(read_timeout_s: float) -> str:
            with translated():
                accepted = self.clients(read_timeout_s).invoke_endpoint_async(
                    EndpointName=self.name,
                    InputLocation=input_uri,
                    ContentType=JSON,
                    Accept=JSON,
                    InferenceId=identity.inference_id,
                    CustomAttributes=identity.custom_attributes,
                )
                return accepted["OutputLocation"]

        return Reply(*self.retries.run(call, budget))
