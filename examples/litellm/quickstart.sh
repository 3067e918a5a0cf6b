#!/usr/bin/env bash
# Starts a proxy, asks it for `auto`, and says which model answered and why. No docker, no database. Needs OPENAI_API_KEY
# and, installed: pip install 'ofox-middleware[proxy]'
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
port=${PORT:-4000}
export LITELLM_MASTER_KEY=${LITELLM_MASTER_KEY:-sk-$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')}

litellm --config "$here/quickstart.yaml" --host 127.0.0.1 --port "$port" >"${LOG:-/dev/null}" 2>&1 &
proxy=$!
trap 'kill -INT $proxy; wait $proxy || true' EXIT
until curl -sf "http://127.0.0.1:$port/health/liveliness" >/dev/null; do
    kill -0 $proxy || { echo "the proxy did not start"; exit 1; }
    sleep 0.5
done

ask() {  # ask PREFERENCE PROMPT [HEADER]
    curl -s "http://127.0.0.1:$port/v1/chat/completions" \
        -H "authorization: Bearer $LITELLM_MASTER_KEY" -H 'content-type: application/json' ${3:+-H "$3"} -D - \
        -d "{\"model\": \"auto\", \"messages\": [{\"role\": \"user\", \"content\": \"$2\"}],
             \"model_routing_config\": {\"preference\": \"$1\"}}"
    echo
}

echo "--- cost"
ask cost "What is the capital of France?" | grep -iE '^x-ofox|"content"'
echo "--- quality"
ask quality "Prove that the square root of two is irrational." | grep -iE '^x-ofox|"content"'
echo "--- the decision alone, without asking a model"
ask balanced "Say hi." 'x-ofox-dry-run: true' | tail -1
