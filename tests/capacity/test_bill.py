"""The bill and its price file."""

import pytest
import yaml

from absa_server.capacity.bill import example_prices, monthly_bill, read_prices
from absa_server.capacity.errors import InvalidPrices
from absa_server.capacity.fleet import Demand, size_fleet
from absa_server.capacity.load_test import Instance

INSTANCE = Instance(100.0, 125.0, 0.04, 0.06, 2, 1000.0)
DEMAND = Demand(100.0, 0.99, 1.0)


def test_bill_is_quantities_times_prices(tmp_path):
    """Each line by hand: 730 hours, 262.8 million requests, twice as many reviews."""
    prices = dict.fromkeys(yaml.safe_load(example_prices()), 1) | {
        "checked": "2026-11-24", "currency": "EUR", "savings_share": 0.5, "results_kept_days": 30,
    }  # fmt: skip
    file = tmp_path / "prices.yaml"
    file.write_text(yaml.safe_dump(prices))
    fleet = size_fleet(INSTANCE, DEMAND)
    bill = monthly_bill(read_prices(file), INSTANCE, DEMAND, fleet)
    assert fleet.instances == 3
    assert bill["instances"] == pytest.approx(3 * 730 * 0.5)
    assert bill["instance storage"] == 3
    assert bill["API Gateway"] == bill["Lambda requests"] == pytest.approx(262.8)
    assert bill["Lambda duration"] == pytest.approx(262.8e6 * 0.08)
    assert bill["results PUT"] == pytest.approx(525.6e6 / 500 / 1000)
    assert bill["results storage"] == pytest.approx(525.6e6 / 1e9 * 30 / (730 / 24))
    assert bill["logs"] == pytest.approx(0.2628)
    assert bill["metrics and alarms"] == 2


def test_example_prices_are_marked_as_unchecked():
    """Nobody shall take the example for a quote: the file says so and holds no date."""
    assert example_prices().startswith("# EXAMPLE PRICES, NOT A QUOTE.")
    assert read_prices(None).checked is None


@pytest.mark.parametrize(
    ("change", "named"), [("instance_hours: 1", "instance_hours"), ("alarms: -1", "alarms"), ("a: [", "YAML")]
)
def test_bad_price_file_is_told_by_field(tmp_path, change, named):
    """Unknown names, negative prices and broken YAML are named with the file."""
    file = tmp_path / "mine.yaml"
    file.write_text(example_prices().replace("alarms: 10\n", "") + change + "\n")
    with pytest.raises(InvalidPrices, match=rf"mine\.yaml: .*{named}"):
        read_prices(file)
