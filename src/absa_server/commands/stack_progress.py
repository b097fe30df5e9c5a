"""CloudFormation at work, as its user sees it: a bar a stack, a line for each resource that is done or has failed."""

from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from absa_server.cloud.stacks import StackEvent


class StackProgress:
    """A `Watch` of the stack driver that draws. Used as a context manager around the whole command."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[current]}"),
            console=console,
            transient=True,
        )
        self._task: TaskID | None = None
        self._done: set[str] = set()

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._progress.stop()

    def begin(self, stack: str, doing: str, resources: int) -> None:
        """A bar for the operation; without a length when nobody knows it."""
        self._close()
        self._done = set()
        self._task = self._progress.add_task(f"{escape(stack)}: {escape(doing)}", total=resources or None, current="")

    def event(self, stack: str, event: "StackEvent") -> None:
        """One resource further, or why not."""
        if self._task is None or event.is_of_the_stack:
            return
        if event.is_failure:
            self._line(f"[red]{escape(event.status)}[/red]", stack, f"{event.logical}: {event.reason}")
        elif event.status.endswith("_COMPLETE"):
            self._done.add(event.logical)
            self._line(event.status, stack, f"{event.logical} ({event.type})")
        self._progress.update(self._task, completed=len(self._done), current=escape(event.logical))

    def end(self, stack: str, result: str) -> None:
        """The stack's last line."""
        self._close()
        self._console.print(f"[green]{escape(stack)}[/green]: {result}")

    def _line(self, status: str, stack: str, text: str) -> None:
        self._console.print(f"  {status}  {escape(stack)}  {escape(text)}", soft_wrap=True)

    def _close(self) -> None:
        if self._task is not None:
            self._progress.remove_task(self._task)
            self._task = None
