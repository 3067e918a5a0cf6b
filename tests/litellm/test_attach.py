"""What `attach` does to the methods of a `litellm.Router` beside the plain chat call."""

from __future__ import annotations

import inspect
from typing import Any

import litellm
import pytest

from ofox_middleware.litellm_attach import METHODS, OTHERS
from ofox_middleware.litellm_plugin import attach
from ofox_middleware.router import SmartRouter
from tests.litellm.conftest import MODELS
from tests.litellm.proxy import deployment
from tests.litellm.test_sdk import ASK, COST, brain, router, run  # noqa: F401 - fixtures
from tests.litellm.upstream import Upstream

pytestmark = pytest.mark.filterwarnings("default")


@pytest.mark.parametrize("name", OTHERS)
def test_methods_that_do_not_chat_refuse_auto(router: Any, brain: SmartRouter, upstream: Upstream, name: str) -> None:  # noqa: F811
    """The error says what `auto` is for, instead of LiteLLM's search for a deployment of that name."""
    method = getattr(router, name)

    async def main() -> None:
        with pytest.raises(litellm.BadRequestError, match="chooses among chat models"):
            result = method(model="auto")
            if inspect.isawaitable(result):
                await result

    run(main, brain)
    assert upstream.seen == []


def test_every_wrapped_method_is_litellms(router: Any) -> None:  # noqa: F811
    """A name that LiteLLM no longer has would be wrapped by nobody."""
    for name in (*METHODS, *OTHERS):
        assert hasattr(getattr(router, name), "__wrapped__"), name


def test_a_named_model_of_another_kind_is_left_to_litellm(router: Any, brain: SmartRouter, upstream: Upstream) -> None:  # noqa: F811
    """Embeddings of a named group work, without our field on the wire."""

    async def main() -> Any:
        return await router.aembedding(model="cheap", input="x", **COST)

    run(main, brain)
    assert router.embedding("cheap", "x", **COST).data
    assert [seen.path for seen in upstream.seen] == ["/v1/embeddings"] * 2
    assert not any(b"model_routing_config" in seen.raw for seen in upstream.seen)


def test_all_positional_arguments_keep_their_place(router: Any, brain: SmartRouter) -> None:  # noqa: F811
    """`acompletion(model, messages, stream)` where LiteLLM has it so; where it has not, it says so itself."""

    async def main() -> list[Any]:
        return [chunk async for chunk in await router.acompletion("auto", ASK, True, **COST)]

    if "stream" in inspect.signature(litellm.Router.acompletion).parameters:
        assert {chunk.model for chunk in run(main, brain)} == {"cheap"}
        return
    with pytest.raises(TypeError, match="takes 2 positional arguments but 3 were given"):
        run(main, brain)


def test_tags_narrow_the_pool(router: Any, brain: SmartRouter, upstream: Upstream) -> None:  # noqa: F811
    """With LiteLLM's tag routing on, only groups with a deployment for the tag are chosen from."""
    router.enable_tag_filtering = True
    for name in ("cheap", "dear"):
        router.get_model_list(model_name=name)[0]["litellm_params"]["tags"] = [f"only-{name}"]

    async def main() -> list[str]:
        tagged = [{"metadata": {"tags": [f"only-{name}"]}} for name in ("dear", "cheap")]
        return [(await router.acompletion("auto", ASK, **fields, **COST)).model for fields in tagged]

    assert run(main, brain) == ["dear", "cheap"]
    with pytest.raises(litellm.BadRequestError, match="tags of this request"):
        router.completion("auto", ASK, metadata={"tags": ["nobody"]})


def test_a_continued_response_stays_with_its_deployment(brain: SmartRouter, upstream: Upstream) -> None:  # noqa: F811
    """However cheap another group is, and within the group by the deployment that gave the earlier response."""
    models = [deployment("cheap", "prov-cheap", upstream.base_url, ofox=MODELS["cheap"])]
    for number in (1, 2):
        models.append(deployment("dear", f"prov-dear-{number}", upstream.base_url, ofox=MODELS["dear"]))
        models[-1]["model_info"]["id"] = f"id-dear-{number}"
    made: Any = litellm.Router(model_list=models, num_retries=0)
    attach(made)

    async def main() -> set[str]:
        first = await made.aresponses(model="auto", input="Hi", model_routing_config={"models": ["dear"]})
        more = {"previous_response_id": first.id, **COST}
        return {(await made.aresponses(model="auto", input=f"Go on, {number}", **more)).model for number in range(6)}

    assert run(main, brain) == {"dear"}
    assert len(set(upstream.models())) == 1


def test_scheduled_calls_are_routed(router: Any, brain: SmartRouter, upstream: Upstream) -> None:  # noqa: F811
    """LiteLLM's priority queue waits for the group that was picked."""

    async def main() -> Any:
        return await router.schedule_acompletion("auto", ASK, 0, **COST)

    assert run(main, brain).model == "cheap"
    assert upstream.models() == ["prov-cheap"]


def test_auto_among_the_models_of_a_batch_is_routed(router: Any, brain: SmartRouter, upstream: Upstream) -> None:  # noqa: F811
    """LiteLLM's batches call the router's own methods, one by one."""

    async def main() -> Any:
        return await router.abatch_completion(models=["auto", "dear"], messages=ASK, **COST)

    assert {answer.model for answer in run(main, brain)} >= {"cheap"}
    assert sorted(upstream.models()) == ["prov-cheap", "prov-dear"]
