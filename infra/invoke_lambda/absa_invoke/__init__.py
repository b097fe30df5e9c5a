"""The Lambda function between API Gateway and the endpoint: a deployment unit of its own.

It imports nothing of the server.
"""
