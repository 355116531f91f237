"""The `hosts` directive: names and addresses from a file in the format of hosts(5).

Reading order: `directive` parses and builds, `settings` holds the parsed values, `hosts_file` follows the file, `table`
looks names up, `handler` answers.
"""

from clusterdns.plugins.hosts.directive import PLUGIN

__all__ = ["PLUGIN"]
