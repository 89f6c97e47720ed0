"""`python -m basnet_e2e` is `basnet`."""

from basnet_e2e.cli import main

if __name__ == "__main__":
    main()
