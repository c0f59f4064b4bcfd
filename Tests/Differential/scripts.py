"""Programs written out: what chance seldom meets, and what once differed."""

# (title, kind that has to be on, program)
SCRIPTS = []
