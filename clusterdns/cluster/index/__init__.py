"""The index of a cluster in memory: objects in, records out.

Reading order: `schema` is the name grammar. `cluster` has the `Index`, which joins the objects; its parts: `slices` and
`service`, `pods`, `reverse` (by address) and `topology`. `zone` looks names up, with `apex` and `pointers`; `lookup`
has the result. `imports` and `external` are other kinds of zones; `listing` lists every record of a zone.
"""
