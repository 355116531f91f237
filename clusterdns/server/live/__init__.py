"""The live picture: what is asked and answered at present, collected while it has viewers.

`view` is what plugins see of it. Behind it `collector` runs while there are viewers, `observation` reads replies,
`change_log` words the cluster's changes, `rates` compares counters, `reasons` explains failures, and `picture` puts the
document together; `services` describes one Service.
"""
