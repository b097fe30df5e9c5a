"""The endpoint of SageMaker, asked by boto3. Knows the two calls and what is sent beside a body; nothing of routes."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from absa_invoke.answers import JSON
from absa_invoke.budgets import TimeBudget
from absa_invoke.clients import Clients
from absa_invoke.failures import translated
from absa_invoke.identities import Identity
from absa_invoke.retries import Retries

if TYPE_CHECKING:
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient


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
            client: SageMakerRuntimeClient = self.clients(read_timeout_s)
            with translated():
                answer = client.invoke_endpoint(
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
            client: SageMakerRuntimeClient = self.clients(read_timeout_s)
            with translated():
                accepted = client.invoke_endpoint_async(
                    EndpointName=self.name,
                    InputLocation=input_uri,
                    ContentType=JSON,
                    Accept=JSON,
                    InferenceId=identity.inference_id,
                    CustomAttributes=identity.custom_attributes,
                )
                return accepted["OutputLocation"]

        return Reply(*self.retries.run(call, budget))
