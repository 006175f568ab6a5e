"""`minidock`, `python -m minidock` and scripts/minidock all come in here."""


def main() -> None:
    from minidock.cli import main as command_line

    command_line()


if __name__ == "__main__":
    main()
