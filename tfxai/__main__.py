"""``python -m tfxai``: the command line."""

import sys

from tfxai.cli import main

if __name__ == "__main__":
    sys.exit(main())
