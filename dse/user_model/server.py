"""Serves one Python function to another process: a JSON line in, a JSON line out. A script that needs no package.

    python server.py FOLDER MODULE:FUNCTION one|many

What the function prints goes to standard error, so that it cannot get among the answers.
"""

import importlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def load(folder: str, target: str) -> Callable[[Any], Any] | str:
    """Return the function, or a text that says why there is none."""
    sys.path[:0] = [folder, str(Path.cwd())]
    module, _, name = target.partition(":")
    result: Any
    try:
        result = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name and (module == error.name or module.startswith(f"{error.name}.")):
            return f"there is no module {error.name} in {folder} or on Python's path"
        return f"the module {module} cannot be imported: {error}"
    except Exception as error:
        return f"the module {module} cannot be imported: {type(error).__name__}: {error}"
    for part in name.split("."):
        if not hasattr(result, part):
            near = [one for one in dir(result) if callable(getattr(result, one)) and not one.startswith("_")]
            return f"{module} has no {part}; it has {', '.join(near) or 'no function'}"
        result = getattr(result, part)
    called: Any = result
    return called if callable(called) else f"{target} is not a function but {type(called).__name__}"


def main() -> None:
    """Answer until nobody asks any more."""
    folder, target, how = sys.argv[1:4]
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    function = load(folder, target)

    def say(record: dict[str, Any]) -> None:
        answers.write(json.dumps(record, default=float) + "\n")
        answers.flush()

    if isinstance(function, str):
        say({"issue": function})
        return
    say({"ready": True})
    for line in sys.stdin:
        rows = json.loads(line)
        try:
            result = function(rows) if how == "many" else [function(rows[0])]
            say({"answers": list(result)})
        except Exception as error:
            say({"failed": f"{type(error).__name__}: {error}"})


if __name__ == "__main__":
    main()
