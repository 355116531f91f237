"""The calling convention between the server and its plugins: a query goes in, a reply comes out."""
