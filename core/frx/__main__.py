"""`python -m frx`."""

from frx.cli import main

main()
