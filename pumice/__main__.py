"""`python -m pumice` is `pumice`."""

from pumice.cli.main import main

if __name__ == "__main__":
    main()
