"""HTTP for operators: the admin listeners, their TLS, and the exposition of metrics."""
