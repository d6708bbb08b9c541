"""Alembic migrations of the journal; `servicekit.journal.migrate` runs them. `env.py` is what Alembic loads first.

A file in `versions/` is a fixed record of one change: it imports nothing of this project, so that later changes of the code do not
change it. Its revision is the schema version, four digits, and every upgrade has a downgrade.
"""
