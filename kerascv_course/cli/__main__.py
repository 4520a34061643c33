"""`python -m kerascv_course.cli`."""

from kerascv_course.cli import main

raise SystemExit(main())
