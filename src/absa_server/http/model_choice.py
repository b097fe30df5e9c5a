"""Which model a request asks for: by its parameters, else by the header of direct callers. Knows no model.

The platform sends `X-Amzn-SageMaker-Target-Model` to multi-model endpoints alone, where the path names the model.
"""

from absa_server.errors import InvalidRequest
from absa_server.http.parameters import MODEL_NAMES
from absa_server.http.sagemaker_headers import TARGET_MODEL
from absa_server.serving.served_model import ModelChoice
from absa_server.types import Parameters


def read_choice(parameters: Parameters, target_model: str | None) -> ModelChoice:
    """What the request's parameters say, else its header. Raises `InvalidRequest` when the two differ."""
    choice = ModelChoice(*parameters.model_names)
    if target_model is None:
        return choice
    if choice.is_empty:
        return ModelChoice(model=target_model)
    if choice != ModelChoice(model=target_model):
        raise InvalidRequest(f"{TARGET_MODEL}: expected the same model as the parameters name, or no header")
    return choice


def refuse_choice(parameters: Parameters) -> None:
    """Raises `InvalidRequest` when the parameters name a model, on a server where none can be chosen by them."""
    for name, value in zip(MODEL_NAMES, parameters.model_names, strict=True):
        if value is not None:
            raise InvalidRequest(
                f"parameters.{name}: expected none: without ABSA_MODEL_STORE this server has one model, or the path "
                "names it; leave it out"
            )
