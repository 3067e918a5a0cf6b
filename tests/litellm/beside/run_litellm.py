"""What the ``litellm`` command runs, as a file that coverage can run as well."""

from litellm import run_server

if __name__ == "__main__":  # the workers of a proxy with several import this file
    run_server()
