"""The directives of a Corefile: one entry per directive, a module or a package, and `order`, the order of the chain."""
