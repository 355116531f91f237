"""Why a name resolves or does not: a question asked through the running chain, and what decided about the answer.

Reading order: `explanation` (the result), `tracing` (the chain of a block, each of its handlers recorded), `asking`
(one question), `answer`, `objects`, `endpoints` and `pods` (what stands behind it), `findings` and `verdicts/` (the
cause and the next step), `changes`, `searching/` (what stub resolvers make of a short name), `engine`, which joins
them, and `page`, which serves them.
"""
