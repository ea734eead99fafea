"""Files that messages carry: fetched while somebody still has them, stored once, checked, cleaned up.

Nothing that came from outside becomes a part of a path, and what a file is, its content says.
"""

from __future__ import annotations
