"""A process for tests: ends with the status that SLEEPER names, else sleeps for so many seconds."""

import os
import sys
import time

if __name__ == "__main__":
    if status := os.environ.get("SLEEPER"):
        sys.exit(int(status))
    time.sleep(float(sys.argv[1]))
