"""Training of the starter separator: a small HTDemucs on composed songs or recordings, some of them in a renderer's sound.

Reading order: net, solos, renderer_sound, data, crops, task, measure, publish, command.
"""
