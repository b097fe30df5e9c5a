"""absa-server: two transformers, aspect terms and their polarity, behind one SageMaker endpoint."""
