"""Each cloud command, interrupted at each of its calls and run again: does it come to the same as without?

Before a call reaches AWS and right after it has, one run each. What is compared is everything: stacks, their resources,
templates and parameters, releases, the endpoint and its model, alarms, buckets. Run by `make drill-deploy`.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from absa_server.cloud.errors import CloudError
from tests.cloud.scenes import STORIES, Interruption, Story, played

# Calls that change something; an interruption between two others finds what an interruption before finds.
app = typer.Typer(add_completion=False)
CHANGING = ("Create", "Update", "Delete", "Put", "Continue")


@dataclass(frozen=True, slots=True)
class Row:
    """One command."""

    name: str
    calls: Counter[str]
    interrupted: int
    differences: tuple[str, ...]


def points(calls: list[str], *, only_changing: bool) -> Iterator[tuple[int, bool]]:
    """(call, after it or before) of every interruption; after the last call there is nothing left to interrupt."""
    for number, name in enumerate(calls, start=1):
        if only_changing and not name.startswith(CHANGING):
            continue
        if not only_changing:
            yield number, False
        if number < len(calls):
            yield number, True


def drill(
    stories: tuple[Story, ...] = STORIES,
    *,
    only_changing: bool = False,
    report: Callable[[str, int, int], None] = lambda *_: None,
) -> list[Row]:
    """A row for each command."""
    return [_row(story, only_changing=only_changing, report=report) for story in stories]


def _row(story: Story, *, only_changing: bool, report: Callable[[str, int, int], None]) -> Row:
    wanted, calls, _ = played(story, Interruption())
    where = list(points(calls, only_changing=only_changing))
    differences = []
    for done, (number, is_after) in enumerate(where, start=1):
        found = _difference(story, Interruption(number, is_after), wanted)
        if found:
            differences.append(f"{'after' if is_after else 'before'} call {number}, {calls[number - 1]}: {found}")
        report(story.name, done, len(where))
    return Row(story.name, Counter(calls), len(where), tuple(differences))


def _difference(story: Story, interruption: Interruption, wanted: dict[str, Any]) -> str:
    """What is not as without the interruption; empty when all is."""
    try:
        left, _, is_interrupted = played(story, interruption)
    except CloudError as error:
        return f"run again: {error}"
    assert is_interrupted
    return ", ".join(_different(left, wanted))


def _different(left: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    return [key for key in wanted if left[key] != wanted[key]]


@app.command()
def main(
    *,
    only_changing: Annotated[
        bool, typer.Option("--only-changing", help="Only after calls that change something.")
    ] = False,
) -> None:
    """Interrupt each cloud command at each of its calls, run it again, and compare."""
    console = Console()
    columns = (TextColumn("{task.description:<28}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        tasks = {story.name: progress.add_task(story.name, total=None, start=False) for story in STORIES}

        def report(name: str, done: int, total: int) -> None:
            progress.start_task(tasks[name])
            progress.update(tasks[name], completed=done, total=total)

        rows = drill(only_changing=only_changing, report=report)
    table = Table("command", "calls", "of them changing", "interruptions", "same end", title="interrupted, run again")
    for row in rows:
        changing = sum(count for name, count in row.calls.items() if name.startswith(CHANGING))
        same = row.interrupted - len(row.differences)
        table.add_row(*map(str, (row.name, row.calls.total(), changing, row.interrupted, same)))
    console.print(table)
    for row in rows:
        for difference in row.differences:
            console.print(f"[red]{row.name}[/red] {difference}")
    raise typer.Exit(1 if any(row.differences for row in rows) else 0)


if __name__ == "__main__":
    app()
