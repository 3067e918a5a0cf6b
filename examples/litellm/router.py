"""`model: "auto"` on a `litellm.Router`: one line, sync and async, plain and streamed.

Needs OPENAI_API_KEY and ANTHROPIC_API_KEY.
"""

import asyncio

from litellm import Router

from ofox_middleware.litellm_plugin import attach

router = Router(
    model_list=[
        {"model_name": "gpt-luna", "litellm_params": {"model": "openai/gpt-6-luna"}},
        {"model_name": "gpt-sol", "litellm_params": {"model": "openai/gpt-6-sol"}},
        {"model_name": "claude-haiku", "litellm_params": {"model": "anthropic/claude-haiku-5-5"}},
    ],
    num_retries=0,
)
attach(router)


async def main() -> None:
    ask = [{"role": "user", "content": "What is the capital of France?"}]

    answer = await router.acompletion(model="auto", messages=ask)
    print(answer.model, "answered:", answer.choices[0].message.content)

    stream = await router.acompletion(
        model="auto",
        messages=ask,
        stream=True,
        model_routing_config={"preference": "cost", "exclude": ["gpt-sol"]},
    )
    async for chunk in stream:
        print(chunk.choices[0].delta.content or "", end="", flush=True)
    print("\n-- streamed by", chunk.model)


if __name__ == "__main__":
    asyncio.run(main())
