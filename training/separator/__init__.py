"""Training of the starter separator: a small HTDemucs on the procedural corpus or on recordings.

Reading order: net, task, measure, publish, command.
"""
