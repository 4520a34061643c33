"""What an answer must be, and what is said about a wrong one: to the student, never as a traceback.

`number`, `choice`, `chosen`, `array` and so on read an answer, whatever its type. `expect`, `expect_results`,
`expect_choice` and `expect_set` judge it as well: they take the usual mistakes, each with its sentence. `refuse`
takes whether each mistake was made. All raise `WrongAnswerError` with the sentence for the student.
"""

import copy
import inspect
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from kerascv_course.exercises.sheet import WrongAnswerError, said

_MEANT = {"×": "x", "**": "^", "²": "^2", "one": "1", "two": "2", " ": "", "-": "", "_": ""}
Mistakes = Mapping[Any, str] | Iterable[tuple[Any, str]]


def number(name: str, answer: Any) -> float:
    """Return a number of any kind (of Python, NumPy or a tensor) as a float.

    Args:
        name: The variable, as the student wrote it.
        answer: What it is.

    Returns:
        The number.

    Example:
        >>> number("sum", np.int64(3))
        3.0
    """
    if isinstance(answer, str):
        raise WrongAnswerError(f"`{name}` is the string {answer!r}: write the number without quotes.")
    if isinstance(answer, tuple) and len(answer) > 1 and all(isinstance(part, int) for part in answer):
        if not all(part == 0 or 100 <= part <= 999 for part in answer[1:]):
            raise WrongAnswerError(f"`{name}` must be one number; it is {answer}.")
        plain = "".join([str(answer[0]), *(f"{part:03d}" for part in answer[1:])])
        raise WrongAnswerError(f"A comma between digits makes a tuple, `{answer}`: write {plain} without it.")
    if callable(answer):
        raise WrongAnswerError(f"`{name}` is {kind(answer)}, not a number. Does it lack its parentheses?")
    value = _floats(answer, "iuf")
    if value is None or value.size != 1:
        raise WrongAnswerError(f"`{name}` must be a number; it is {kind(answer)}.")
    if not np.isfinite(value).all():
        raise WrongAnswerError(f"`{name}` is {value.item()}, which is no number to count with.")
    return float(value.item())


def whole_number(name: str, answer: Any) -> int:
    """Return an integer of any kind as an int; as `number` otherwise.

    Example:
        >>> whole_number("pixels", 19.0)
        19
    """
    value = number(name, answer)
    if abs(value - round(value)) > 1e-9:  # 900 that was calculated may be 899.9999999999999
        raise WrongAnswerError(f"`{name}` is {value:g}; it must be an integer.")
    return round(value)


def choice(name: str, answer: Any, options: Sequence[str]) -> str:
    """Return one of several texts, whatever its capitals, spaces, hyphens and signs for times and square.

    Example:
        >>> choice("design", "Two 3×3", ["two 3 x 3", "one 5 x 5"])
        'two 3 x 3'
    """
    for option in options:
        if isinstance(answer, str) and _plain(answer) == _plain(option):
            return option
    listed = " or ".join(f'`"{option}"`' for option in options)
    received = f"it is {_short(answer)}" if isinstance(answer, str | int | float) else f"it is {kind(answer)}"
    raise WrongAnswerError(f"`{name}` must be {listed}; {received}.")


def chosen(name: str, answer: Any, options: Sequence[str]) -> set[str]:
    """Return several of some options as a set, whatever their capitals and the spaces around them.

    Args:
        name: The variable, as the student wrote it.
        answer: What it is: a set, a list or a tuple of strings, or a string such as "a, b"; of letters also "ab".
        options: All that can be chosen, in lower case.

    Example:
        >>> sorted(chosen("kept", "A, b", "abcd")), sorted(chosen("kept", "ab", "abcd"))
        (['a', 'b'], ['a', 'b'])
    """
    what = "letters" if max(map(len, options)) == 1 else "names"
    if isinstance(answer, str):
        answer = answer.split(",") if what == "names" else [answer]
    if not isinstance(answer, set | frozenset | list | tuple) or not all(isinstance(one, str) for one in answer):
        example = '", "'.join(list(options)[:2])
        raise WrongAnswerError(f'`{name}` must be a set of {what}, as {{"{example}"}}; it is {kind(answer)}.')
    given = {one.strip().lower() for one in answer}
    if what == "letters":
        given = {letter for one in given for letter in re.findall(r"\w", re.sub(r"\b(and|or)\b", " ", one))}
    if unknown := given - set(options):
        raise WrongAnswerError(f"There is no {', '.join(sorted(unknown))}: the {what} are {', '.join(options)}.")
    return given


def array(name: str, answer: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Return an array, a tensor or nested lists as a float array of the shape.

    Example:
        >>> array("kernel", [[1, 2], [3, 4]], (2, 2)).dtype
        dtype('float64')
    """
    value = _floats(answer)
    if value is None:
        raise WrongAnswerError(f"`{name}` must be an array of shape {shape}; it is {kind(answer)}.")
    refuse(
        (value.shape != shape, f"`{name}` has shape {value.shape}; it must have {shape}."),
        (not np.isfinite(value).all(), f"`{name}` holds NaN or infinity."),
    )
    return value


def outcome(name: str, function: Any, *arguments: Any, **options: Any) -> Any:
    """Call a student's function and return what it returns.

    Example:
        >>> outcome("double", lambda x: 2 * x, 4)
        8
    """
    if not callable(function) or isinstance(function, keras.layers.Layer):  # a layer may build itself, at any size
        raise WrongAnswerError(f"`{name}` must be a function; it is {kind(function)}. Hand it in without ( ).")
    call = called(name, *arguments, **options)
    try:
        result = function(*arguments, **options)
    except Exception as error:
        raise WrongAnswerError(f"`{call}` stops with {said(error)}.") from None
    if result is None:
        way_out = "Put your own line in place of `return None`."
        raise WrongAnswerError(f"`{call}` returns nothing: does it lack a `return`? {way_out}")
    return result


def called(name: str, *arguments: Any, **options: Any) -> str:
    """Return a call as the student would write it, with arrays named by their shape where they are long.

    Example:
        >>> called("pool", np.zeros((4, 4)), stride=2)
        'pool(array(4, 4), stride=2)'
    """
    return f"{name}({', '.join([*map(_short, arguments), *(f'{key}={_short(options[key])}' for key in options)])})"


def parts(name: str, answer: Any, names: Sequence[str]) -> Sequence[Any]:
    """Return what a function returned, if it is a tuple or a list of as many things as there are names.

    Example:
        >>> parts("mix(a, b)", (1, 2), ["image", "label"])
        (1, 2)
    """
    if isinstance(answer, tuple | list) and len(answer) == len(names):
        return answer
    count = {2: "two", 3: "three"}[len(names)]
    raise WrongAnswerError(f"`{name}` must return {count} things: {', '.join(names)}; it returned {kind(answer)}.")


def refuse(*mistakes: tuple[Any, str], start: str = "") -> None:
    """Say the sentence of the first mistake that was made, if one was.

    Args:
        mistakes: Pairs: whether the mistake was made, and its sentence.
        start: What every sentence begins with.

    Example:
        >>> refuse((2 > 3, "two is not more."), (3 > 2, "three is more."), start="Count: ")
        Traceback (most recent call last):
        kerascv_course.exercises.sheet.WrongAnswerError: Count: three is more.
    """
    for was_made, sentence in mistakes:
        if was_made:
            raise WrongAnswerError(start + sentence)


def dictionary(name: str, answer: Any) -> dict[Any, Any]:
    """Return an answer that is a dictionary."""
    if not isinstance(answer, dict):
        raise WrongAnswerError(f"`{name}` must be a dictionary; it is {kind(answer)}.")
    return answer


def expect(
    name: str, answer: Any, right: Any, mistakes: Mistakes, otherwise: str, *, tolerance: float | None = None
) -> None:
    """Compare a number or an array with the right one; what is wrong has the sentence of its mistake.

    Args:
        name: The variable, or the call that returned the answer.
        answer: What the student handed in.
        right: The right answer. An integer asks for an integer, a float for a number, an array for an array.
        mistakes: The usual wrong values, of any shape, with a sentence for each: a dictionary, or pairs.
        otherwise: The sentence for every other value.
        tolerance: By how much an answer may differ, as a share of the largest right value; 1e-12 where an integer
            is right and 1e-6 elsewhere. The mistakes are found with the same tolerance.

    Example:
        >>> expect("weights", 9, 9, {3: "that is one row."}, "count rows and columns.")
        >>> expect("weights", 3, 9, {3: "that is one row."}, "count rows and columns.")
        Traceback (most recent call last):
        kerascv_course.exercises.sheet.WrongAnswerError: `weights` is 3: that is one row.
    """
    if tolerance is None:
        tolerance = 1e-12 if isinstance(right, int) else 1e-6
    value, shape = _floats(answer), np.shape(right)
    if not isinstance(right, np.ndarray) and (value is None or value.size == 1):
        value = np.array(number(name, answer))
    elif value is None:
        value = array(name, answer, shape)
    if _close(value, right, tolerance):
        return
    pairs = mistakes.items() if isinstance(mistakes, Mapping) else mistakes
    reason = next((sentence for wrong, sentence in pairs if _close(value, wrong, tolerance)), None)
    if reason is None and shape:
        array(name, answer, shape)
    elif reason is None:
        (whole_number if isinstance(right, int) else number)(name, answer)
    reason = reason or otherwise
    is_long = value.size > 8
    raise WrongAnswerError(reason[0].upper() + reason[1:] if is_long else f"`{name}` is {_shown(value)}: {reason}")


def expect_results(
    name: str,
    function: Any,
    cases: Iterable[Sequence[Any]],
    solve: Callable[..., Any],
    *,
    tolerance: float | None = None,
) -> None:
    """Call a student's function in several cases and compare what it returns, as `expect` does.

    Args:
        name: The function, as the student wrote it.
        function: What it is.
        cases: The arguments of each call; lists among them become arrays, and the function gets copies.
        solve: Takes the same arguments and returns the right result and its mistakes. In place of the result it
            may return a pair: that, and the sentence for every other one, which by default says what is right.
        tolerance: As in `expect`.

    Example:
        >>> def solve(x):
        ...     return 2 * x, {x * x: "that is the square."}
        >>> expect_results("double", lambda x: x + x, [[2], [3]], solve)
        >>> expect_results("double", lambda x: x**2, [[2], [3]], solve)
        Traceback (most recent call last):
        kerascv_course.exercises.sheet.WrongAnswerError: `double(3)` is 9: that is the square.
    """
    for case in cases:
        arguments = [np.array(value) if isinstance(value, list) else value for value in case]
        right, mistakes = solve(*arguments)
        right, otherwise = right if isinstance(right, tuple) else (right, "")
        result = outcome(name, function, *copy.deepcopy(arguments))
        otherwise = otherwise or f"it must be {_shown(np.asarray(right, dtype='float64'))}."
        expect(called(name, *arguments), result, right, mistakes, otherwise, tolerance=tolerance)


def expect_choice(name: str, answer: Any, right: str, mistakes: Mapping[str, str]) -> None:
    """Compare a name with the right one; the options are that one and those of the mistakes.

    Example:
        >>> expect_choice("padding", "Same", "same", {"valid": "it makes the maps smaller."})
    """
    given = choice(name, answer, sorted([right, *mistakes]))
    if given != right:
        raise WrongAnswerError(f"`{name}` is {given!r}: {mistakes[given]}")


def expect_set(name: str, answer: Any, right: Collection[str], reasons: Mapping[str, str]) -> None:
    """Compare several names or letters with the right ones.

    Args:
        name: The variable, as the student wrote it.
        answer: What it is; as in `chosen`.
        right: Those that belong to the set.
        reasons: A sentence for each of the options: why it belongs to the set, or why it does not.

    Example:
        >>> expect_set("even", {"four"}, {"four"}, {"three": "3 = 2 + 1.", "four": "4 = 2 + 2."})
    """
    given = chosen(name, answer, list(reasons))
    for one in sorted(reasons, key=lambda one: one in right):
        if (one in given) != (one in right):
            raise WrongAnswerError(f"{one}{'' if one in given else ' is missing'}: {reasons[one]}")


def kind(answer: Any) -> str:
    """Return what an answer is, in a few words, without looking into it.

    Example:
        >>> kind([1, 2]), kind(np.zeros((2, 3)))
        ('list of 2', 'an array of shape (2, 3)')
    """
    if inspect.isclass(answer):
        return f"the class {answer.__name__}"
    if isinstance(answer, list | tuple):
        return f"{type(answer).__name__} of {len(answer)}"
    if hasattr(answer, "shape") and hasattr(answer, "dtype"):
        return f"an array of shape {tuple(answer.shape)}"
    return f"of the type {type(answer).__name__}"


def _plain(text: str) -> str:
    """Return a text with one spelling of what people write in several ways."""
    text = text.lower()
    for written, meant in _MEANT.items():
        text = text.replace(written, meant)
    return text


def _floats(answer: Any, kinds: str = "iufbO") -> np.ndarray | None:
    """Return numbers of any shape as an array, or `None` where it is something else than these kinds of dtype."""
    try:
        value = np.asarray(keras.ops.convert_to_numpy(answer) if keras.ops.is_tensor(answer) else answer)
        return value.astype("float64") if value.dtype.kind in kinds else None
    except Exception:  # anything at all may be handed in
        return None


def _close(value: np.ndarray, other: Any, tolerance: float) -> bool:
    other = np.asarray(other, dtype="float64")
    if value.shape != other.shape:
        return False
    close = np.abs(value - other) <= tolerance * np.abs(other).max(initial=0, where=np.isfinite(other)) + 1e-9
    return bool((close | (np.isnan(value) & np.isnan(other))).all())


def _shown(value: np.ndarray) -> str:
    if value.ndim:
        return f"[{', '.join(map(_shown, value))}]"
    whole = float(value).is_integer()
    return f"{int(value):,}" if whole and abs(value) < 1e15 else f"{float(value):.4g}"


def _short(value: Any) -> str:
    if hasattr(value, "shape") and hasattr(value, "dtype") and len(value.shape):
        small = isinstance(value, np.ndarray) and value.ndim == 1 and value.size <= 8
        return str(value.tolist()) if small else f"array{tuple(value.shape)}"
    text = repr(value)
    return "..." if text.startswith("<") else text if len(text) <= 60 else f"{text[:57]}..."
