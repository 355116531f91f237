"""The `file` directive: zones in master-file format (RFC 1035 §5), served as an authoritative server does.

Reading order: `directive` parses and builds, `settings` holds the parsed values, `zones` are the zones of one block,
`zone` follows one zone file, `content` and `hierarchy` check its records, `tree` looks names up, `handler` answers.
"""

from clusterdns.plugins.file.directive import PLUGIN

__all__ = ["PLUGIN"]
