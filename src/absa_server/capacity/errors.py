"""What can go wrong with a plan, as one tree. Every message is fit to be shown to whoever typed the command.

CapacityError
├── InvalidLoadTest     the load test's document cannot be planned from
├── InvalidPrices       the price file is wrong, and where
├── Infeasible          no number of instances gives what is asked
└── MissingDependency   something that only simulations need is not installed
"""


class CapacityError(Exception):
    """Root of the tree."""


class InvalidLoadTest(CapacityError):
    """The document is none of `absa bench`, or holds no usable knee."""


class InvalidPrices(CapacityError):
    """A price file cannot be read. The message begins with the file and names each field."""


class Infeasible(CapacityError):
    """What is asked cannot be had with any number of instances; the message says why."""


class MissingDependency(CapacityError):
    """The message says which extra installs what is missing."""
