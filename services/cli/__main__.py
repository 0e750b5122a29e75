"""``python -m services.cli``: `pantau up` starts its children so, independent of the PATH."""

from services.cli import main

main()
