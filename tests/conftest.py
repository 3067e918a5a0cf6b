"""For every test."""

from __future__ import annotations

import signal

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts what it runs in the background deaf to Ctrl-C, children inherit that, and some tests send it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
