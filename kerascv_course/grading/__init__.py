"""A class's notebooks, handed in and judged: `kerascv-course grade` on the command line, `grade` in Python.

A student's process imports this package, too: what the judging needs is imported when it is first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "contain": ["Limits"],
        "judging": ["ClassResult", "grade"],
        "marks": ["read_points", "write_marks"],
    },
)
