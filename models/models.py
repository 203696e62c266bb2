"""Models, as ``keras.models`` names them.

https://keras.io/api/models/
"""

from __future__ import annotations

from asyncbridge.models.mirrors.model import Model, Sequential

__all__ = ["Model", "Sequential"]
