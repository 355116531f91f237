"""`python -m clusterdns`: the same program as the console script."""

from clusterdns.cli import main

main()
