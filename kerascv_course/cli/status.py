"""The exit statuses of the command line."""

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
