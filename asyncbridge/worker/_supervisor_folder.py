"""The worker's private folder: made, checked, removed.

Part of a program that uses the standard library alone; see ``supervisor.py``.
"""

# pathlib's import would cost a third of the supervisor's start.
# ruff: noqa: PTH100, PTH102, PTH108, PTH117, PTH118

from __future__ import annotations

import errno
import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FOLDER_BYTES = 103 - len("/worker.sock")
"""The longest folder path, in bytes, in which every system can bind a Unix socket."""
ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"


class Folder:
    """A folder that only this user can enter.

    Args:
        given: A folder to use and to leave; None makes a new one, to be removed.
        parent: Where to make the new one.
        sockets: Names of the sockets to remove from a given folder.

    Raises:
        OSError: It cannot be made, or the given one is open to other users.
    """

    def __init__(
        self, *, given: str | None = None, parent: str | None = None, sockets: Sequence[str] = ()
    ) -> None:
        self._made = given is None
        self._sockets = sockets
        self.path = make_folder(parent) if given is None else check_folder(given)
        self._inode = inode(self.path)

    def remove(self) -> None:
        """Remove the folder that was made, or the sockets from the one that was given."""
        if not self._made:
            for name in self._sockets:
                remove_socket(os.path.join(self.path, name))
        elif inode(self.path) == self._inode:  # still the same, and no link
            import shutil  # noqa: PLC0415 - here, since the start must be quick

            shutil.rmtree(self.path, ignore_errors=True)


def make_folder(parent: str | None) -> str:
    """Make a new private folder with a name that nobody can guess; return its path."""
    failure = OSError("there is no folder for temporary files")
    for candidate in usual_parents() if parent is None else (parent,):
        path = os.path.join(os.path.abspath(candidate), f"asyncbridge-{random_name()}")
        try:
            check_length(path)
            os.mkdir(path, 0o700)
        except OSError as error:
            failure = error
        else:
            return path
    raise failure


def usual_parents() -> Iterator[str]:
    """Yield the places to try: the user's own runtime folder, then those of `tempfile`."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if os.path.isabs(runtime) and is_private(runtime):
        yield runtime
    for name in ("TMPDIR", "TEMP", "TMP"):
        if value := os.environ.get(name):
            yield value
    yield "/tmp"  # noqa: S108 - the new folder is private and its name unguessable
    yield "/var/tmp"  # noqa: S108 - likewise


def check_length(path: str) -> None:
    """Refuse a folder in which the socket's path would be too long for a Unix socket."""
    if len(os.fsencode(path)) > FOLDER_BYTES:
        raise OSError(
            errno.ENAMETOOLONG,
            f"too long for a Unix socket by {len(os.fsencode(path)) - FOLDER_BYTES} bytes; "
            "give a shorter parent folder",
            path,
        )


def check_folder(path: str) -> str:
    """Return the absolute path of a private folder; refuse any other."""
    path = os.path.abspath(path)
    check_length(path)
    if not is_private(path):
        raise PermissionError(
            errno.EACCES, "not a folder of this user alone; make it so with `chmod 700`", path
        )
    return path


def is_private(path: str) -> bool:
    """Say whether the path is a real folder of this user that nobody else can enter."""
    try:
        found = os.lstat(path)
    except OSError:
        return False
    private = found.st_uid == os.getuid() and not found.st_mode & 0o077
    return stat.S_ISDIR(found.st_mode) and private


def inode(path: str) -> tuple[int, int] | None:
    """Return what stays the same for as long as the path means the same folder."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def remove_socket(path: str) -> None:
    """Remove the path if it is a socket."""
    try:
        if stat.S_ISSOCK(os.lstat(path).st_mode):
            os.unlink(path)
    except FileNotFoundError:
        pass


def random_name() -> str:
    """Return eight letters and digits that nobody can guess."""
    return "".join(ALPHABET[byte % len(ALPHABET)] for byte in os.urandom(8))
