"""Scores as Standard MIDI Files, written and read.

Reading order: smf, timing, instruments, writing, reading, arranging.
"""
