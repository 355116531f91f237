"""What is known of a cluster, kept in a file for the next start, which may find the API server away.

Reading order: `contents` is a snapshot in memory, `format` its bytes, `keeper` loads and saves the file, `restoring`
fills an index from it, `metrics` shows its state. `plugins.kubernetes.snapshot` says when to load and what to save. A
snapshot never replaces the API server: its objects are the state from which the first lists make differences.
"""
