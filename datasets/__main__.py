"""`python -m datasets list|check|prepare|split`."""

import sys

from datasets.manage.cli import main

if __name__ == "__main__":
    sys.exit(main())
