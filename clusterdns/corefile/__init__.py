"""The Corefile: text to tokens to statements to server blocks, every error with its file and line.

`load` is the entry point: it reads files (`files`, `lexer`), replaces imports (`imports`) and parses the statements
(`parser`, `braces`, `keys`). Plugins read their directives with `directive`, `options`, `values` and `lenient`.
`checks` compares whole server blocks. What a directive means is not known here.
"""
