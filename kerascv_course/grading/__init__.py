"""A class's notebooks, handed in and judged: `kerascv-course grade` on the command line, `grade` in Python."""
