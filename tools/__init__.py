"""What ``make`` needs: the bootstrap, the generated reference, checks of the tree. Standard library alone."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 (this is where an older Python is told so)
    sys.exit(
        "pantau: this is Python %s, and Pantau needs 3.11 or newer; name one: make PYTHON=python3.11"  # noqa: UP031 (the same)
        % sys.version.split()[0]
    )
