"""A streaming OpenAI client: any server with Ofox in front will do.

ofox demo                                   # in another terminal
python examples/streaming_client.py "Why is the sky blue?" --preference speed
"""

import argparse

from openai import OpenAI

parser = argparse.ArgumentParser(description="Stream an answer from model auto.")
parser.add_argument("prompt")
parser.add_argument("--base-url", default="http://127.0.0.1:4100/v1")
parser.add_argument("--api-key", default="not-needed")
parser.add_argument("--preference", default="balanced")
options = parser.parse_args()

client = OpenAI(base_url=options.base_url, api_key=options.api_key)
answer = client.chat.completions.with_raw_response.create(
    model="auto",
    messages=[{"role": "user", "content": options.prompt}],
    stream=True,
    extra_body={"model_routing_config": {"preference": options.preference}},
)
for chunk in answer.parse():
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)
print(f"\n\n[{answer.headers['x-ofox-model']}, {answer.headers['x-ofox-reason']}]")
