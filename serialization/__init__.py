"""Values as bytes and back: an orjson header plus raw little-endian buffers, never pickle."""

if __name__ != "asyncbridge.serialization":
    raise ImportError(
        "this folder is imported as 'asyncbridge.serialization'; the repository's root is on "
        "sys.path, or the project is not installed"
    )

from asyncbridge.serialization.codec import MAX_DEPTH, decode, encode
from asyncbridge.serialization.frames import FRAME_VERSION, MAX_MESSAGES, pack, unpack
from asyncbridge.serialization.registration import serializable, serializes

__all__ = [
    "FRAME_VERSION",
    "MAX_DEPTH",
    "MAX_MESSAGES",
    "decode",
    "encode",
    "pack",
    "serializable",
    "serializes",
    "unpack",
]
