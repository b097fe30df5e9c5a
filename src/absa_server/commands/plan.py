"""`absa plan`: from a load test to a fleet, its bill, and what a burst does to it. Knows what is typed and shown."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from absa_server.capacity.bill import Prices
    from absa_server.capacity.fleet import Demand, Fleet
    from absa_server.capacity.load_test import Instance
    from absa_server.capacity.scenario import Outcome

Bench = Annotated[Path | None, typer.Option(help="What `absa bench` wrote.", exists=True, dir_okay=False)]
Rate = Annotated[float, typer.Option(help="Requests a second to be carried, sustained.", min=0.1, max=1_000_000)]
Percentile = Annotated[float, typer.Option(help="Percentile of the requests that must be in time.", min=50, max=99.9)]
LatencyMs = Annotated[float, typer.Option(help="The time within which they must be answered.", min=1)]
BurstFactor = Annotated[float, typer.Option("--burst", help="The burst, as a multiple of the rate.", min=1, max=100)]
BurstMinutes = Annotated[float, typer.Option(help="How long the burst lasts.", min=0.1, max=240)]
Zones = Annotated[int, typer.Option(help="Availability zones; the fleet survives the loss of one.", min=1, max=6)]
Safety = Annotated[float, typer.Option(help="Share of the knee that is planned with.", min=0.05, max=1)]
StartS = Annotated[float, typer.Option(help="Seconds until a new instance serves.", min=0)]
PricesFile = Annotated[Path | None, typer.Option("--prices", help="Your price file; without it, example prices.")]
WritePrices = Annotated[Path | None, typer.Option(help="Write the example price file here, to be edited, and end.")]
Picture = Annotated[Path | None, typer.Option(help="PNG to write: the burst, simulated (needs simpy, matplotlib).")]
Out = Annotated[Path | None, typer.Option(help="JSON to write: the whole plan.")]


def plan(  # noqa: PLR0913  one parameter an option
    *,
    bench: Bench = None,
    rate: Rate = 10_000.0,
    percentile: Percentile = 99.0,
    latency_ms: LatencyMs = 1000.0,
    burst: BurstFactor = 3.0,
    burst_minutes: BurstMinutes = 15.0,
    zones: Zones = 3,
    safety_factor: Safety = 0.5,
    start_s: StartS = 300.0,
    prices: PricesFile = None,
    write_prices: WritePrices = None,
    picture: Picture = None,
    out: Out = None,
) -> None:
    """Plan a fleet: instances, scaling targets, Lambda concurrency, results, a month's bill, and a simulated burst.

    Prices are read from a YAML file that you edit; the one that comes with the command holds example figures.

    For example:

    - `absa plan --bench bench.json --rate 10000 --latency-ms 1000 --burst 3 --picture burst.png`

    - `absa plan --write-prices prices.yaml`, then `absa plan --bench bench.json --rate 200 --prices prices.yaml`
    """
    from absa_server.capacity.bill import example_prices, read_prices  # noqa: PLC0415
    from absa_server.capacity.errors import CapacityError  # noqa: PLC0415
    from absa_server.capacity.fleet import Demand  # noqa: PLC0415

    console = Console(highlight=False)
    if write_prices is not None:
        write_prices.write_text(example_prices(), encoding="utf-8")
        console.print(
            f"written: {escape(str(write_prices))}. Edit every line, then use it with --prices.", soft_wrap=True
        )
        return
    if bench is None:
        raise typer.BadParameter("give --bench FILE, the JSON that `absa bench` wrote")
    demand = Demand(
        rate_rps=rate,
        percentile=percentile / 100,
        latency_s=latency_ms / 1000,
        burst_factor=burst,
        zones=zones,
        safety_factor=safety_factor,
    )
    try:
        _plan(bench, demand, read_prices(prices), picture=picture, out=out, burst_minutes=burst_minutes,
              start_s=start_s, console=console)  # fmt: skip
    except CapacityError as error:
        console.print(f"[red]error:[/red] {escape(str(error))}", soft_wrap=True)
        raise typer.Exit(1) from None


def _plan(
    bench: Path, demand: "Demand", prices: "Prices", *, picture: Path | None, out: Path | None, burst_minutes: float,
    start_s: float, console: Console,
) -> None:  # fmt: skip
    from absa_server.capacity.bill import monthly_bill  # noqa: PLC0415
    from absa_server.capacity.document import write_plan  # noqa: PLC0415
    from absa_server.capacity.fleet import size_fleet  # noqa: PLC0415
    from absa_server.capacity.load_test import read_load_test  # noqa: PLC0415

    instance = read_load_test(bench)
    fleet = size_fleet(instance, demand)
    bill = monthly_bill(prices, instance, demand, fleet)
    console.print(_fleet_table(instance, fleet), _bill_table(bill, prices))
    if prices.checked is None:
        console.print("[yellow]These prices are examples that nobody has checked:[/yellow] see --write-prices.")
    outcome = None
    if picture is not None:
        with console.status("simulating the burst …"):
            outcome = _burst(instance, demand, fleet, minutes=burst_minutes, start_s=start_s, picture=picture)
        console.print(_outcome_lines(outcome, demand), soft_wrap=True)
        console.print(f"written: {escape(str(picture))}", soft_wrap=True)
    if out is not None:
        write_plan(out, instance=instance, demand=demand, fleet=fleet, bill=bill, outcome=outcome)
        console.print(f"written: {escape(str(out))}", soft_wrap=True)


def _burst(
    instance: "Instance", demand: "Demand", fleet: "Fleet", *, minutes: float, start_s: float, picture: Path
) -> "Outcome":
    from absa_server.capacity.picture import draw  # noqa: PLC0415
    from absa_server.capacity.simulation import simulate_burst  # noqa: PLC0415

    outcome, assumptions = simulate_burst(instance, demand, fleet, burst_s=60 * minutes, start_s=start_s)
    title = f"{demand.rate_rps:,.0f} requests/s, a burst of {demand.burst_factor:g} times"
    draw(outcome.series, title=title, assumptions=assumptions, file=picture)
    return outcome


def _fleet_table(instance: "Instance", fleet: "Fleet") -> Table:
    table = Table(title="fleet", show_header=False, title_justify="left")
    measured = f"knee {instance.max_rps:.1f}/s, capacity {instance.capacity_rps:.1f}/s, {instance.slots} slots"
    table.add_row("one instance, measured", measured)
    for name, value in asdict(fleet).items():
        table.add_row(name.replace("_", " "), f"{value:,.1f}" if isinstance(value, float) else f"{value:,}")
    return table


def _bill_table(bill: Mapping[str, float], prices: "Prices") -> Table:
    table = Table("a month, sustained", prices.currency, title="bill", title_justify="left")
    for name, amount in bill.items():
        table.add_row(name, f"{amount:,.0f}")
    table.add_row("total", f"{sum(bill.values()):,.0f}")
    return table


def _outcome_lines(outcome: "Outcome", demand: "Demand") -> str:
    first = outcome.first_new_instance_s
    helped = "no instance came" if first is None else f"the first new instance served {first:.0f} s after its begin"
    return (
        f"burst: worst latency {1000 * outcome.worst_latency_s:,.0f} ms, above {1000 * demand.latency_s:.0f} ms for "
        f"{outcome.late_s:.0f} s, {100 * outcome.refused_share:.2f} % refused; {helped}; at most "
        f"{outcome.most_instances} instances"
    )
