"""Training of the starter separator: demucs' own HTDemucs class, small, on the procedural corpus.

Reading order: net, song_cache, task, measure, publish, command.
"""
