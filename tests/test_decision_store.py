"""The decision store: bounded SQLite, written from a thread, additive ledger, no prompt text unless asked for."""

from __future__ import annotations

import json
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ofox_middleware import decision_store
from ofox_middleware.cards import ModelCard
from ofox_middleware.decision import Decision, Outcome
from ofox_middleware.decision_file import default_path
from ofox_middleware.decision_store import DecisionStore, store_of
from ofox_middleware.errors import SettingsError
from ofox_middleware.redaction import REMOVED, redact
from ofox_middleware.router import SmartRouter
from ofox_middleware.savings import price
from ofox_middleware.settings import Settings
from tests.decision_tools import CHEAP, UNPRICED, answered, decision

SECRET = "sk-proj-abcdefghijklmnop1234567890"


@pytest.fixture
def store() -> Iterator[DecisionStore]:
    """A store in memory, with a clock that stands still."""
    with DecisionStore(clock=lambda: 86_400.0) as opened:
        yield opened


def settings(**more: object) -> Settings:
    return Settings(
        models=[ModelCard(name="a/b", ability=0.5, input_cost_per_token=1e-6, output_cost_per_token=1e-6)],
        **more,  # type: ignore[arg-type]
    )


ASK = {"messages": [{"role": "user", "content": f"My key is {SECRET}; why does my violet code fail?"}]}


# Entries -----------------------------------------------------------------------------------------------------------


def test_an_entry_is_found_by_its_id_with_its_outcome(store: DecisionStore) -> None:
    """A decision can be looked up from its id, before and after it ended, and reads see all earlier writes."""
    made = decision("one")
    store.decided(made)
    before = store.get("one")
    assert before is not None and before.outcome is None and before.at == 86_400.0
    assert before.decision == json.loads(json.dumps(made.to_dict()))
    store.ended(answered(made, ttft_s=0.2))
    after = store.get("one")
    assert after is not None and after.outcome is not None and after.outcome["ttft_s"] == 0.2
    assert store.get("two") is None


def test_an_entry_is_its_decision_with_how_it_ended(store: DecisionStore) -> None:
    """What was decided, when, how it ended and what was said of it are one flat piece of JSON."""
    made = decision("one")
    store.decided(made)
    outcome = answered(made, output_tokens=7, cost_usd=0.003)
    store.ended(outcome)
    assert store.feedback("one", 0.5)
    expected = {"at": 86_400.0, **made.to_dict(), "outcome": outcome.to_dict(), "feedback": 0.5}
    assert [entry.to_dict() for entry in store.recent()] == [json.loads(json.dumps(expected))]
    assert expected["outcome"]["attempts"] == ["river/oracle"]


def test_recent_is_newest_first_and_limited(store: DecisionStore) -> None:
    """``recent`` returns at most what was asked for; a negative limit is none."""
    for name in ("one", "two", "three"):
        store.decided(decision(name))
    assert [entry.decision["id"] for entry in store.recent(2)] == ["three", "two"]
    assert store.recent(-1) == []


def test_the_oldest_rows_are_forgotten_and_the_ledger_is_not() -> None:
    """The store never holds more rows than it may, and its savings still cover every request."""
    with DecisionStore(max_rows=3) as store:
        for number in range(10):
            made = decision(f"d{number}")
            store.decided(made)
            store.ended(answered(made))
            assert len(store) <= 3
        assert [entry.decision["id"] for entry in store.recent()] == ["d9", "d8", "d7"]
        assert store.savings().requests == 10


@pytest.mark.parametrize("options", [{"max_rows": 0}, {"max_pending": 0}])
def test_a_store_that_could_hold_nothing_is_refused(options: dict[str, int]) -> None:
    """Limits under 1 are a mistake."""
    with pytest.raises(ValueError, match="at least 1"):
        DecisionStore(**options)  # type: ignore[arg-type]


def test_a_decision_told_twice_is_one_row(store: DecisionStore) -> None:
    """The same id is never stored twice."""
    for _ in range(2):
        store.decided(decision("one"))
    assert len(store) == 1 and store.stats["failed"] == 0


def test_feedback_is_kept_with_its_decision(store: DecisionStore) -> None:
    """Feedback goes to the decision that it names, can be corrected, and is refused for an unknown one."""
    store.decided(decision("one"))
    assert store.feedback("one", 0.25) and store.feedback("one", 1.0)
    entry = store.get("one")
    assert entry is not None and entry.feedback == 1.0
    assert not store.feedback("none", 1.0)


def test_the_export_is_json_lines_oldest_first(store: DecisionStore) -> None:
    """Every entry is one line of JSON, also over page boundaries and while writing goes on."""
    for number in range(5):
        store.decided(decision(f"d{number}"))
    lines = []
    for line in store.export(page=2):
        lines.append(json.loads(line))
        if len(lines) == 1:
            store.decided(decision("late"))
    assert [line["id"] for line in lines] == ["d0", "d1", "d2", "d3", "d4", "late"]


# The ledger --------------------------------------------------------------------------------------------------------


def test_the_ledger_is_the_sum_of_its_requests(store: DecisionStore) -> None:
    """Priced requests add up, by model and over all, signs included; unpriced ones are counted; failed ones are not."""
    outcomes = [answered(decision("one")), answered(decision("two"), "pebble/mini", output_tokens=900)]
    failed = decision("four")
    others = [answered(decision("three", UNPRICED, CHEAP)), Outcome(failed, failed.model, False, 502, (failed.model,))]
    for outcome in (*outcomes, *others):
        store.decided(outcome.decision)
        store.ended(outcome)
    rows = [priced for outcome in outcomes if (priced := price(outcome))]
    ledger = store.savings()
    assert (ledger.requests, ledger.unpriced) == (2, 1)
    for name in ("spent_usd", "strongest_usd", "cheapest_usd"):
        assert getattr(ledger, name) == pytest.approx(sum(getattr(row, name) for row in rows))
    assert ledger.by_model == {
        "river/oracle": (1, pytest.approx(rows[0].spent_usd)),
        "pebble/mini": (1, pytest.approx(rows[1].spent_usd)),
    }
    assert ledger.against_cheapest_usd < 0 < ledger.against_strongest_usd


def test_an_outcome_told_twice_counts_once(store: DecisionStore) -> None:
    """A door that reports one request twice does not double the ledger."""
    made = decision("one")
    store.decided(made)
    store.ended(answered(made))
    store.ended(answered(made))
    assert store.savings().requests == 1


def test_a_request_whose_row_was_forgotten_still_counts(store: DecisionStore) -> None:
    """An outcome that comes after its decision has left the store is entered in the ledger."""
    store.ended(answered(decision("long gone")))
    assert store.savings().requests == 1 and len(store) == 0


def test_a_failed_request_is_noted_and_saves_nothing(store: DecisionStore) -> None:
    """A failure is in its row and not in the ledger."""
    made = decision("one")
    store.decided(made)
    store.ended(Outcome(made, made.model, False, 502, (made.model,)))
    entry = store.get("one")
    assert entry is not None and entry.outcome is not None and entry.outcome["status"] == 502
    assert store.savings().requests == 0


def test_two_stores_on_one_file_add_up(tmp_path: Path) -> None:
    """Workers that share a file share its ledger, and each sees the others' decisions."""
    path = tmp_path / "d.sqlite3"
    with DecisionStore(path) as first, DecisionStore(path) as second:
        for store, name in ((first, "one"), (second, "two")):
            made = decision(name)
            store.decided(made)
            store.ended(answered(made))
            store.savings()
        assert first.savings().requests == second.savings().requests == 2
        assert first.get("two") is not None


# The file and the thread -------------------------------------------------------------------------------------------


def test_the_file_outlives_the_process_and_is_private(tmp_path: Path) -> None:
    """What was written is there after a restart, in a file that only its owner can read."""
    path = tmp_path / "state" / "d.sqlite3"
    with DecisionStore(path) as store:
        store.decided(decision("one"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    with DecisionStore(path) as again:
        assert again.get("one") is not None


def test_events_are_written_by_a_thread_without_a_reader(tmp_path: Path) -> None:
    """The writer puts events on the disk by itself, off the thread that reports them."""
    path = tmp_path / "d.sqlite3"
    with DecisionStore(path) as store:
        store.decided(decision("one"))
        names = [thread.name for thread in threading.enumerate()]
        assert "ofox-decisions" in names
        for _ in range(200):
            if store.stats["written"]:
                break
            threading.Event().wait(0.05)
        with sqlite3.connect(path) as other:
            assert other.execute("SELECT id FROM decisions").fetchall() == [("one",)]
        other.close()


def test_a_writer_without_work_ends_and_the_next_event_starts_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """An idle store holds no thread, and loses nothing by it."""
    monkeypatch.setattr(decision_store, "IDLE_S", 0.02)
    monkeypatch.setattr(decision_store, "BATCH_S", 0.01)
    with DecisionStore() as store:
        for number in range(3):
            store.decided(decision(f"d{number}"))
            writer = store._writer
            assert writer is None or writer.join(timeout=10) is None
        assert len(store) == 3 and store._writer is None


def test_a_full_queue_drops_and_counts() -> None:
    """When the disk cannot keep up, the request path does not wait: events are dropped and counted."""
    with DecisionStore(max_pending=2) as store:
        with store._lock:  # as if the disk were busy
            store._writer = threading.current_thread()
            for number in range(5):
                store.decided(decision(f"d{number}"))
            store._writer = None
        assert store.stats["dropped"] == 3
        assert [entry.decision["id"] for entry in store.recent()] == ["d1", "d0"]


def test_a_failing_disk_is_counted_and_survived(store: DecisionStore, caplog: pytest.LogCaptureFixture) -> None:
    """A write that fails is logged and counted, and the store goes on."""
    store._db.execute("DROP TABLE decisions")
    store.decided(decision("one"))
    assert store.savings().requests == 0
    assert store.stats["failed"] == 1 and "could not be written" in caplog.text


def test_a_closed_store_drops_what_comes_late() -> None:
    """An observer that is told after the end does not raise, and closing twice is closing once."""
    store = DecisionStore()
    store.decided(decision("one"))
    store.close()
    store.close()
    store.decided(decision("two"))
    assert store.stats == {"written": 1, "dropped": 1}


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    """Someone else's file is left as it is, and the message names it."""
    path = tmp_path / "notes.txt"
    path.write_text("not a database " * 100)
    with pytest.raises(SettingsError, match=r"notes\.txt: cannot be used"):
        DecisionStore(path)
    assert path.read_text().startswith("not a database")


def test_a_file_of_another_version_is_refused(tmp_path: Path) -> None:
    """A schema that this version does not know is not touched."""
    path = tmp_path / "d.sqlite3"
    other = sqlite3.connect(path)
    other.execute("PRAGMA user_version = 99")
    other.close()
    with pytest.raises(SettingsError, match="schema 99"):
        DecisionStore(path)


def test_a_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    """A path through a file is a clear message."""
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="cannot be used"):
        DecisionStore(tmp_path / "file" / "d.sqlite3")


def test_a_store_follows_a_fork(tmp_path: Path) -> None:
    """Servers fork after the app is built: a child writes by a connection of its own, and both ledgers add up."""
    code = """
import os, sys
from ofox_middleware import Settings, SmartRouter
from ofox_middleware.decision_file import default_path
from ofox_middleware.decision_store import DecisionStore
from ofox_middleware.cards import ModelCard
from ofox_middleware.decision import Decision, Outcome
card = ModelCard(name="a/b", input_cost_per_token=1e-6, output_cost_per_token=1e-6)
router = SmartRouter(Settings(models=[card]))
store = DecisionStore(sys.argv[1])
router.subscribe(store)
child = os.fork()
made = router.decide({"messages": [{"role": "user", "content": "Hi"}]})
router.report(Outcome(made, made.model, True, 200, (made.model,), 0.1, 0.2, 10))
if child:
    assert os.waitpid(child, 0)[1] == 0
assert store.get(made.id) is not None
store.close()
"""
    path = tmp_path / "d.sqlite3"
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)
    with DecisionStore(path) as both:
        assert len(both) == 2 and both.savings().requests == 2


def test_doors_share_the_store_of_a_router(tmp_path: Path) -> None:
    """``decision_log`` opens one store per router, and none when it is not set."""
    assert store_of(SmartRouter(settings())) is None
    router = SmartRouter(settings(decision_log=tmp_path / "d.sqlite3"))
    opened = store_of(router)
    assert opened is not None and store_of(router) is opened
    made = router.decide(ASK)
    entry = opened.get(made.id)
    assert entry is not None and entry.ask is None
    opened.close()


def test_the_default_place_is_the_state_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Decisions go where the system keeps state: ``XDG_STATE_HOME``, or its default."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert default_path() == tmp_path / "ofox" / "decisions.sqlite3"
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_path() == tmp_path / ".local" / "state" / "ofox" / "decisions.sqlite3"


# Prompts -----------------------------------------------------------------------------------------------------------


def test_no_prompt_text_reaches_the_file_by_default(tmp_path: Path) -> None:
    """Without ``log_prompts`` no byte of the prompt is anywhere in the database's files."""
    with DecisionStore(tmp_path / "d.sqlite3") as store:
        router = SmartRouter(settings())
        router.subscribe(store)
        chosen = router.decide(ASK)
        router.report(Outcome(chosen, "a/b", True, 200, ("a/b",)))
        assert store.recent()[0].ask is None
        written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert chosen.id.encode() in written
    assert b"violet" not in written and SECRET.encode() not in written


def test_prompts_are_kept_redacted_when_asked_for(store: DecisionStore) -> None:
    """With ``log_prompts`` the ask is kept, bounded, and without keys."""
    router = SmartRouter(settings(log_prompts=True))
    router.subscribe(store)
    router.decide(ASK)
    ask = store.recent()[0].to_dict()["ask"]
    assert "violet" in ask and SECRET not in ask and REMOVED in ask
    router.decide({"messages": [{"role": "user", "content": "\ud800 " + "long " * 5000}]})
    assert len(store.recent(1)[0].to_dict()["ask"]) <= decision_store.LONGEST_ASK


def test_an_observer_that_does_not_know_asks_is_left_alone() -> None:
    """Observers without ``asked`` work as before when prompts are logged."""

    class Counting:
        decisions = 0

        def decided(self, decision: Decision) -> None:
            self.decisions += 1

        def ended(self, outcome: Outcome) -> None: ...

    router, counting = SmartRouter(settings(log_prompts=True)), Counting()
    router.subscribe(counting)
    router.decide(ASK)
    assert counting.decisions == 1 and router.stats["observer_error"] == 0


@pytest.mark.parametrize(
    "secret",
    [
        SECRET,
        "sk-ant-api03-abcdefghijklmnopqrstuvwxyz",
        "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
        "AKIAIOSFODNN7EXAMPLE",
        "AIzaSyA1234567890abcdefghijklmnopqrstuv",
        "xoxb-123456789012-abcdefghij",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
        "hf_abcdefghijklmnopqrstuvwx",
        "Q2xhc3NpZmllZERvY3VtZW50MTIzNDU2Nzg5MA==",
    ],
)
def test_credentials_of_many_makers_are_taken_out(secret: str) -> None:
    """What looks like a key does not survive, wherever it stands in the text."""
    for text in (secret, f"use {secret} please", f'{{"key":"{secret}"}}', f"({secret})", f"https://x/?k={secret}&b=1"):
        assert secret not in redact(text)


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("password: hunter2hunter", "hunter2hunter"),
        ("Authorization: Bearer abcdef12345", "abcdef12345"),
        ('"api_key": "1234-abcd-5678"', "1234-abcd-5678"),
        ("my password is tr0ub4dor&3", "tr0ub4dor&3"),
        ("postgres://ann:s3cret-word@db/x", "s3cret-word"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc\n-----END RSA PRIVATE KEY-----", "MIIE"),
    ],
)
def test_named_credentials_are_taken_out(text: str, secret: str) -> None:
    """What is called a password or a key is taken out, whatever it looks like."""
    assert secret not in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "What is the capital of France?",
        "How do I keep a token secret from users of my API?",
        "sum(range(10)) == 45 and str(12345678901234567890)",
        "Перевод: пароль забыт",
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    """Text without credentials is left as it is."""
    assert redact(text) == text
