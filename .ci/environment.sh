#!/usr/bin/env bash
# Makes a virtual environment in which every package is one that the file pins, by version and hash.
#
#   .ci/environment.sh FOLDER constraints.txt [PYTHON]
#
# uv installs in a fifth of pip's time; where it cannot (no wheel of it here, or it does not find pip's index), pip does.
set -euo pipefail
folder=$1 pins=$2 python=${3:-python3}
here=$(cd "$(dirname "$0")/.." && pwd)

[ -x "$folder/bin/python" ] || "$python" -m venv "$folder"
pip=("$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes)

with_uv() {
    "${pip[@]}" -r "$here/constraints-uv.txt" &&
        "$folder/bin/uv" pip install --quiet --python "$folder" --no-deps --require-hashes -r "$pins"
}

with_uv || "${pip[@]}" -r "$pins"
"$folder/bin/python" -m pip --disable-pip-version-check check
