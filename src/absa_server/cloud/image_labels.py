"""The labels without which SageMaker runs an image in one way only. Imports nothing: `absa --help` is quick."""

# Multi-model endpoints, and pipelines of containers.
LABELS = (
    "com.amazonaws.sagemaker.capabilities.multi-models",
    "com.amazonaws.sagemaker.capabilities.accept-bind-to-port",
)
