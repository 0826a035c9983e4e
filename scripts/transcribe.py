"""Transcribe files as `speechxfer transcribe` does."""

import sys

from speechxfer.cli import main

if __name__ == "__main__":
    sys.argv.insert(1, "transcribe")
    main()
