"""Folders in shared memory: whose they are, who finds them, and who takes orphans away."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from asyncbridge.transport.leases import (
    DEFAULT_ROOT,
    Lease,
    Peering,
    new_name,
    root_folder,
    sweep,
    user_folder,
    wait_for_end,
)

HOLD = """
import sys
from asyncbridge.transport.leases import Lease
lease = Lease(sys.argv[1])
open("segment", "wb", opener=lambda path, flags: __import__("os").open(path, flags, dir_fd=lease.folder))
print(lease.name, flush=True)
sys.stdin.read()
"""


def folders(root: Path) -> list[str]:
    """Return the arenas in a root."""
    user = Path(user_folder(str(root)))
    return sorted(path.name for path in user.iterdir()) if user.exists() else []


def descriptors() -> set[str]:
    """Return this process's open descriptors, but for the listing's own."""
    return {path.name for path in Path("/proc/self/fd").iterdir() if path.exists()}


def dead_owner(root: Path) -> str:
    """Let a process make an arena, kill it, and return the arena's name."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as owner:
        assert owner.stdout is not None
        name = owner.stdout.readline().strip()
        owner.kill()
    return name


def test_a_folder_of_ones_own(tmp_path: Path) -> None:
    """Names are random; folders have mode 0700, the lease 0600."""
    lease = Lease(str(tmp_path))
    user = Path(user_folder(str(tmp_path)))
    assert re.fullmatch("[0-9a-f]{32}", lease.name)
    modes = [path.stat().st_mode & 0o777 for path in (user, user / lease.name)]
    assert modes == [0o700, 0o700]
    assert (user / lease.name / "lease").stat().st_mode & 0o777 == 0o600
    lease.release()


def test_a_release_leaves_nothing(tmp_path: Path) -> None:
    """Neither files nor folders nor descriptors, and the last one takes the user's folder along."""
    before = descriptors()
    one, two = Lease(str(tmp_path)), Lease(str(tmp_path))
    one.release()
    assert folders(tmp_path) == [two.name]
    two.release()
    assert list(tmp_path.iterdir()) == []
    assert descriptors() == before


def test_a_lease_that_is_garbage_is_an_orphan(tmp_path: Path) -> None:
    """Its descriptors go with it, and the next sweep takes the folder."""
    lease = Lease(str(tmp_path))
    name = lease.name
    del lease
    assert folders(tmp_path) == [name]
    sweep(str(tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_what_a_killed_process_leaves(tmp_path: Path) -> None:
    """The next lease in the same memory takes it away, and so does a release, or a sweep."""
    dead = dead_owner(tmp_path)
    assert folders(tmp_path) == [dead]
    lease = Lease(str(tmp_path))
    assert folders(tmp_path) == [lease.name]
    dead_owner(tmp_path)
    lease.release()
    assert list(tmp_path.iterdir()) == []
    dead_owner(tmp_path)
    sweep(str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_leaves_the_living_alone(tmp_path: Path) -> None:
    """A lease that is held is never taken, and files of others are not looked at."""
    lease = Lease(str(tmp_path))
    stranger = Path(user_folder(str(tmp_path)), "notes.txt")
    stranger.touch()
    sweep(str(tmp_path))
    assert folders(tmp_path) == sorted([lease.name, "notes.txt"])
    stranger.unlink()
    lease.release()


def test_waiting_for_an_end(tmp_path: Path) -> None:
    """An arena's end is waited for, for a while; one that is dead, or not there, is no matter."""
    root, looks = str(tmp_path), list[float]()
    lease = Lease(root)
    name = lease.name
    wait_for_end(root, name, sleep=looks.append)
    assert sum(looks) == pytest.approx(0.5)

    def end(seconds: float) -> None:
        looks.append(seconds)
        lease.release()

    looks.clear()
    wait_for_end(root, name, sleep=end)
    wait_for_end(root, name, sleep=looks.append)
    wait_for_end(root, dead_owner(tmp_path), sleep=looks.append)
    assert len(looks) == 1


def test_a_sweep_of_nothing(tmp_path: Path) -> None:
    """It makes no folder, and does not mind a root that is not there."""
    sweep(str(tmp_path))
    sweep(str(tmp_path / "none"))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_others_may_enter(tmp_path: Path) -> None:
    """It is refused: somebody else could have put it there."""
    user = Path(user_folder(str(tmp_path)))
    user.mkdir(mode=0o755)
    user.chmod(0o755)
    with pytest.raises(PermissionError, match="mode 755 is not yours alone"):
        Lease(str(tmp_path))


def test_a_link_in_the_folders_place(tmp_path: Path) -> None:
    """It is not followed."""
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    Path(user_folder(str(tmp_path))).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="Not a directory|symbolic links"):
        Lease(str(tmp_path))
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_peer_finds_it_and_its_proof(tmp_path: Path) -> None:
    """Whoever can tell what stands in the lease sees the same memory."""
    lease = Lease(str(tmp_path))
    peering = Peering(str(tmp_path), lease.name)
    assert peering.proof == lease.proof
    peering.close()
    lease.release()


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", "A" * 32, "0" * 31, "0" * 32])
def test_a_peer_that_is_not_there(tmp_path: Path, name: str) -> None:
    """A name is 32 hex digits, so it never leads out of the user's folder."""
    lease = Lease(str(tmp_path))
    with pytest.raises(OSError):
        Peering(str(tmp_path), name)
    lease.release()


def test_what_is_no_segment(tmp_path: Path) -> None:
    """Neither a link, nor a folder, nor a path is opened."""
    lease = Lease(str(tmp_path))
    folder = Path(user_folder(str(tmp_path)), lease.name)
    secret = tmp_path / "secret"
    secret.write_text("x")
    link, inner, plain = new_name(), new_name(), new_name()
    (folder / link).symlink_to(secret)
    (folder / inner).mkdir()
    (folder / plain).touch()
    peering = Peering(str(tmp_path), lease.name)
    os.close(peering.open(plain))
    for name in (link, inner, "lease", "../../secret", str(secret), new_name()):
        with pytest.raises(OSError):
            peering.open(name)
    assert peering.has(plain)
    assert not peering.has(new_name())
    (folder / inner).rmdir()
    peering.close()
    lease.release()


def test_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the system's shared memory, unless the variable names another folder."""
    monkeypatch.delenv("ASYNCBRIDGE_SHARED_MEMORY_FOLDER", raising=False)
    assert root_folder() == DEFAULT_ROOT
    monkeypatch.setenv("ASYNCBRIDGE_SHARED_MEMORY_FOLDER", "/elsewhere")
    assert root_folder() == "/elsewhere"
