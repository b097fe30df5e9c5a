"""The platform's side of SageMaker hosting on one machine, for containers that are processes or docker images."""
