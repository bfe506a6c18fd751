"""`python -m rcgnn` is the `rcgnn` command."""

from rcgnn.cli import main

if __name__ == "__main__":
    main()
