"""Texts made of the table of commands and of their flags: completion scripts of shells, and man pages.

`pages` reads the table, `bash`, `zsh` and `fish` write scripts, `roff` writes pages; `completion` and `man` are the
commands. `kubectl_complete` is the program that kubectl asks. `--help` itself is written by `usage`.
"""
