"""Hot reload: a changed file, a signal or a call takes on new settings whole, or not at all."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ofox_middleware.reload import Reloader
from ofox_middleware.router import SmartRouter
from ofox_middleware.settings import Settings

CARDS = """\
models:
  - {name: a/strong, ability: 0.9, input_cost_per_token: 1.0e-5, output_cost_per_token: 1.0e-5}
  - {name: b/weak, ability: 0.4, input_cost_per_token: 1.0e-7, output_cost_per_token: 1.0e-7}
"""
ASK = {"messages": [{"role": "user", "content": "Hello"}]}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration file in force."""
    path = tmp_path / "ofox.yaml"
    path.write_text(CARDS + "preference: quality\n")
    return path


@pytest.fixture
def router(config: Path) -> SmartRouter:
    return SmartRouter(Settings(config=config))


@pytest.fixture
def reloader(router: SmartRouter, config: Path) -> Iterator[Reloader]:
    """A reloader of the file that is stopped at the end."""
    made = Reloader(router, lambda: Settings(config=config), config, clock=lambda: 12.0)
    yield made
    made.stop()


def eventually(holds: Callable[[], bool]) -> bool:
    """Whether ``holds`` comes true while a thread works."""
    return any(holds() or threading.Event().wait(0.02) for _ in range(500))


def test_a_call_takes_on_what_is_written_now(router: SmartRouter, reloader: Reloader, config: Path) -> None:
    """The next request is decided by the new file, and the result names what changed, not its value."""
    assert router.decide(ASK).preference == "quality"
    config.write_text(CARDS + "preference: cost\nexclude: [a/strong]\n")
    result = reloader.reload()
    assert result.to_dict() == {
        "at": 12.0, "ok": True, "changed": ["preference", "exclude"], "needs_restart": [], "error": ""
    }  # fmt: skip
    assert reloader.last is result
    decided = router.decide(ASK)
    assert (decided.preference, decided.model) == ("cost", "b/weak")


def test_the_pool_is_replaced(router: SmartRouter, reloader: Reloader, config: Path) -> None:
    """A model that was added can be picked at once."""
    config.write_text(CARDS + "  - {name: c/new, ability: 0.99, input_cost_per_token: 1.0e-9}\n")
    assert reloader.reload().changed == ("models", "preference")
    assert [facts.name for facts in router.pool] == ["a/strong", "b/weak", "c/new"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (CARDS + "preference: fastest\n", "ofox.yaml:4: preference: unknown preference"),
        (CARDS + "preferense: cost\n", "ofox.yaml:4: preferense: is not a known field"),
        ("models: [", "ofox.yaml:1"),
        ("", "ofox.yaml: is empty"),
        ("models: ['no-such-provider/*']\n", "no known model matches"),
        (CARDS + "difficulty_weights: /nowhere/at/all.json\n", "difficulty_weights"),
    ],
)
def test_a_wrong_file_is_refused_whole(
    router: SmartRouter, reloader: Reloader, config: Path, text: str, said: str
) -> None:
    """Whatever is wrong with the new file, not one of its settings is taken on, and the message says where it is."""
    before, pool = router.settings, router.pool
    config.write_text(text)
    result = reloader.reload()
    assert not result.ok and said in result.error
    assert router.settings is before and router.pool is pool
    assert router.decide(ASK).preference == "quality"


def test_a_file_that_is_gone_is_refused(router: SmartRouter, reloader: Reloader, config: Path) -> None:
    """A configuration that vanished does not empty the pool."""
    config.unlink()
    assert reloader.reload_if_changed() is not None
    assert reloader.last is not None and "cannot be read" in reloader.last.error
    assert len(router.pool) == 2


def test_health_and_conversations_are_kept(router: SmartRouter, reloader: Reloader, config: Path) -> None:
    """What is known of the models, and who is on which, outlives a reload; so does a request under way."""
    for _ in range(5):
        router.health.record_failure("a/strong", status=500)
    lease = router.health.begin("b/weak")
    pinned = router.decide({**ASK, "model_routing_config": {"session_id": "s"}})
    config.write_text(CARDS + "preference: cost\n")
    reloader.reload()
    assert router.health.snapshot()["a/strong"]["state"] == "open"
    assert router.health.in_flight() == 1
    assert len(router.sessions) == 1 and router.sessions.get(pinned.session) is not None
    lease.succeed()
    assert router.health.in_flight() == 0


def test_what_only_a_restart_takes_on_is_named(reloader: Reloader, config: Path) -> None:
    """A setting that is read at the start alone is told apart, so that nobody waits for it."""
    config.write_text(CARDS + "preference: quality\nseed: 4\n")
    result = reloader.reload()
    assert (result.changed, result.needs_restart) == ((), ("seed",))


def test_an_unchanged_file_is_not_read(router: SmartRouter, config: Path) -> None:
    """Polling reads the file only when it is another one than before, also after a refusal."""
    reads = []

    def read() -> Settings:
        reads.append(1)
        return Settings(config=config)

    reloader = Reloader(router, read, config)
    assert reloader.reload_if_changed() is None and not reads
    config.write_text("preference: fastest\n")
    assert reloader.reload_if_changed() is not None
    assert reloader.reload_if_changed() is None and len(reads) == 1


def test_a_file_that_is_replaced_is_seen(reloader: Reloader, config: Path, tmp_path: Path) -> None:
    """Editors and Kubernetes put another file in place; that counts even when time and size are the same."""
    other = tmp_path / "new.yaml"
    other.write_text(config.read_text().replace("quality", "balance"))
    stamp = config.stat()
    os.utime(other, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    other.replace(config)
    assert reloader.reload_if_changed() is not None


def test_without_a_file_nothing_is_watched(router: SmartRouter) -> None:
    """Settings that come from variables alone are read again by a call or a signal, never by the clock."""
    reloader = Reloader(router, lambda: router.settings)
    assert reloader.reload_if_changed() is None
    assert reloader.reload().changed == ()


def test_the_thread_sees_a_change(router: SmartRouter, reloader: Reloader, config: Path) -> None:
    """A running reloader takes on a changed file without being asked."""
    reloader.start(poll_s=0.01)
    config.write_text(CARDS + "preference: cost\n")
    assert eventually(lambda: router.settings.preference == "cost")


def test_a_file_that_is_being_written_is_waited_for(router: SmartRouter, reloader: Reloader, config: Path) -> None:
    """What an editor has written by half is not taken on, although it would be valid."""
    reloader.start(poll_s=0.01)
    text, seen = CARDS + "preference: cost\n", set()
    config.write_text("")
    for cut in range(0, len(text), 20):
        config.write_text(text[:cut])
        seen.add(len(router.pool))
        threading.Event().wait(0.02)
    config.write_text(text)
    assert eventually(lambda: router.settings.preference == "cost")
    assert seen == {2}


def test_the_thread_survives_what_nobody_expected(
    router: SmartRouter, config: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A bug in reading does not end the watch: the next change is taken on."""
    broken = [True]

    def read() -> Settings:
        if broken.pop() if broken else False:
            raise RuntimeError("a bug")
        return Settings(config=config)

    reloader = Reloader(router, read, config)
    reloader.start(poll_s=0.01)
    try:
        config.write_text(CARDS + "preference: cost\n# one\n")
        assert eventually(lambda: not broken)
        config.write_text(CARDS + "preference: cost\n# two, longer\n")
        assert eventually(lambda: router.settings.preference == "cost")
    finally:
        reloader.stop()
    assert "a bug" in caplog.text


def test_a_hangup_reloads(router: SmartRouter, reloader: Reloader, config: Path) -> None:
    """SIGHUP, as for other servers, reads the configuration again."""
    before = signal.getsignal(signal.SIGHUP)
    try:
        reloader.start(poll_s=60)
        reloader.on_signal()
        config.write_text(CARDS + "preference: speed\n")
        os.kill(os.getpid(), signal.SIGHUP)
        assert eventually(lambda: router.settings.preference == "speed")
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_system_without_hangups_is_no_error(reloader: Reloader, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no SIGHUP, there is just no signal to reload with."""
    monkeypatch.delattr(signal, "SIGHUP")
    reloader.on_signal()


def test_requests_meet_one_configuration_or_the_other(router: SmartRouter, reloader: Reloader, config: Path) -> None:
    """While the file flips between two versions, every request is decided and none sees half of each."""
    seen = set()
    done = threading.Event()

    def flip() -> None:
        for turn in range(40):
            config.write_text(CARDS + f"preference: {'cost' if turn % 2 else 'quality'}\n")
            reloader.reload()
        done.set()

    thread = threading.Thread(target=flip)
    thread.start()
    while not done.is_set():
        seen.add(router.decide({**ASK, "model_routing_config": {"session_id": os.urandom(4).hex()}}).preference)
    thread.join()
    assert seen <= {"cost", "quality"}
