"""Answers to the exercises, right and wrong, one module for each notebook; see `tests/test_exercise_answers.py`.

Each answer is made by a function, so that models are built only where they are checked. A wrong one stands beside
the words that the student must read.
"""
