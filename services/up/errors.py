"""Errors of `pantau up`."""

from services.contracts.errors import PantauError


class UpError(PantauError):
    """Base of what keeps `pantau up` from starting or going on."""

    code = "up"


class DataInUseError(UpError):
    """Another `pantau up` works in the same data folder."""

    code = "data-in-use"


class ChildRefusedError(UpError):
    """A service refuses to start, and would refuse again."""

    code = "child-refused"
