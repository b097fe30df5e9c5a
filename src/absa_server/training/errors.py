"""What can go wrong with training, as one tree. Every message is fit to be shown to the person who typed the command.

TrainingError
├── MissingDependency   something that only training needs is not installed
├── InvalidReviews      the user's file of labelled reviews is wrong, and where
└── GrammarError        the generator's own grammar is wrong, and where
"""


class TrainingError(Exception):
    """Root of the tree."""


class MissingDependency(TrainingError):
    """Something that only training needs is not installed. The message says which command installs it."""


class InvalidReviews(TrainingError):
    """A file of labelled reviews cannot be trained on. The message begins with file, line and field."""


class GrammarError(TrainingError):
    """A rule of the generator is written wrongly, or one that is asked for does not exist."""
