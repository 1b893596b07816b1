"""`python -m feedhandler`: the same as the installed command."""

import sys

from feedhandler.cli import main

if __name__ == "__main__":
    sys.exit(main())
