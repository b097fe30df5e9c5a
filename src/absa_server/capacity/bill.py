"""A month's bill by line, from a fleet, a rate and a price file. Knows which quantities are charged, and no price."""

import datetime as dt
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from absa_server.capacity.errors import InvalidPrices
from absa_server.capacity.fleet import Demand, Fleet
from absa_server.capacity.load_test import Instance

HOURS_A_MONTH = 730
SECONDS_A_MONTH = HOURS_A_MONTH * 3600
GB = 1e9


class Prices(BaseModel):
    """The price file; prices.yaml beside this module says what each field is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    checked: dt.date | None
    currency: str
    instance_hour: float = Field(ge=0)
    instance_storage_gb_month: float = Field(ge=0)
    instance_storage_gb: float = Field(ge=0)
    savings_share: float = Field(ge=0, lt=1)
    api_million: float = Field(ge=0)
    lambda_million: float = Field(ge=0)
    lambda_gb_s: float = Field(ge=0)
    lambda_memory_gb: float = Field(ge=0)
    put_thousand: float = Field(ge=0)
    results_gb_month: float = Field(ge=0)
    results_kept_days: float = Field(ge=0)
    result_bytes: float = Field(ge=0)
    logs_gb: float = Field(ge=0)
    log_bytes_per_request: float = Field(ge=0)
    metric_month: float = Field(ge=0)
    metrics: int = Field(ge=0)
    alarm_month: float = Field(ge=0)
    alarms: int = Field(ge=0)


def example_prices() -> str:
    """The text of the example price file, to be edited."""
    return (resources.files("absa_server.capacity") / "prices.yaml").read_text(encoding="utf-8")


def read_prices(file: Path | None) -> Prices:
    """The prices of `file`, or the example's. Raises `InvalidPrices`."""
    name = str(file or "prices.yaml")
    try:
        text = file.read_text(encoding="utf-8") if file else example_prices()
        return Prices.model_validate(yaml.safe_load(text))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidPrices(f"{name}: cannot be read as YAML: {error}") from None
    except ValidationError as error:
        found = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise InvalidPrices(f"{name}: {found}") from None


def monthly_bill(prices: Prices, instance: Instance, demand: Demand, fleet: Fleet) -> Mapping[str, float]:
    """What a month at the demanded rate, sustained, costs by line; their sum is the bill."""
    requests = demand.rate_rps * SECONDS_A_MONTH
    reviews = requests * instance.reviews_per_request
    lambda_s = instance.mean_latency_s + demand.lambda_overhead_s
    kept_gb = reviews * prices.result_bytes / GB * prices.results_kept_days / (HOURS_A_MONTH / 24)
    storage = prices.instance_storage_gb * prices.instance_storage_gb_month
    return {
        "instances": fleet.instances * HOURS_A_MONTH * prices.instance_hour * (1 - prices.savings_share),
        "instance storage": fleet.instances * storage,
        "API Gateway": requests / 1e6 * prices.api_million,
        "Lambda requests": requests / 1e6 * prices.lambda_million,
        "Lambda duration": requests * lambda_s * prices.lambda_memory_gb * prices.lambda_gb_s,
        "results PUT": reviews / demand.results_per_object / 1000 * prices.put_thousand,
        "results storage": kept_gb * prices.results_gb_month,
        "logs": requests * prices.log_bytes_per_request / GB * prices.logs_gb,
        "metrics and alarms": prices.metrics * prices.metric_month + prices.alarms * prices.alarm_month,
    }
