"""`clusterdns config`: the effective Corefile, with imports, snippets and variables replaced.

`writing` writes server blocks as a Corefile again, `origins` says where each line comes from, `command` reads and
prints.
"""
