"""A guardrail of the operator's: refuses what holds a secret, and notes for which model it was asked."""

from litellm.exceptions import BadRequestError
from litellm.integrations.custom_guardrail import CustomGuardrail

ASKED: list = []


class Gate(CustomGuardrail):
    async def async_pre_call_hook(self, user_api_key_dict, cache, data, call_type):
        return self.check(data)

    async def async_pre_call_deployment_hook(self, kwargs, call_type):
        name = str((kwargs.get("metadata") or {}).get("model_group"))
        if self.guardrail_name in (kwargs.get("guardrails") or []):
            self.check({**kwargs, "model": name})

    def check(self, data):
        ASKED.append(str(data.get("model")))
        if "secret" in str(data.get("messages")):
            raise BadRequestError(message="stopped at the gate", model=str(data.get("model")), llm_provider="gate")
        return data
