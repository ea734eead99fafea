"""A synthetic account, and a Green API gateway that serves it on loopback: the whole program can be tried without an account.

The account imports nothing from the rest of the program, so that comparing an archive with `Account.truth` proves something.
"""

from __future__ import annotations
