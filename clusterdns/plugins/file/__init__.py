"""The `file` directive: zones in master-file format (RFC 1035 §5), served as an authoritative server does.

Reading order: `directive` parses and builds, `zone` follows a zone file, `tree` looks names up, `handler` answers.
"""

from clusterdns.plugins.file.directive import PLUGIN

__all__ = ["PLUGIN"]
