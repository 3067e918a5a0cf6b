"""Runs Python snippets one by one, each in a namespace of its own: ``python snippets.py BASE_URL < snippets.json``.

What stands around a snippet in its page is here: an app to add to, and a client of the demo.
"""

import contextlib
import io
import json
import sys
import traceback


def main(base_url: str) -> None:
    """Prints, for each snippet, what went wrong; ``""`` for nothing."""
    from fastapi import FastAPI
    from openai import OpenAI

    client = OpenAI(base_url=base_url, api_key="not-needed", max_retries=0)
    wrong = {}
    for where, code in json.load(sys.stdin).items():
        names = {"__name__": "snippet", "app": FastAPI(), "client": client}
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile(code, where, "exec"), names)
                if isinstance(names["app"], FastAPI):
                    names["app"].build_middleware_stack()
            wrong[where] = ""
        except Exception:
            wrong[where] = traceback.format_exc()
    print(json.dumps(wrong))


if __name__ == "__main__":
    main(sys.argv[1])
