"""The conversations: written for the purpose, built the same way every time, no model's words in them.

Each is a list of requests as a client would send them, one after another, with the whole history in each.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from benchmarks.replay import words

Body = dict[str, Any]


@dataclass(frozen=True)
class Turn:
    """One request.

    Attributes:
        body: its JSON, without ``model``.
        at: seconds since the conversation began.
        in_loop: an agent's request in the middle of its work: the last message is a tool's result.
        output_tokens: how long the answer is, whoever gives it.
        conversation: which conversation it belongs to, for scripts that hold several.
    """

    body: Body
    at: float
    in_loop: bool = False
    output_tokens: int = 200
    conversation: str = ""


@dataclass(frozen=True, eq=False)
class Transcript:
    """One script.

    Attributes:
        name: what the table calls it.
        path: the endpoint, which tells the shape of the bodies.
        turns: its requests.
    """

    name: str
    path: str
    turns: tuple[Turn, ...]

    @property
    def switches(self) -> int:
        """Changes of model that a conversation may see at most: one for every other human ask, and no more than four.
        Beyond that it counts as torn apart."""
        asks = [turn for turn in self.turns if not turn.in_loop]
        return min(4, -(-len(asks) // 2)) if len({turn.conversation for turn in asks}) == 1 else 0


CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"


@dataclass
class _Chat:
    """A conversation that grows."""

    fields: Body
    messages: list[Any] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    at: float = 0.0

    def ask(self, content: Any, answer: str, *, after_s: float, output_tokens: int | None = None) -> None:
        """The human says something; the answer joins the history."""
        self.at += after_s
        self.messages.append({"role": "user", "content": content})
        length = output_tokens or max(20, len(answer) // 4)
        self.turns.append(Turn({**self.fields, "messages": list(self.messages)}, self.at, output_tokens=length))
        self.messages.append({"role": "assistant", "content": answer})


def transcripts() -> tuple[Transcript, ...]:
    """All of them."""
    return (
        coding_agent(), chat_agent(), rag(), image_then_text(), chinese_support(), voice(), extraction(), growing(),
    )  # fmt: skip


def coding_agent() -> Transcript:
    """Claude Code's manner: Messages with cache breakpoints, reminders in user turns, 60 tool results for five asks.

    The last ask is an easy one after a break long enough for every cache to have gone cold.
    """
    draw = random.Random(1)
    asks = (
        ("Add a --json flag to the report command and a test for it.", 14, 20.0),
        ("Now the hard part: two workers that flush the same shard at once lose rows. Find the race between"
         " ShardWriter.flush and Compactor.merge, prove why the lock order allows it, and fix it without holding the"
         " global lock over disk writes.", 30, 60.0),
        ("Why did you choose a generation counter over an epoch per shard? Explain the trade-off.", 0, 40.0),
        ("Run the whole test suite and mend what broke.", 14, 30.0),
        ("ok commit it", 2, 900.0),
    )  # fmt: skip
    system = [{"type": "text", "text": words.HARNESS + words.prose(draw, 1800),
               "cache_control": {"type": "ephemeral"}}]  # fmt: skip
    tools = [_anthropic_tool(name) for name in ("Read", "Edit", "Bash", "Grep", "Glob", "Write", "TodoWrite")]
    messages: list[Any] = []
    turns: list[Turn] = []
    at = 0.0
    call = 0
    for ask, tool_turns, pause in asks:
        at += pause
        reminder = f"<system-reminder>\n{words.prose(draw, 60)}\n</system-reminder>"
        messages.append({"role": "user", "content": [_text(reminder), _text(ask)]})
        for step in range(tool_turns + 1):
            body = {"max_tokens": 8000, "system": system, "tools": tools, "stream": True,
                    "messages": _with_breakpoint(messages)}  # fmt: skip
            last = step == tool_turns
            turns.append(Turn(body, at, in_loop=step > 0, output_tokens=400 if last else draw.randint(60, 350)))
            at += draw.uniform(3.0, 12.0)
            if last:
                messages.append({"role": "assistant", "content": [_text(words.prose(draw, 120))]})
                continue
            call += 1
            name, arguments, result = words.tool_step(draw)
            use = {"type": "tool_use", "id": f"toolu_{call}", "name": name, "input": arguments}
            messages.append({"role": "assistant", "content": [_text(words.prose(draw, 25)), use]})
            done = {"type": "tool_result", "tool_use_id": f"toolu_{call}", "content": result}
            messages.append({"role": "user", "content": [done]})
    return Transcript("coding agent, 60 tool turns", MESSAGES, tuple(turns))


def chat_agent() -> Transcript:
    """A shop's agent over Chat Completions with functions: short loops, most asks easy, one that is not."""
    draw = random.Random(2)
    asks = (
        ("Where is my order 8841?", 2), ("Change the delivery address to 12 Mill Lane, Dover.", 2),
        ("Work out which of my last twelve invoices apply the wrong VAT rate given that the goods moved from the UK to"
         " Ireland via a consignment warehouse, and reconcile the difference month by month.", 9),
        ("thanks, send me the summary by mail", 1), ("and what are your opening hours?", 0),
    )  # fmt: skip
    tools = [{"type": "function", "function": {"name": name, "description": words.prose(draw, 25),
              "parameters": {"type": "object", "properties": {"id": {"type": "string"}}}}}
             for name in ("get_order", "update_order", "list_invoices", "get_invoice", "send_mail")]  # fmt: skip
    messages: list[Any] = [
        {"role": "system", "content": "You serve the customers of a shop. " + words.prose(draw, 500)}
    ]
    turns: list[Turn] = []
    at, call = 0.0, 0
    for ask, tool_turns in asks:
        at += 45.0
        messages.append({"role": "user", "content": ask})
        for step in range(tool_turns + 1):
            body = {"messages": list(messages), "tools": tools, "parallel_tool_calls": False}
            turns.append(Turn(body, at, in_loop=step > 0, output_tokens=60 if step < tool_turns else 180))
            at += 2.5
            if step == tool_turns:
                messages.append({"role": "assistant", "content": words.prose(draw, 60)})
                continue
            call += 1
            function = {"name": "get_invoice", "arguments": f'{{"id": "{call}"}}'}
            messages.append({"role": "assistant", "content": None, "tool_calls": [
                {"id": f"call_{call}", "type": "function", "function": function}]})  # fmt: skip
            messages.append({"role": "tool", "tool_call_id": f"call_{call}", "content": words.record(draw)})
    return Transcript("shop agent, short loops", CHAT, tuple(turns))


def rag() -> Transcript:
    """A long document in front, then questions about it, easy and hard ones mixed."""
    draw = random.Random(3)
    document = words.prose(draw, 22_000)
    chat = _Chat({}, [{"role": "system", "content": f"Answer from this document only.\n\n{document}"}])
    for ask in (
        "What is this document about?",
        "Who signed it?",
        "Does clause 14 contradict the indemnity in clause 31 when the supplier subcontracts? Derive the consequences"
        " for liability step by step and name the governing interpretation rule.",
        "ok, and in one sentence?",
        "List the dates that matter.",
        "Compare the termination rights of both parties and find a gap that a hostile party could use.",
        "thank you. Which page says so?",
        "Translate that sentence into German.",
    ):
        chat.ask(ask, words.prose(draw, 140), after_s=35.0)
    return Transcript("RAG, 30k-token document", CHAT, tuple(chat.turns))


def image_then_text() -> Transcript:
    """A screenshot in the first turn, only text after it: the image stays in the history."""
    draw = random.Random(4)
    url = "data:image/png;base64," + "iVBORw0KGgo" + "A" * 8000
    shot = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "What does this error mean?"}]
    chat = _Chat({}, [{"role": "system", "content": words.prose(draw, 900)}])
    chat.ask(shot, words.prose(draw, 80), after_s=0.0)
    for ask in ("and how do I fix it?", "still the same", "ok works now, thanks", "one more: what is a mutex?",
                "hi again", "write that down as a short note"):  # fmt: skip
        chat.ask(ask, words.prose(draw, 90), after_s=50.0)
    return Transcript("image first, then text", CHAT, tuple(chat.turns))


def chinese_support() -> Transcript:
    """A support chat in Chinese; one question in the middle is hard."""
    draw = random.Random(5)
    chat = _Chat({}, [{"role": "system", "content": "你是一家电商平台的客服助手，请礼貌、简洁地回答用户的问题。" * 12}])
    for ask in (
        "你好", "我的订单什么时候到？", "可以改收货地址吗？", "发票怎么开？",
        "我在三个店铺各买了不同税率的商品，又用了跨店满减券和两张单品券，其中一件部分退款。请推导每件商品应退的金额，"
        "说明优惠如何按比例分摊，并证明总额一致。",
        "好的，谢谢", "退款多久到账？", "再见",
    ):  # fmt: skip
        chat.ask(ask, words.chinese(draw, 90), after_s=25.0)
    return Transcript("support chat in Chinese", CHAT, tuple(chat.turns))


def voice() -> Transcript:
    """A voice assistant: short turns, seconds apart, little output."""
    draw = random.Random(6)
    chat = _Chat(
        {"max_tokens": 120, "stream": True}, [{"role": "system", "content": "You are spoken aloud. Be brief."}]
    )
    for ask in ("hey", "what's the weather like tomorrow", "set a timer for ten minutes", "and another for twenty",
                "cancel the first one", "play something calm", "louder", "who wrote this piece", "when was he born",
                "what else did he write", "stop", "remind me to call mum at six", "what's on my calendar",
                "move the dentist to friday", "ok", "how far is the moon", "and in light seconds",
                "good night"):  # fmt: skip
        chat.ask(ask, words.prose(draw, 18), after_s=6.0, output_tokens=28)
    return Transcript("voice assistant, short turns", CHAT, tuple(chat.turns))


def extraction() -> Transcript:
    """A batch: one instruction and schema, forty documents, each a conversation of its own."""
    draw = random.Random(7)
    schema = {"type": "object", "properties": {name: {"type": "string"} for name in ("sender", "date", "total", "vat")}}
    form = {"type": "json_schema", "json_schema": {"name": "invoice", "schema": schema, "strict": True}}
    system = {"role": "system", "content": "Extract the fields from the invoice. " + words.prose(draw, 1300)}
    turns = []
    for number in range(40):
        user = {"role": "user", "content": f"Invoice {number}\n{words.record(draw)}\n{words.prose(draw, 120)}"}
        body = {"messages": [system, user], "response_format": form, "temperature": 0}
        turns.append(Turn(body, 1.5 * number, output_tokens=70, conversation=str(number)))
    return Transcript("JSON extraction, batch of 40", CHAT, tuple(turns))


def growing() -> Transcript:
    """Reads one long paper after another until the history has outgrown every small window."""
    draw = random.Random(8)
    chat = _Chat({"max_tokens": 2000}, [{"role": "system", "content": "You help to review papers."}])
    for number in range(12):
        # As front ends send what was attached: a message of its own before the one that the human typed.
        paper = f"Paper {number + 1}\n\n{words.prose(draw, 36_000)}"
        chat.messages.append({"role": "user", "content": paper})
        chat.ask("Summarise this one in three sentences.", words.prose(draw, 110), after_s=60.0)
    chat.ask("Which two of them contradict each other?", words.prose(draw, 110), after_s=60.0)
    return Transcript("history that outgrows windows", CHAT, tuple(chat.turns))


def _text(text: str) -> Body:
    return {"type": "text", "text": text}


def _with_breakpoint(messages: list[Any]) -> list[Any]:
    """The history with Anthropic's cache breakpoint on its last block, as agents move it along."""
    *before, last = messages
    *blocks, block = last["content"]
    return [*before, {**last, "content": [*blocks, {**block, "cache_control": {"type": "ephemeral"}}]}]


def _anthropic_tool(name: str) -> Body:
    draw = random.Random(name)
    properties = {key: {"type": "string", "description": words.prose(draw, 12)} for key in ("path", "pattern", "text")}
    return {"name": name, "description": words.prose(draw, 160),
            "input_schema": {"type": "object", "properties": properties}}  # fmt: skip


def segments(turn: Turn) -> Iterator[Any]:
    """The parts of a request in the order in which a prompt cache sees them: tools, system text, messages."""
    for name in ("tools", "system", "response_format"):
        if name in turn.body:
            yield turn.body[name]
    yield from turn.body["messages"]
