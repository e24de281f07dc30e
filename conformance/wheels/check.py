# Runs named checks, prints one line each and a count: `name ok` or `name FAILED: why`.
#
# The lines hold nothing that differs from run to run, so that two drivers can be compared by them.

import sys
import traceback

CHECKS = []


def check(function):
    """Registers a check: it returns a value to print, or raises."""
    CHECKS.append(function)
    return function


def run():
    """Runs all checks, or those that the command line names; the exit status says whether all
    passed."""
    wanted = sys.argv[1:]
    failed = 0
    for function in CHECKS:
        if wanted and function.__name__ not in wanted:
            continue
        try:
            print(function.__name__, "ok", function() or "", flush=True)
        except Exception as error:  # a driver's error is a result like another
            failed += 1
            text = str(error).strip().splitlines() or [""]
            print(function.__name__, f"FAILED: {type(error).__name__}: {text[0]}", flush=True)
            traceback.print_exc(file=sys.stderr)
    total = len(wanted) or len(CHECKS)
    print(f"{total - failed} of {total} checks ok", flush=True)
    sys.exit(1 if failed else 0)
