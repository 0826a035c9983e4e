"""Score a model as `speechxfer evaluate` does."""

import sys

from speechxfer.cli import main

if __name__ == "__main__":
    sys.argv.insert(1, "evaluate")
    main()
