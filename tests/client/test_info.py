from __future__ import annotations

from dataclasses import fields

from asyncbridge.client.info import WorkerInfo

ANSWER = {
    "incarnation": "abc", "state": "ready", "pid": 7, "started_at": 1.5, "memory": 1024,
    "queued": 2, "queued_bytes": 3, "sessions": 1, "running": {"id": 4}, "backend": "jax",
    "versions": {"python": "3.12.0"}, "devices": ["gpu:0"], "transfers": None,
    "halted": [{"error_id": "abc-1"}],
}  # fmt: skip


def test_a_workers_answer_becomes_data() -> None:
    """Every field is taken; lists are tuples."""
    info = WorkerInfo.parse(ANSWER)
    for field in fields(WorkerInfo):
        if field.name not in ("devices", "halted"):
            assert getattr(info, field.name) == ANSWER[field.name]
    assert info.devices == ("gpu:0",)
    assert info.halted == ({"error_id": "abc-1"},)


def test_what_a_newer_worker_adds_is_left_out() -> None:
    """And what an older one does not send is None."""
    info = WorkerInfo.parse({**ANSWER, "novelty": 1})
    assert info == WorkerInfo.parse(ANSWER)
    assert WorkerInfo.parse({"incarnation": "abc"}).devices == ()
