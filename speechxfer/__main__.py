"""`python -m speechxfer` is the command line."""

from speechxfer.cli import main

if __name__ == "__main__":
    main()
