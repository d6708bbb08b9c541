"""The audio format: 44.1 kHz, stereo, 24-bit (docs/contract.md, section 3).

Letters: ``C`` channels (2, left first), ``T`` samples a channel.
"""
