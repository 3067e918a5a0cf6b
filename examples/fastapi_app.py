"""A FastAPI app of your own, with one line added: callers may now say ``model: "auto"``.

pip install ofox-middleware fastapi
export OPENAI_API_KEY=...
python examples/fastapi_app.py
"""

import os
from typing import Any

import litellm
import uvicorn
from fastapi import FastAPI, HTTPException
from openai import APIStatusError

from ofox_middleware import OfoxMiddleware

app = FastAPI()
app.add_middleware(OfoxMiddleware, models=["openai/gpt-4o", "openai/gpt-4o-mini"])  # the one line


@app.post("/v1/chat/completions")
async def chat(body: dict[str, Any]) -> dict[str, Any]:
    """Your endpoint as it always was. By the time it runs, ``model`` names a real model."""
    try:
        answer = await litellm.acompletion(model=body["model"], messages=body["messages"], num_retries=0)
    except APIStatusError as error:
        raise HTTPException(error.status_code, error.message) from error
    return answer.model_dump()


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ.get("PORT", "8000")))
