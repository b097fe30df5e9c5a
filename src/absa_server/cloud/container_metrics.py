"""The containers' own metrics in CloudWatch, as the dashboard expects them. Knows nothing of how they are written.

Until the server writes EMF lines this is an assumption: one namespace, these names, any dimensions (the dashboard
searches by name). Whoever changes a name here changes it in infra/dashboard.yaml and in the telemetry.
"""

NAMESPACE = "ABSA"
NAMES = frozenset(
    {
        "Texts",
        "Aspects",
        "Tokens",
        "QueueWaitMs",
        "BatchSize",
        "InferenceMs",
        "ModelLoads",
        "Evictions",
        "Rejected",
        "ResultsWritten",
        "ResultsDropped",
    }
)
