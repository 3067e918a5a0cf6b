"""What the ``litellm`` command runs, as a file that coverage can run as well."""

from litellm import run_server

run_server()
