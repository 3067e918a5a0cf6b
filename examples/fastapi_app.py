"""A FastAPI app of your own, with one line added: callers may now say ``model: "auto"``.

pip install ofox-middleware fastapi
export OPENAI_API_KEY=...
python examples/fastapi_app.py
"""

import os
from collections.abc import AsyncIterator
from typing import Any

import litellm
import uvicorn
from fastapi import FastAPI, HTTPException
from fastapi.responses import StreamingResponse
from openai import APIStatusError

from ofox_middleware import OfoxMiddleware

app = FastAPI()
app.add_middleware(OfoxMiddleware, models=["openai/gpt-4o", "openai/gpt-4o-mini"])  # the one line


# Named one by one: LiteLLM takes its own controls, such as api_base, from the same keywords.
PASSED = ("messages", "stream", "tools", "tool_choice", "response_format", "max_tokens", "temperature")


@app.post("/v1/chat/completions")
async def chat(body: dict[str, Any]) -> Any:
    """Your endpoint as it always was. By the time it runs, ``model`` names a real model."""
    asked = {name: body[name] for name in PASSED if name in body}
    try:
        answer = await litellm.acompletion(model=body["model"], **asked, num_retries=0)
    except APIStatusError as error:
        raise HTTPException(error.status_code, error.message) from error
    if not body.get("stream"):
        return answer.model_dump()
    return StreamingResponse(events(answer), media_type="text/event-stream")


async def events(stream: Any) -> AsyncIterator[str]:
    """Chunks as server-sent events."""
    async for chunk in stream:
        yield f"data: {chunk.model_dump_json()}\n\n"
    yield "data: [DONE]\n\n"


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ.get("PORT", "8000")))
