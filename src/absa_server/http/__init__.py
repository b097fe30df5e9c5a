"""SageMaker's HTTP contract: bodies and headers in, records out, and back. Knows no model."""
