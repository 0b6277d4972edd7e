"""`python -m tunelab`."""

from tunelab.cli import main

main()
