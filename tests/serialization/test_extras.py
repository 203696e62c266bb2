from __future__ import annotations

import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest
from scipy import sparse

from asyncbridge.serialization import extras

ADAPTERS = """
import sys
from asyncbridge.errors import DecodeError
from asyncbridge.protocol.messages import Payload
from asyncbridge.serialization import decode, encode
from asyncbridge.serialization.extras import PACKAGES

assert not PACKAGES & set(sys.modules)
for package in PACKAGES:
    claims = type("Claims", (), {"__module__": package + ".core"})
    try:
        encode(claims())
    except TypeError:
        pass
assert not PACKAGES & set(sys.modules)
for package in PACKAGES:
    sys.modules[package] = None
for tag in ("sparse", "frame", "series", "index", "pd.NA", "arrow-table", "arrow-batch"):
    try:
        decode(Payload(header={"$": tag, "v": None}))
    except DecodeError as error:
        print(error)
"""


def test_a_package_is_imported_only_for_its_values() -> None:
    """A class that claims to be a package's imports nothing; without it the error says so."""
    done = subprocess.run(
        [sys.executable, "-c", ADAPTERS], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 7
    for line, package in zip(lines, ["scipy"] + ["pandas"] * 4 + ["pyarrow"] * 2, strict=True):
        assert line.startswith(f"value: a value of {package} came, which is not installed here: ")


@pytest.mark.parametrize("tag", [None, 1, [], "", "os", "scipy", "numpy"])
def test_only_tags_of_the_table_load_anything(tag: object) -> None:
    """No text of a peer's is the name of a module."""
    assert not extras.load_tag(tag)


def test_types_are_known_by_themselves() -> None:
    """A class with a known name is none of the package's."""
    assert extras.load_for(sparse.csr_matrix)
    assert not extras.load_for(type("csr_matrix", (), {"__module__": "scipy.sparse"}))
    assert extras.is_scalar(ml_dtypes.bfloat16)
    assert not extras.is_scalar(type("bfloat16", (), {}))
    assert not extras.is_scalar(np.float32)
    assert extras.advice(sparse.lil_matrix) == "send value.tocsr()"
    assert extras.advice(type("lil_matrix", (), {})) is None
