"""The platform's numbers, each with its source; "guess" marks what AWS does not document. Knows no behaviour.

DG is the developer guide, API the service model of boto3. Tests and impatient users make them smaller.
"""

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """All that the platform waits for and all that it lets through."""

    body_bytes: int = 6 * MIB  # API: BodyBlob. The same bound for an answer is DG's "6 MB payload".
    hop_bytes: int = 5 * MIB  # DG, inference-pipeline-troubleshoot: between two containers
    response_header_bytes: int = 4096  # observed: aws/deep-learning-containers#4668
    inline_async_bytes: int = 128_000  # API: InvokeEndpointAsync.Body
    async_bytes: int = 1024 * MIB  # DG, async-inference
    invocation_s: float = 60.0  # DG, your-algorithms-inference-code; the whole chain in a pipeline (guess)
    stream_s: float = 480.0  # DG, hosting-faqs
    connect_s: float = 0.25  # DG, your-algorithms-inference-code: the socket is accepted
    ping_s: float = 2.0  # DG, your-algorithms-inference-code
    ping_every_s: float = 5.0  # observed: pytorch/serve#397
    failed_pings: int = 3  # guess: so many in a row, and the instance is replaced
    startup_s: float = 480.0  # DG, your-algorithms-inference-code; the variant may name another
    stop_s: float = 30.0  # DG: from SIGTERM to SIGKILL
    deregistration_s: float = 0.1  # guess: from the last request routed to an instance to its SIGTERM
    replacement_pause_s: float = 5.0  # guess: between two attempts to replace an instance
    model_wait_s: float = 60.0  # DG, invoke-multi-model-endpoint: a client waits so long for a load
    model_load_s: float = 360.0  # same: the load itself
    model_unload_s: float = 360.0  # triton's sagemaker_server.cc
    async_timeout_s: float = 900.0  # API: InvocationTimeoutSeconds' default
    async_concurrency: int = 4  # guess: invocations an instance when MaxConcurrentInvocationsPerInstance is not given
