"""Everything that can go wrong around the container, as one tree. Commands print the message and end with exit code 1.

CloudError
├── BadTemplate     a template, or the parameters given to it, before anything is sent
├── BadImage        an image that SageMaker would refuse
├── Refused         AWS said no: rights, quotas, names, a service's own validation
├── StackFailed     CloudFormation ended in a state that is not the wanted one
└── NothingToDo     there is no stack, no release or no change to work on
"""


class CloudError(Exception):
    """Root of the tree. `str()` of it is fit to be shown: what was expected, what came, what to do."""


class BadTemplate(CloudError):
    """A template cannot be read or resolved with the parameters given."""


class BadImage(CloudError):
    """The image cannot be pushed or deployed as it is."""


class Refused(CloudError):
    """AWS refused a call, or could not be reached."""


class StackFailed(CloudError):
    """A stack did not reach the state it was sent to."""


class NothingToDo(CloudError):
    """What was asked for needs something that is not there."""
