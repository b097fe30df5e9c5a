"""The S3 server that the environment names, with a bucket of its own for the drill of the API."""

import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

from model_loader.s3_client import make_client

VARIABLES = ("AWS_ENDPOINT_URL_S3", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


@dataclass(frozen=True)
class ObjectStore:
    """Who wants to use it needs `environment`."""

    client: Any
    bucket: str
    environment: Mapping[str, str]

    def put(self, key: str, content: bytes) -> None:
        """One object."""
        self.client.put_object(Bucket=self.bucket, Key=key, Body=content)


@contextmanager
def object_store() -> Iterator[ObjectStore]:
    """A bucket, emptied and deleted with the block. Raises `LookupError` where the environment names no server."""
    if missing := [name for name in VARIABLES if name not in os.environ]:
        raise LookupError(f"needs a real S3 server: set {', '.join(missing)}")
    environment = {name: os.environ[name] for name in VARIABLES} | {"AWS_DEFAULT_REGION": "us-east-1"}
    name = f"absa-api-{uuid.uuid4().hex[:12]}"
    with closing(make_client(endpoint_url=environment["AWS_ENDPOINT_URL_S3"], region="us-east-1")) as client:
        client.create_bucket(Bucket=name)
        try:
            yield ObjectStore(client, name, environment)
        finally:
            for page in client.get_paginator("list_objects_v2").paginate(Bucket=name):
                for entry in page.get("Contents", ()):
                    client.delete_object(Bucket=name, Key=entry["Key"])
            client.delete_bucket(Bucket=name)
