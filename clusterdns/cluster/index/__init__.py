"""The names of a cluster: from objects to records, in memory."""
