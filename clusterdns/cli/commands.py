"""The commands that CoreDNS has not: `check` and `names`. Each is a module of its own; here they are only gathered."""

import click

from clusterdns.cli.check import check
from clusterdns.cli.names import names

commands = click.Group("clusterdns", commands=[check, names], help="Look at a configuration without serving it.")
