"""The end of a conversation: the last human ask, and how an agent's work is going since."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ofox_middleware.harness import ASK_CHARS
from ofox_middleware.trajectory import (
    CONTEXT_CHARS,
    MAX_STREAK,
    Recent,
    read_opening,
    read_recent,
    read_system,
    system_text,
)

REMINDER = "<system-reminder>\nDo not mention this.\n</system-reminder>"


def human(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def assistant(text: str = "done") -> dict[str, Any]:
    return {"role": "assistant", "content": text}


# One step of an agent's work - a call and its result - in each protocol.


def chat_step(arguments: dict[str, Any], result: str) -> list[dict[str, Any]]:
    call = {"id": "c", "type": "function", "function": {"name": "run", "arguments": json.dumps(arguments)}}
    return [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": result},
    ]


def messages_step(arguments: dict[str, Any], result: str) -> list[dict[str, Any]]:
    return [
        {"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "run", "input": arguments}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": result}]},
    ]


def responses_step(arguments: dict[str, Any], result: str) -> list[dict[str, Any]]:
    return [
        {"type": "function_call", "call_id": "c", "name": "run", "arguments": json.dumps(arguments)},
        {"type": "function_call_output", "call_id": "c", "output": result},
    ]


STEPS = [chat_step, messages_step, responses_step]
every_protocol = pytest.mark.parametrize("step", STEPS, ids=["chat", "messages", "responses"])


# The ask and its context


@every_protocol
def test_the_ask_is_the_humans_through_a_long_tool_loop(step: Any) -> None:
    """Sixty tool turns later the ask is still what the human said, and the loop is known."""
    items = [human("Make the tests pass")]
    for number in range(60):
        items += step({"n": number}, f"output {number}")
    recent = read_recent(items)
    assert recent.ask == "Make the tests pass"
    assert recent.in_tool_loop
    assert recent.context == ""


def test_context_is_what_a_human_said_before() -> None:
    """A follow-up comes with the tail of the ask before it."""
    recent = read_recent([human("x" * 600 + " about Rome"), assistant(), human("and in winter?")])
    assert recent.ask == "and in winter?"
    assert recent.context.endswith("about Rome")
    assert len(recent.context) == CONTEXT_CHARS


def test_context_is_looked_for_within_reach_only() -> None:
    """An ask hundreds of messages behind the last one is no context of it."""
    far = [human("old"), *(assistant(str(number)) for number in range(1000)), human("new")]
    assert read_recent(far).context == ""
    assert read_recent([human("old"), *[assistant()] * 100, human("new")]).context == "old"


def test_client_text_in_the_last_message_is_not_the_ask() -> None:
    """When a client wrote the last user message, the human's ask is found further back."""
    items = [human("Sort the imports"), assistant(), human(REMINDER), {"role": "system", "content": "be brief"}]
    assert read_recent(items).ask == "Sort the imports"


def test_no_human_no_ask() -> None:
    """A request without a human's words has no ask."""
    for items in (
        [],
        [human("")],
        [{"role": "user", "content": None}],
        [human(REMINDER)],
        [assistant()],
        [{"role": "system", "content": "x"}],
    ):
        assert read_recent(items) == Recent()


def test_parts_of_one_message_are_one_ask() -> None:
    """The human's parts are joined, a client's parts left out."""
    parts = [{"type": "text", "text": text} for text in (REMINDER, "First this.", REMINDER, "Then that.")]
    assert read_recent([{"role": "user", "content": parts}]).ask == "First this.\nThen that."


def test_a_message_of_many_parts_is_read_at_its_ends() -> None:
    """Of ten thousand parts the first and the last are read."""
    parts = [{"type": "text", "text": f"part {number}."} for number in range(10_000)]
    ask = read_recent([{"role": "user", "content": parts}]).ask
    assert ask.startswith("part 0.")
    assert ask.endswith("part 9999.")
    assert len(ask) <= ASK_CHARS


def test_bare_strings_among_the_parts_are_read() -> None:
    """Clients that send strings as parts are understood."""
    assert read_recent([{"role": "user", "content": ["one", "two"]}]).ask == "one\ntwo"


def test_a_picture_without_words_ends_the_work_but_is_no_ask() -> None:
    """A human's picture is a human's turn: the ask is the last one in words, and no tool loop goes on."""
    image = {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}}
    items = [human("Describe what I send"), *chat_step({}, "error: no"), {"role": "user", "content": [image]}]
    recent = read_recent(items)
    assert recent.ask == "Describe what I send"
    assert not recent.in_tool_loop
    assert recent.tool_errors == 0


def test_a_picture_beside_a_tool_result_is_the_tools() -> None:
    """A screenshot that a client puts beside a result does not end the loop."""
    result = {"type": "tool_result", "tool_use_id": "c", "content": "ok"}
    image = {"type": "image", "source": {"type": "url", "url": "https://x.test/a.png"}}
    recent = read_recent([human("Book a table"), {"role": "user", "content": [result, image]}])
    assert recent.ask == "Book a table"
    assert recent.in_tool_loop


def test_the_search_for_an_ask_gives_up() -> None:
    """Thousands of messages without a human's word are not searched for ever; then the conversation's first counts."""
    noise = [human(f"{REMINDER} ")] * 5000
    assert read_recent([human("first"), *noise]).ask == "first"
    assert read_recent([*noise[:100], human("lost"), *noise]).ask == ""
    assert read_recent([human("first"), *noise, human("second"), *noise[:900]]).ask == "second"


# The tool loop


@every_protocol
def test_a_result_at_the_end_is_a_loop_and_an_answer_is_not(step: Any) -> None:
    """In the middle of its work the model has a tool's result to go on; after its answer or a new ask it has not."""
    work = [human("go"), *step({}, "ok")]
    assert read_recent(work).in_tool_loop
    assert not read_recent([*work, assistant()]).in_tool_loop
    assert not read_recent([*work, assistant(), human("thanks")]).in_tool_loop
    assert not read_recent([*work, human("no, stop")]).in_tool_loop


@every_protocol
def test_client_text_behind_a_result_does_not_end_the_loop(step: Any) -> None:
    """A reminder or a system message behind the result leaves the model in the middle of its work."""
    items = [human("go"), *step({}, "ok"), {"role": "system", "content": "note"}, human(REMINDER)]
    assert read_recent(items).in_tool_loop


def test_a_reminder_within_the_result_message_does_not_end_the_loop() -> None:
    """Claude Code puts reminders beside results."""
    parts = [{"type": "tool_result", "tool_use_id": "c", "content": "ok"}, {"type": "text", "text": REMINDER}]
    recent = read_recent([human("go"), {"role": "user", "content": parts}])
    assert recent.in_tool_loop
    assert recent.ask == "go"


def test_a_humans_words_beside_a_result_are_the_ask() -> None:
    """A human who speaks up during the work is heard, and the loop goes on."""
    parts = [{"type": "tool_result", "tool_use_id": "c", "content": "ok"}, {"type": "text", "text": "use tabs"}]
    recent = read_recent([human("go"), {"role": "user", "content": parts}])
    assert recent.in_tool_loop
    assert recent.ask == "use tabs"
    assert recent.context == "go"


def test_cline_results_are_a_loop() -> None:
    """Results that travel as text are results: the ask is found behind them, a reply inside them is the human's."""
    result = [
        {"type": "text", "text": "[read_file for 'a.py'] Result:"},
        {"type": "text", "text": "import os"},
        {"type": "text", "text": "<environment_details>x</environment_details>"},
    ]
    items = [human("<task>\nfix a.py\n</task>"), assistant("<read_file>"), {"role": "user", "content": result}]
    assert read_recent(items).ask == "fix a.py"
    assert read_recent(items).in_tool_loop
    result[1]["text"] = "The user replied:\n<feedback>\nfix b.py\n</feedback>"
    assert read_recent(items).ask == "fix b.py"


# Failing tools


@pytest.mark.parametrize(
    "output",
    [
        "Error: file not found",
        "error: unknown option",
        "TypeError: unsupported operand",
        "requests.exceptions.ConnectionError: refused",
        "java.lang.IllegalStateException: closed",
        "Traceback (most recent call last):\n  File",
        "<tool_use_error>File has not been read yet.</tool_use_error>",
        "[ERROR] permission denied",
        "fatal: not a git repository",
        "An error occurred while running the tool. Please try again.",
        "Exit code: 2\nOutput:\nmake: *** no rule",
        "Exit code 1\nnpm ERR!",
        "Process exited with code 127",
        "Chunk ID: 5f\nWall time: 0.2 seconds\nProcess exited with code 1",
        "Command timed out after 120 s",
        "Tool execution failed: timeout",
        '{"error": "no such user"}',
        '{"error":{"code":5}}',
        '{"isError": true, "content": []}',
        '{"success": false, "reason": "x"}',
        '{"output":"make: error","metadata":{"exit_code":2,"duration_seconds":0.1}}',
        "<returncode>1</returncode>\n<output>\n</output>",
        "[execute_command for 'make'] Result:\n\nThe tool execution failed with the following error:",
        "\n\n  Error: x",
    ],
)
def test_failing_outputs_are_known(output: str) -> None:
    """Common ways in which tools and agents say that a call failed are recognised at the start of the output."""
    assert read_recent([human("go"), *chat_step({}, output)]).tool_errors == 1


@pytest.mark.parametrize(
    "output",
    [
        "",
        "ok",
        "The error handling guide: always log.",
        "errors.py\nmain.py",
        "0 errors, 0 warnings",
        '{"error": null, "data": 1}',
        '{"error": false}',
        '{"errors": []}',
        '{"success": true}',
        "Exit code: 0\nOutput:\ndone",
        '{"output":"fine","metadata":{"exit_code":0}}',
        "<returncode>0</returncode>",
        "x" * 500 + "Error: late",
    ],
)
def test_other_outputs_are_not_failures(output: str) -> None:
    """Outputs that merely mention errors are not failures."""
    assert read_recent([human("go"), *chat_step({}, output)]).tool_errors == 0


@pytest.mark.parametrize(
    "item",
    [
        {"role": "user", "content": [{"type": "tool_result", "is_error": True, "content": "x"}]},
        {"role": "user", "content": [{"type": "tool_result", "content": [{"type": "text", "text": "Error: x"}]}]},
        {"role": "tool", "content": "x", "is_error": True},
        {"role": "tool", "content": "x", "status": "error"},
        {"role": "tool", "content": [{"type": "text", "text": "Error: x"}]},
        {"type": "function_call_output", "output": [{"type": "input_text", "text": "Error: x"}]},
    ],
)
def test_failures_are_known_by_flag_and_by_part(item: dict[str, Any]) -> None:
    """A protocol's own flag counts, and so does the first text part of an output in parts."""
    assert read_recent([human("go"), item]).tool_errors == 1


@every_protocol
def test_only_the_failures_at_the_end_count(step: Any) -> None:
    """A success ends the row of failures, and so does the human ask before them."""
    bad, good = step({"a": 1}, "Error: x"), step({"a": 2}, "ok")
    assert read_recent([human("go"), *bad, *good, *bad, *bad]).tool_errors == 2
    assert read_recent([human("go"), *bad, *good]).tool_errors == 0
    assert read_recent([human("go"), *bad, assistant(), human("again"), *bad]).tool_errors == 1
    assert read_recent([human("go"), *bad, assistant(), human("again")]).tool_errors == 0
    assert read_recent([human("first"), *bad, *bad, human("again")]).context == "first"


def test_parallel_results_count_in_order() -> None:
    """Several results in one message are judged from the last one back."""
    fine, broken = ({"type": "tool_result", "content": "ok"}, {"type": "tool_result", "content": "", "is_error": True})
    assert read_recent([human("go"), {"role": "user", "content": [fine, broken, broken]}]).tool_errors == 2
    assert read_recent([human("go"), {"role": "user", "content": [broken, fine]}]).tool_errors == 0


@every_protocol
def test_failures_go_on_where_repetition_ends(step: Any) -> None:
    """The two rows are counted apart: different calls may fail one after the other."""
    failing = [item for number in (1, 2, 3, 3) for item in step({"n": number}, "Error: x")]
    recent = read_recent([human("go"), *failing])
    assert (recent.tool_errors, recent.repeated_calls) == (4, 2)


@every_protocol
def test_streaks_are_counted_up_to_a_bound(step: Any) -> None:
    """A hundred failures and repetitions are as many as the bound."""
    recent = read_recent([human("go"), *step({}, "Error: x") * 100])
    assert recent.tool_errors == MAX_STREAK
    assert recent.repeated_calls == MAX_STREAK


# Repeated calls


@every_protocol
def test_the_same_call_over_and_over_is_counted(step: Any) -> None:
    """Identical name and arguments in a row count; another call in between ends the row."""
    once, other = step({"path": "a"}, "ok"), step({"path": "b"}, "ok")
    assert read_recent([human("go")]).repeated_calls == 0
    assert read_recent([human("go"), *once]).repeated_calls == 1
    assert read_recent([human("go"), *once, *once, *once]).repeated_calls == 3
    assert read_recent([human("go"), *once, *other, *once]).repeated_calls == 1
    assert read_recent([human("go"), *once, assistant(), human("more"), *once]).repeated_calls == 1


@every_protocol
def test_a_pending_call_counts(step: Any) -> None:
    """A call whose result is not there yet is the last call."""
    assert read_recent([human("go"), *step({}, "ok"), step({}, "")[0]]).repeated_calls == 2


def test_parallel_calls_are_a_row() -> None:
    """Two identical calls in one message are a row of two."""
    call = {"type": "tool_use", "id": "c", "name": "run", "input": {"a": 1}}
    assert read_recent([human("go"), {"role": "assistant", "content": [call, call]}]).repeated_calls == 2


def test_other_kinds_of_calls_are_compared_too() -> None:
    """Legacy function calls, custom tools and Responses' shell calls are calls."""
    legacy = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}}
    custom = {"role": "assistant", "content": None, "tool_calls": [{"custom": {"name": "sh", "input": "ls"}}]}
    shell = {"type": "local_shell_call", "action": {"command": ["ls"]}}
    for item in (legacy, custom, shell):
        assert read_recent([human("go"), item, item]).repeated_calls == 2
    assert read_recent([human("go"), legacy, custom]).repeated_calls == 1


def test_odd_calls_and_parts_are_passed_over() -> None:
    """What is no call among the calls, and no known part among the parts, changes nothing."""
    call = {"function": {"name": "f", "arguments": "{}"}}
    odd = {"role": "assistant", "content": None, "tool_calls": [None, {"function": 7}, call]}
    user = {"role": "user", "content": [None, {"type": 7}, {"type": "unknown"}, {"type": "text", "text": "go"}]}
    recent = read_recent([7, user, odd, odd])
    assert recent.ask == "go"
    assert recent.repeated_calls == 2


# Opening and system text


def test_the_opening_is_the_first_human_message() -> None:
    """What clients put before it is left out, so that it stays the same from turn to turn."""
    items = [
        {"role": "system", "content": "x"},
        human("<environment_context>a</environment_context>"),
        {"role": "user", "content": [{"type": "text", "text": REMINDER}, {"type": "text", "text": "Fix it"}]},
        assistant(),
        human("And that"),
    ]
    assert read_opening(items, read_recent(items)) == "Fix it"
    assert read_opening(items[:3], read_recent(items[:3])) == "Fix it"


def test_an_opening_is_looked_for_at_the_start_only() -> None:
    """Without a human among the first messages, and in odd ones, there is no opening."""
    assert read_opening([assistant()] * 100 + [human("late")], Recent()) == ""
    assert read_opening([7, None, human(REMINDER)], Recent()) == ""


def test_leading_system_messages_are_the_system_text() -> None:
    """System and developer messages at the start count, later ones do not."""
    items = [
        {"role": "system", "content": "one"},
        {"role": "developer", "content": [{"type": "text", "text": "two"}]},
        human("hi"),
        {"role": "system", "content": "three"},
    ]
    assert read_system(items) == "one\ntwo"
    assert read_system([7, *items]) == ""


def test_system_text_is_bounded() -> None:
    """Long system texts, as a string or as many parts, are cut."""
    assert len(system_text("x" * 100_000)) == ASK_CHARS
    assert len(system_text([{"type": "text", "text": "y" * 50_000}] * 1000)) == ASK_CHARS
    assert len(read_system([{"role": "system", "content": "z" * 9000}] * 9)) == ASK_CHARS
    assert system_text(None) == system_text({"text": "x"}) == system_text([7, {"text": 7}]) == ""


def test_a_system_block_that_changes_with_every_request_is_left_out() -> None:
    """Claude Code's billing block would give every request another opening."""
    blocks = [{"type": "text", "text": "x-anthropic-billing-header: cch=1a2b;"}, {"type": "text", "text": "You are C."}]
    assert system_text(blocks) == "You are C."
