"""Pipelines of samples in the worker."""

from __future__ import annotations

from asyncbridge.models.mirrors.remote import RemoteObject

__all__ = ["Dataset"]


class Dataset(RemoteObject):
    """A pipeline of samples in the worker, for ``fit``, ``evaluate`` and ``predict``."""

    keras_name = "tensorflow.data.Dataset"
