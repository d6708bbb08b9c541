"""The procedural corpus: songs with exact event times, stems that sum to the mix, captions and personas.

Reading order: caption, persona, score, compose, song, store. The services must not import it.
"""
