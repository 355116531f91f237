"""`clusterdns fmt`: a Corefile in the usual layout, its words and comments as they are.

`layout` writes the lines, `syntax` finds the mistakes that prevent it, `command` reads and writes files.
"""
