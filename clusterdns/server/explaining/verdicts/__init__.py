"""The cause of an answer in one line, and the next step: `table` has the causes in order, the others make them."""
