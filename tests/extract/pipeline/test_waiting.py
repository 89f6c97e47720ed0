"""Work that waits: when it goes on, and that nothing of it is left."""

import pytest

from extract.pipeline.waiting import Waiting, at_once


def patient(name, ready, told, waits=1):
    """Tells when it begins, goes on and is closed."""
    told.append(f"{name} begins")
    try:
        for _ in range(waits):
            yield lambda: name in ready
            told.append(f"{name} goes on")
    finally:
        told.append(f"{name} leaves")
    return name


def test_alone_it_waits_for_nothing():
    told = []
    assert at_once(patient("a", (), told, waits=3)) == "a"
    assert told == ["a begins", *["a goes on"] * 3, "a leaves"]


def test_work_goes_on_when_it_is_ready_and_at_the_end():
    told, ended, ready = [], [], set()
    with Waiting() as waiting:
        for name in "abc":
            waiting.begin(patient(name, ready, told), ended.append)
        waiting.look()
        assert ended == []
        ready.add("b")
        waiting.look()
        assert ended == ["b"]
        waiting.begin(patient("d", ready, told, waits=0), ended.append)
        assert ended == ["b", "d"]
    assert ended == ["b", "d", "a", "c"]


def test_work_that_ends_may_ask_for_a_look_itself():
    told, ended, ready = [], [], {"a", "b", "c"}
    with Waiting() as waiting:

        def end(name):
            ended.append(name)
            waiting.look()

        for name in "abc":
            waiting.begin(patient(name, ready, told), end)
        waiting.look()
        assert sorted(ended) == ["a", "b", "c"]
    assert len(ended) == 3


def test_an_error_closes_what_waits():
    told, ended = [], []

    def run():
        with Waiting() as waiting:
            waiting.begin(patient("a", (), told), ended.append)
            raise KeyError

    with pytest.raises(KeyError):
        run()
    assert told == ["a begins", "a leaves"]
    assert ended == []


def test_an_error_at_the_end_closes_the_rest():
    def broken():
        yield lambda: False
        raise KeyError

    told, ended = [], []

    def run():
        with Waiting() as waiting:
            waiting.begin(broken(), ended.append)
            waiting.begin(patient("a", (), told), ended.append)

    with pytest.raises(KeyError):
        run()
    assert told == ["a begins", "a leaves"]
