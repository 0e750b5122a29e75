"""``python -m services.cli``: how `pantau up` starts its children, whatever the PATH says."""

from services.cli import main

main()
