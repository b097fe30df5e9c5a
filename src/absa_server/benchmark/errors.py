"""What can go wrong with a benchmark, as one tree. Every message is fit to be shown to whoever typed the command.

BenchmarkError
├── InvalidTexts        the file of texts holds none, or a line of it is wrong
├── InvalidTarget       the URL is not one that the load generator speaks to
├── ServerUnusable      the server did not start, or does not answer a first request with 200
├── GeneratorFailed     the load generator's own process ended
└── MissingDependency   something that only pictures need is not installed
"""


class BenchmarkError(Exception):
    """Root of the tree."""


class InvalidTexts(BenchmarkError):
    """A file of texts cannot be sent. The message begins with file and line."""


class InvalidTarget(BenchmarkError):
    """The URL is not plain `http://host:port/path`."""


class ServerUnusable(BenchmarkError):
    """There is nothing to measure: no start, no `/ping`, or no good answer."""


class GeneratorFailed(BenchmarkError):
    """The process that makes the load died; nothing that it measured is kept."""


class MissingDependency(BenchmarkError):
    """The message says which extra installs what is missing."""
