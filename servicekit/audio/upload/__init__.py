"""Uploaded recordings: the header is checked first, then samples are read as 24-bit integers at 44100 Hz.

Taken: RIFF WAVE, RF64, Wave64, AIFF and AIFF-C with PCM of 8 to 32 bits or float of 32 or 64, and FLAC of up to 24 bits; mono
(doubled) or stereo; at 44100 Hz or, where the caller asks for a conversion, at another rate. Refused with InvalidAudio, each in its
own words: another file, another rate, more channels, another encoding, a file that ends before its samples do, no samples, too
many, and float samples that are NaN, infinite or beyond full scale.
"""

from servicekit.audio.upload.layout import Container, Encoding, UploadFormat, invalid_audio
from servicekit.audio.upload.reading import UploadReader, read_upload, read_upload_header

__all__ = [
    "Container",
    "Encoding",
    "UploadFormat",
    "UploadReader",
    "invalid_audio",
    "read_upload",
    "read_upload_header",
]
