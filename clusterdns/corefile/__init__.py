"""The Corefile: text to tokens to server blocks and directives, every error with file and line.

Enter by `load`; plugins read with `directive`, `values` and `errors`. Nothing here knows what a directive means.
"""
