"""The `template` directive: records made from the question by a Go template.

Reading order: `directive` parses and builds, `fields` is what a template sees, `handler` answers.
"""

from clusterdns.plugins.template.directive import PLUGIN

__all__ = ["PLUGIN"]
