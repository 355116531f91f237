"""DNS servers that stand in for an upstream."""
