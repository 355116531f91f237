"""Files that outlive the process: replaced as a whole, and written where a hanging disk delays nothing."""
