"""The notebooks as files: found by name, generated from their sources, executed to a page.

Needs the extra `notebooks`. The command line is the way to all of it: `kerascv-course list | run | build`.
"""
