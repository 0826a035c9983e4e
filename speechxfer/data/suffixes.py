"""What files that hold recordings are called."""

from __future__ import annotations

RECORDING_SUFFIXES = frozenset(
    ".3gp .aac .ac3 .aif .aiff .alaw .amr .ape .au .avi .caf .flac .gsm .m4a .m4b .mka .mkv .mov .mp1 .mp2 .mp3 .mp4 .mpeg .mpg "
    ".oga .ogg .opus .ra .sph .spx .ts .ulaw .voc .w64 .wav .weba .webm .wma .wv".split()
)
"""What is taken out of a directory, in small letters; a file that is named itself is tried whatever its name."""
