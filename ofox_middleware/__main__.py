"""``python -m ofox_middleware`` is the ``ofox`` command."""

import sys

from ofox_middleware.cli import main

sys.exit(main())
