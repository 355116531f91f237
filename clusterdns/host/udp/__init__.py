"""UDP sockets: batches of datagrams in one system call, and the filter that the kernel runs on each datagram."""
