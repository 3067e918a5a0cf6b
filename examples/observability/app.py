"""Prometheus metrics, OpenTelemetry spans and the console in one app: ``python app.py``, then open what it prints.

Needs: pip install 'ofox-middleware[metrics]' opentelemetry-sdk. The endpoint stands in for yours: it answers by itself,
so that this runs without a key. Spans are printed, one line each; for a collector, put an OTLPSpanExporter
(opentelemetry-exporter-otlp) in the place of the ConsoleSpanExporter.
"""

import contextlib
import os
from collections.abc import AsyncIterator

import uvicorn
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from ofox_middleware import ModelCard, OfoxMiddleware, Settings, SmartRouter
from ofox_middleware.metrics import metrics_app
from ofox_middleware.tracing import Tracing

MODELS = [
    ModelCard(name="house/large", ability=0.95, input_cost_per_token=5e-6, output_cost_per_token=2e-5),
    ModelCard(name="house/small", ability=0.60, input_cost_per_token=1e-7, output_cost_per_token=4e-7),
]


def line(span: ReadableSpan) -> str:
    return f"span {span.name} {dict(span.attributes or {})}\n"


@contextlib.asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[None]:
    yield
    provider.shutdown()  # sends the spans that wait


async def chat(request: Request) -> JSONResponse:
    model = (await request.json())["model"]
    message = {"role": "assistant", "content": f"An answer by {model}."}
    usage = {"prompt_tokens": 10, "completion_tokens": 6, "total_tokens": 16}
    return JSONResponse(
        {"object": "chat.completion", "model": model, "choices": [{"message": message}], "usage": usage}
    )


provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(ConsoleSpanExporter(formatter=line)))
trace.set_tracer_provider(provider)

router = SmartRouter(Settings(models=MODELS))
Tracing(router)  # one span per routed request

app = Starlette(
    lifespan=lifespan,
    routes=[
        Route("/v1/chat/completions", chat, methods=["POST"]),
        Mount("/metrics", metrics_app(router)),  # for Prometheus; keep it away from the public
    ],
)
app.add_middleware(OfoxMiddleware, router=router, console_path="/ofox")  # the console answers this machine only

if __name__ == "__main__":
    port = int(os.environ.get("PORT", "8000"))
    print(f"console   http://127.0.0.1:{port}/ofox/\nmetrics   http://127.0.0.1:{port}/metrics/", flush=True)
    uvicorn.run(app, port=port, log_level="warning")
