"""How a worker's end is told."""

from __future__ import annotations

from asyncbridge.errors import SentCommand, StateLost, WorkerLost, WorkerStartError


def test_start_up_banners_are_no_last_words() -> None:
    """They stay in the tail; where there is nothing else, nothing is quoted."""
    banners = (
        "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n"
        "I0000 00:00:1 7424 port.cc:153] oneDNN custom operations are on. You may see slightly "
        "different numerical results due to floating-point round-off errors.\n"
        "I0000 00:00:1 7424 cpu_feature_guard.cc:227] This TensorFlow binary is optimized to use "
        "available CPU instructions in performance-critical operations.\n"
        "To enable the following instructions: AVX2 FMA, rebuild TensorFlow.\n"
    )
    assert str(WorkerLost("ended", stderr_tail=banners)) == "ended (command phase: unknown)"
    lost = WorkerLost("ended", stderr_tail=f"{banners}epoch 41\n")
    assert str(lost).splitlines()[1:] == ["The worker's last words:", "  | epoch 41"]
    assert lost.stderr_tail.startswith("WARNING")


def test_lost_state_is_called_what_a_person_calls_it() -> None:
    """The names in the worker are there as data."""
    titles = {"qzx": "Dense(1), made at app.py:2"}
    lost = WorkerLost("it ended")
    error = StateLost.of(lost, ("qzx", "x"), told=lambda name: titles.get(name, repr(name)))
    assert str(error).startswith("it needs Dense(1), made at app.py:2, 'x', which was lost with")
    assert error.names == ("qzx", "x")
    assert "it needs what its code does not show" in str(StateLost.of(lost, ()))


def test_a_loss_is_told_of_a_command() -> None:
    """With how far that had come; what else is known of the loss stays."""
    lost = WorkerLost("it ended", signal="SIGKILL", journal=b"j")
    own = lost.at_phase("started", SentCommand(id=3, sent_from="app.py:7")).because("too long")
    assert str(own) == "it ended; too long (command 3, phase: started)"
    assert own.__notes__ == ["command 3 was sent from app.py:7"]
    assert (own.signal, own.journal, lost.command) == ("SIGKILL", b"j", None)


def test_a_worker_that_did_not_start_has_its_last_words() -> None:
    """In the text, and as data."""
    error = WorkerStartError("no backend", stderr_tail="boom\n")
    assert str(error).splitlines() == ["no backend", "The worker's last words:", "  | boom"]
    assert error.stderr_tail == "boom\n"
