"""`clusterdns fmt`: a Corefile in the usual layout, its words and comments as they are.

`layout` writes the lines, `syntax` finds the mistakes that prevent it, `manifest` does both for the Corefiles in a YAML
file, `command` reads and writes files.
"""
