"""Counting claims: every arm says each in a line and ends with `N passed, N failed`."""

import json
import sys


class Checks:
    def __init__(self):
        self.passed = self.failed = 0

    def that(self, claim, holds, detail=""):
        """Counts one claim; `detail` is shown when it does not hold."""
        if holds:
            self.passed += 1
            print(f"  ok      {claim}", flush=True)
        else:
            self.failed += 1
            print(f"  FAILED  {claim}" + (f"\n          {detail}" if detail else ""), flush=True)
        return holds

    def equal(self, claim, got, expected):
        """Counts the claim that two values, compared as JSON, are the same."""
        got, expected = (json.dumps(value, sort_keys=True, default=str) for value in (got, expected))
        return self.that(claim, got == expected, f"got      {got}\n          expected {expected}")

    def end(self):
        print(f"{self.passed} passed, {self.failed} failed", flush=True)
        sys.exit(1 if self.failed or not self.passed else 0)
