"""`python -m minidock` and the console script `minidock`."""

from minidock.cli import main

if __name__ == "__main__":
    main()
