"""The promise: an asyncio future that chains, that is shared, and that tells of its command.

``Promise`` stands in three files, each on the one before: ``handle.py`` is the future that a
command settles, ``combinators.py`` the class methods for several of them, and ``promise.py``
its chains and waiters. What those do is in ``reactions.py`` (chaining), ``combining.py`` and
``waiting.py``. What a command tells meanwhile is a ``log.py``, for any number of readers: of
``output.py``'s lines, or of ``progress.py``'s events. Only the standard library is imported, and no bridge is needed.
"""

from asyncbridge.promise.log import LogReader
from asyncbridge.promise.output import OutputLine
from asyncbridge.promise.progress import ProgressReader, WatchedPromise
from asyncbridge.promise.promise import Promise, Resolvers

__all__ = [
    "LogReader",
    "OutputLine",
    "ProgressReader",
    "Promise",
    "Resolvers",
    "WatchedPromise",
]
