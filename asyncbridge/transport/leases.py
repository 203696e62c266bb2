"""Folders of segments in shared memory: made, found by a peer, and taken away when orphaned.

Each user has one folder, and in it each arena one of its own, whose *lease* is a file that its
owner holds locked. The lock dies with the process, however that ends: a folder whose lease can
be locked is an orphan, and whoever comes across it takes it away. No process id is looked at.

This file uses the standard library alone: the supervisor, too, takes orphans away.
"""

# pathlib's import would cost a third of the supervisor's start.
# ruff: noqa: PTH102, PTH106, PTH116, PTH118

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import secrets
import stat
import time
import weakref

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator

__all__ = [
    "DEFAULT_ROOT",
    "FOLDER_VARIABLE",
    "LIMIT_VARIABLE",
    "Lease",
    "Peering",
    "root_folder",
    "sweep",
    "wait_for_end",
]

DEFAULT_ROOT = "/dev/shm"  # noqa: S108 - the system's shared memory
FOLDER_VARIABLE = "ASYNCBRIDGE_SHARED_MEMORY_FOLDER"
LIMIT_VARIABLE = "ASYNCBRIDGE_SHARED_MEMORY"
LEASE = "lease"
PROOF_BYTES = 32

_NAME = re.compile(r"[0-9a-f]{32}", re.ASCII)
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
_TRIES = 100
_LOOKS = 50
_LOOK_EVERY = 0.01


def root_folder() -> str:
    """Return the folder of shared memory: the variable's, else the system's."""
    return os.environ.get(FOLDER_VARIABLE) or DEFAULT_ROOT


def new_name() -> str:
    """Return a name that nobody can guess."""
    return secrets.token_hex(16)


def is_name(text: str) -> bool:
    """Tell whether a text is such a name, and so no path to anywhere else."""
    return _NAME.fullmatch(text) is not None


class Lease:
    """A new folder for one arena's segments, this process's own until it is released.

    A lease that is garbage before is an orphan, as after the end of its process.

    Attributes:
        name: The folder's name in the user's folder.
        proof: What stands in the lease; a peer that can tell it sees the same memory.
        folder: A descriptor of the folder.

    Raises:
        OSError: There is no such memory here, or the user's folder is not the user's own.
    """

    def __init__(self, root: str) -> None:
        self.root = root
        self.name = new_name()
        self.proof = new_name()
        with locked(root, make=True) as user:
            remove_orphans(user)
            os.mkdir(self.name, 0o700, dir_fd=user)
            self.folder = os.open(self.name, _FOLDER, dir_fd=user)
            closers = [weakref.finalize(self, os.close, self.folder)]
            lease = os.open(LEASE, _FILE | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=self.folder)
            closers.append(weakref.finalize(self, os.close, lease))
            fcntl.flock(lease, fcntl.LOCK_EX)
            os.write(lease, self.proof.encode())
        self._closers = closers

    def release(self) -> None:
        """Take the folder away, with all that is in it; what is mapped stays mapped."""
        with contextlib.suppress(OSError), locked(self.root) as user:
            remove_folder(user, self.name, self.folder)
            remove_orphans(user)
            remove_if_empty(self.root)
        for close in self._closers:
            close()


class Peering:
    """Another arena's folder, found by name in the memory that this process sees.

    Attributes:
        proof: What stands in its lease.
        folder: A descriptor of it.

    Raises:
        OSError: It is not here, or it is not the user's own.
    """

    def __init__(self, root: str, name: str) -> None:
        if not is_name(name):
            raise OSError(errno.EINVAL, "no name of an arena")
        user = os.open(user_folder(root), _FOLDER)
        try:
            check_private(user)
            self.folder = os.open(name, _FOLDER, dir_fd=user)
        finally:
            os.close(user)
        try:
            check_private(self.folder)
            self.proof = self._read_proof()
        except BaseException:
            os.close(self.folder)
            raise

    def _read_proof(self) -> str:
        lease = os.open(LEASE, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self.folder)
        try:
            return os.read(lease, PROOF_BYTES).decode("ascii", "replace")
        finally:
            os.close(lease)

    def open(self, segment: str) -> int:
        """Return a descriptor of a segment.

        Raises:
            OSError: There is none of that name, or it is no plain file of this user's.
        """
        if not is_name(segment):
            raise OSError(errno.EINVAL, "no name of a segment")
        found = os.open(segment, _FILE, dir_fd=self.folder)
        status = os.fstat(found)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.getuid():
            os.close(found)
            raise OSError(errno.EPERM, "no plain file of this user's")
        return found

    def has(self, segment: str) -> bool:
        """Tell whether a segment of that name is still there."""
        return os.access(segment, os.F_OK, dir_fd=self.folder, follow_symlinks=False)

    def close(self) -> None:
        """Let go of the folder."""
        os.close(self.folder)


def sweep(root: str) -> None:
    """Take away what dead processes have left; does nothing where there is nothing."""
    with contextlib.suppress(OSError), locked(root) as user:
        remove_orphans(user)
        remove_if_empty(root)


def wait_for_end(root: str, name: str, *, sleep: Callable[[float], object] = time.sleep) -> None:
    """Wait, half a second at most, until nobody holds an arena's lease; blocks.

    A process that dies closes its sockets and its lease one after another.
    """
    for _ in range(_LOOKS):
        try:
            folder = os.open(os.path.join(user_folder(root), name), _FOLDER)
        except OSError:
            return
        try:
            if is_orphan(folder):
                return
        finally:
            os.close(folder)
        sleep(_LOOK_EVERY)


def user_folder(root: str) -> str:
    """Return the path of this user's folder."""
    return os.path.join(root, f"asyncbridge-{os.getuid()}")


@contextlib.contextmanager
def locked(root: str, *, make: bool = False) -> Generator[int, None, None]:
    """Open the user's folder, and keep out others that make or remove arenas.

    Raises:
        OSError: It is not there, or is not this user's own.
    """
    path = user_folder(root)
    folder = open_locked(path, make=make)
    try:
        yield folder
    finally:
        os.close(folder)  # and with it the lock


def open_locked(path: str, *, make: bool) -> int:
    for _ in range(_TRIES):
        if make:
            with contextlib.suppress(FileExistsError):
                os.mkdir(path, 0o700)
        folder = -1
        try:
            folder = os.open(path, _FOLDER)
            check_private(folder)
            fcntl.flock(folder, fcntl.LOCK_EX)
            if is_at(folder, path):
                return folder
        except FileNotFoundError:
            if not make:
                raise
        except BaseException:
            if folder >= 0:
                os.close(folder)
            raise
        if folder >= 0:  # somebody has removed it meanwhile, because it was empty
            os.close(folder)
    raise OSError(errno.EAGAIN, f"{path} comes and goes")


def is_at(folder: int, path: str) -> bool:
    """Tell whether a path still leads to an open folder."""
    try:
        there = os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return False
    here = os.fstat(folder)
    return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)


def check_private(folder: int) -> None:
    """Refuse a folder that others could reach into.

    Raises:
        PermissionError: It belongs to another user, or others may enter it.
    """
    status = os.fstat(folder)
    if status.st_uid != os.getuid() or stat.S_IMODE(status.st_mode) & 0o077:
        raise PermissionError(
            errno.EPERM,
            f"the folder of user {status.st_uid} with mode {stat.S_IMODE(status.st_mode):o} is not "
            "yours alone",
        )


def remove_orphans(user: int) -> None:
    """Take away every arena in a locked user's folder whose process is dead."""
    for name in os.listdir(user):
        if not is_name(name):
            continue
        with contextlib.suppress(OSError):
            folder = os.open(name, _FOLDER, dir_fd=user)
            try:
                if is_orphan(folder):
                    remove_folder(user, name, folder)
            finally:
                os.close(folder)


def remove_if_empty(root: str) -> None:
    """Take the user's folder away, which is locked, unless other arenas are in it."""
    with contextlib.suppress(OSError):
        os.rmdir(user_folder(root))


def is_orphan(folder: int) -> bool:
    """Tell whether nobody holds the lease of an arena's folder."""
    try:
        lease = os.open(LEASE, _FILE, dir_fd=folder)
    except FileNotFoundError:  # it died while it made, or removed, the folder
        return True
    try:
        fcntl.flock(lease, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(lease)
    return True


def remove_folder(user: int, name: str, folder: int) -> None:
    """Take an arena's folder away, with all that is in it."""
    for segment in os.listdir(folder):
        os.unlink(segment, dir_fd=folder)
    os.rmdir(name, dir_fd=user)
