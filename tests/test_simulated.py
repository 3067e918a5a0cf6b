"""The simulated providers live up to their cards."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ofox_middleware.cards import ModelCard
from ofox_middleware.simulated import POOL, RETRY_AFTER_S, SLOW_FACTOR, SimulatedFailure, SimulatedModel, Simulation
from ofox_middleware.types import DOMAINS, Difficulty, Signals

ASK: list[dict[str, Any]] = [{"role": "user", "content": "What is the capital of France?"}]
IMAGE: list[dict[str, Any]] = [
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "What is this?"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
        ],
    }
]
TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}


class Fixed:
    """A classifier that finds everything equally hard."""

    def __init__(self, logit: float = 0.0, domain: str = "knowledge") -> None:
        shares = tuple(1.0 if name == domain else 0.0 for name in DOMAINS)
        self.difficulty = Difficulty(0.5, logit, shares)

    def classify(self, signals: Signals) -> Difficulty:
        return self.difficulty


class Clock:
    """A clock that moves when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def simulation(**options: Any) -> Simulation:
    """The demo's pool over a classifier that finds everything middling."""
    return Simulation(POOL, options.pop("classifier", Fixed()), **options)


def failure_of(sim: Simulation, name: str, messages: Any = ASK, **params: Any) -> SimulatedFailure:
    """The failure that a request must end in."""
    with pytest.raises(SimulatedFailure) as caught:
        sim.reply(name, messages, params)
    return caught.value


def test_an_answer_says_who_gave_it_and_whether_it_is_right() -> None:
    """The text names the model and the verdict, and comes in pieces that add up."""
    reply = simulation().reply("north/titan", ASK, {})
    text = "".join(reply.text)
    assert "north/titan" in text and ("right" if reply.right else "wrong") in text
    assert reply.completion_tokens == len(reply.text) > 10


def test_the_same_seed_gives_the_same_answers() -> None:
    """Answers and times are repeatable."""
    first, second = simulation(seed=3), simulation(seed=3)
    for name in ("north/titan", "pebble/mini"):
        assert first.reply(name, ASK, {}) == second.reply(name, ASK, {})


def test_abler_models_are_right_more_often_and_hard_prompts_less() -> None:
    """Over many prompts, the share of right answers follows ability less difficulty."""

    def share(name: str, logit: float) -> float:
        sim = simulation(classifier=Fixed(logit))
        asks = [[{"role": "user", "content": f"Question {number}?"}] for number in range(200)]
        return sum(sim.reply(name, ask, {}).right for ask in asks) / len(asks)

    assert share("north/titan", 0.0) > share("pebble/mini", 0.0) + 0.3
    assert share("north/titan", -4.0) > share("north/titan", 3.0) + 0.3


def test_ability_is_per_domain_where_the_card_says_so() -> None:
    """The coder is strong at code and middling elsewhere; domains it does not state take its mean."""
    coder = next(model for model in POOL if model.card.name == "gust/coder")

    def at(domain: str) -> float:
        return coder.ability([1.0 if name == domain else 0.0 for name in DOMAINS])

    assert at("code") > at("vision") > at("writing_chat")
    assert SimulatedModel(ModelCard(name="a/b")).ability([1.0] + [0.0] * 7) == pytest.approx(0.0)


def test_a_provider_that_is_down_takes_its_models_with_it() -> None:
    """Every model of the provider fails with 503; the others do not."""
    sim = simulation()
    sim.set_state("north", "down")
    assert failure_of(sim, "north/titan").status == failure_of(sim, "north/swift").status == 503
    assert sim.reply("river/oracle", ASK, {}).text
    sim.set_state("north", "up")
    assert sim.reply("north/titan", ASK, {}).text


def test_a_limited_provider_says_when_to_come_back() -> None:
    """A limited provider answers 429 with a time."""
    sim = simulation()
    sim.set_state("river", "limited")
    failure = failure_of(sim, "river/flash")
    assert (failure.status, failure.retry_after_s) == (429, RETRY_AFTER_S)


def test_a_slow_provider_takes_longer() -> None:
    """Slow multiplies the same draw of times."""
    usual, slow = simulation(seed=1), simulation(seed=1)
    slow.set_state("north", "slow")
    one, other = (sim.reply("north/titan", ASK, {}) for sim in (usual, slow))
    assert other.ttft_s == pytest.approx(one.ttft_s * SLOW_FACTOR)
    assert other.s_per_piece == pytest.approx(one.s_per_piece * SLOW_FACTOR)


def test_pace_scales_all_times() -> None:
    """Pace 0 answers at once."""
    reply = simulation(pace=0.0).reply("north/titan", ASK, {})
    assert reply.ttft_s == reply.s_per_piece == 0.0


def test_the_rate_limit_lets_a_minutes_worth_through() -> None:
    """The coder takes thirty requests in a minute and refuses the next until the first is a minute old."""
    clock = Clock()
    sim = simulation(clock=clock)
    for _ in range(30):
        sim.reply("gust/coder", ASK, {})
    assert failure_of(sim, "gust/coder").status == 429
    clock.now = 61.0
    assert sim.reply("gust/coder", ASK, {}).text


@pytest.mark.parametrize("name", ["river/oracle", "pebble/mini", "gust/coder"])
def test_models_without_vision_refuse_images(name: str) -> None:
    """An image to a model without vision is a 400."""
    assert failure_of(simulation(), name, IMAGE).status == 400


def test_models_with_vision_take_images() -> None:
    """An image to a model with vision is answered."""
    assert simulation().reply("river/flash", IMAGE, {}).text


def test_a_prompt_over_the_window_is_refused_in_the_usual_words() -> None:
    """LiteLLM and people recognise the message."""
    long = [{"role": "user", "content": "many words here " * 20_000}]
    failure = failure_of(simulation(), "pebble/mini", long)
    assert failure.status == 400 and "maximum context length" in failure.message


def test_tools_are_called_until_their_result_is_there() -> None:
    """A request with tools gets a call of the first; the next turn, with the result, gets a text."""
    sim = simulation()
    reply = sim.reply("north/swift", ASK, {"tools": [TOOL]})
    assert reply.tool_call == ("look_up", "{}") and not reply.text
    call = {"id": "1", "type": "function", "function": {"name": "look_up", "arguments": "{}"}}
    turn = [*ASK, {"role": "assistant", "tool_calls": [call]}, {"role": "tool", "tool_call_id": "1", "content": "x"}]
    assert sim.reply("north/swift", turn, {"tools": [TOOL]}).text
    assert sim.reply("north/swift", ASK, {"tools": [TOOL], "tool_choice": "none"}).text
    assert sim.reply("north/swift", ASK, {"tools": [{"type": "function"}]}).tool_call == ("tool", "{}")


def test_models_without_tools_refuse_them() -> None:
    """Tools to a model without them are a 400."""
    assert failure_of(simulation(), "pebble/mini", ASK, tools=[TOOL]).status == 400


def test_json_is_answered_with_json() -> None:
    """A request for JSON gets JSON."""
    reply = simulation().reply("north/swift", ASK, {"response_format": {"type": "json_object"}})
    assert json.loads("".join(reply.text))["model"] == "north/swift"


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
def test_the_output_limit_is_kept(field: str) -> None:
    """A limit of three tokens gives three pieces."""
    assert len(simulation().reply("north/swift", ASK, {field: 3}).text) == 3


def test_status_counts_calls_and_failures() -> None:
    """The status tells each provider's state, models, calls and failures."""
    sim = simulation()
    sim.reply("north/titan", ASK, {})
    sim.set_state("north", "down")
    failure_of(sim, "north/swift")
    assert sim.providers == ("north", "river", "pebble", "gust")
    assert sim.status()["north"] == {
        "state": "down", "models": ["north/titan", "north/swift"], "calls": 2, "failures": 1,
    }  # fmt: skip


def test_wrong_states_and_providers_are_refused() -> None:
    """A typo is an error and changes nothing."""
    sim = simulation()
    with pytest.raises(ValueError, match="up, down, slow, limited"):
        sim.set_state("north", "asleep")
    with pytest.raises(KeyError):
        sim.set_state("south", "down")
    assert sim.status()["north"]["state"] == "up"
