"""What can be done about the failures that endpoints and stacks are known for. Words only.

Sources: the issue threads named in docs/unverified.md, and CloudFormation's "Troubleshooting".
"""

# (a part of CloudFormation's reason or of the state, what to do)
HINTS = (
    ("ping health check", "The containers did not become healthy: their log group is /aws/sagemaker/Endpoints/<name>."),
    ("ResourceLimitExceeded", "A quota is used up: Service Quotas, SageMaker, '<instance type> for endpoint usage'."),
    ("resource limit", "A quota is used up: Service Quotas, SageMaker, '<instance type> for endpoint usage'."),
    ("manifest media type", "The image has an OCI manifest: push it again with `absa push-image`."),
    ("Could not find model data", "There is no such object: compare --model-key with `aws s3 ls s3://<artifacts>/models/`."),
    ("Could not access model data", "The artifact cannot be read: same Region? below models/? its role?"),
    ("alarm", "An alarm rolled the update back: its history in CloudWatch tells which metric crossed."),
    ("already exists", "Made outside of this stack: delete it, or name another endpoint."),
    ("not authorized to perform", "That right is missing: compare infra/roles.yaml, DeployerPolicy."),
    ("UPDATE_ROLLBACK_FAILED", "aws cloudformation continue-update-rollback --resources-to-skip … gives them up."),
    ("DELETE_FAILED", "Remove what holds the resource, then run this again."),
)  # fmt: skip


def hint_for(status: str, reason: str) -> str | None:
    """What to do about a failure; `None` for those that nobody has met yet."""
    text = f"{status} {reason}".lower()
    return next((hint for part, hint in HINTS if part.lower() in text), None)
