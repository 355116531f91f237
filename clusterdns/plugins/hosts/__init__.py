"""The `hosts` directive: names and addresses from a file in the format of hosts(5).

Reading order: `directive` parses, builds and answers, `hosts_file` follows the file, `table` looks names up.
"""

from clusterdns.plugins.hosts.directive import PLUGIN

__all__ = ["PLUGIN"]
