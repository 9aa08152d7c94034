"""`./run tasks`."""

from tasks.cli.main import main

if __name__ == "__main__":
    main()
