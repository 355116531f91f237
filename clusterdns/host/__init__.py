"""What is asked of the operating system: sockets, interfaces, files that change."""
