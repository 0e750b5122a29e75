"""``python3 -m tools.npm SCRIPT``: one of the browser app's npm scripts, with whichever Node there is."""

import sys

from tools import node
from tools.steps import Stop

try:
    node.npm_run(sys.argv[1])
except Stop as stop:
    print(f"pantau: {stop}", file=sys.stderr)
    sys.exit(1)
