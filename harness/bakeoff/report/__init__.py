"""Records -> tables: what is equal goes to the caption, what differs becomes a column, what is doubtful is flagged.

`table` gathers rows, `facts` finds what is equal; `page` (Markdown) and `tidy` (CSV, JSON) write a
report down; `html` writes the page (`leaderboard`, `differences`, `views` are its parts, `charts` and `drawing` its
drawings); `beside` sets two experiments next to each other. Nothing here reads a file: `bakeoff.cli.table` does that.
"""
