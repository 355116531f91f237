"""Values as Go's packages fmt and strconv print them: verbs and flags, floating-point numbers, quoted strings."""
