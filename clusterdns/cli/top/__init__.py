"""`clusterdns top`: what a running server is asked and answers, live in a terminal.

Reading order: `command` (flags, and one picture or a live one), `document` (a server's reply, checked and escaped),
`views` and its neighbours (a picture as tables), `screen` (the frame around a view), `follower` (asks in a thread),
`keys`, `terminal` (its modes and signals), `session` (the loop that has them all). `server.live` makes the document;
rich draws, and is imported where a picture is drawn.
"""
