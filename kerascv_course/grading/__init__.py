"""A class's notebooks, handed in and judged: `kerascv-course grade` on the command line, `grade` in Python.

A student's process imports this package, too: what the judging needs is imported when it is first used.
"""

import lazy_loader

_NAMES = {"contain": ["Limits"], "judging": ["grade"], "marks": ["read_points", "write_marks"]}
__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs=_NAMES | {"pages": ["write_pages"]})
