"""Clients whose answers a test lays down, validated by botocore's own model of each call, both ways."""

from typing import Any

import boto3
from botocore.stub import Stubber

from absa_server.cloud.inquiry import Inquiry


class Stubbed:
    """One client that answers `responses` in turn: (operation, answer) or (operation, error code)."""

    def __init__(self, service: str, *responses: tuple[str, dict[str, Any] | str]) -> None:
        self.client = boto3.client(
            service, region_name="eu-west-1", aws_access_key_id="test", aws_secret_access_key="test"
        )
        self._stubber = Stubber(self.client)
        for operation, answer in responses:
            if isinstance(answer, str):
                self._stubber.add_client_error(operation, answer, f"{answer}, says the stub", http_status_code=400)
            else:
                self._stubber.add_response(operation, answer)
        self._stubber.activate()

    def close(self) -> None:
        """Every answer was asked for."""
        self._stubber.assert_no_pending_responses()
        self.client.close()


def inquiry(**clients: Stubbed) -> Inquiry:
    """Of these clients; `service_quotas` is `service-quotas`. Any other service is asked of what stands around it."""
    session = boto3.Session(region_name="eu-west-1")
    return Inquiry(session, {name.replace("_", "-"): stubbed.client for name, stubbed in clients.items()})
