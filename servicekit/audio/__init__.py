"""Audio of this house: 44.1 kHz, stereo, 24-bit (CONTRACT 3).

Letters: ``C`` channels (2, left first), ``T`` samples a channel.
"""
