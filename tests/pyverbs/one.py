# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""Run rdma-core's run_tests.py as it is, and note each test's result.

one.py RESULTS DIR ARGUMENT...: DIR holds run_tests.py, ARGUMENTs are its own.

RESULTS gets a line per event, flushed at once, so that what was running is
known when this process dies: "begin", "ok", "skip" or "fail", the test's
name, a word about it; separated by tabs.
"""

import faulthandler
import os
import runpy
import sys
import unittest


class Result(unittest.TextTestResult):
    out = None

    def note(self, event, test, text=""):
        text = " ".join(str(text).split())
        print(event, test.id().removeprefix("tests."), text, sep="\t",
              file=self.out, flush=True)

    # unittest's own names from here on.
    # pylint: disable=invalid-name

    def startTest(self, test):
        super().startTest(test)
        self.note("begin", test)

    def addSuccess(self, test):
        super().addSuccess(test)
        self.note("ok", test)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.note("skip", test, reason)

    def addExpectedFailure(self, test, err):
        super().addExpectedFailure(test, err)
        self.note("ok", test)

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self.note("fail", test, "passed where its author expects a failure")

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.note("fail", test, f"{err[0].__name__}: {err[1]}")

    def addError(self, test, err):
        super().addError(test, err)
        self.note("fail", test, f"{err[0].__name__}: {err[1]}")

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.note("fail", test, f"{err[0].__name__}: {err[1]}")


def main():
    results, where = sys.argv[1:3]
    # SIGABRT, sent by run after a time-out, prints where the test stands.
    faulthandler.enable()
    with open(results, "a", encoding="utf-8") as Result.out:
        unittest.TextTestRunner.resultclass = Result
        script = os.path.join(where, "run_tests.py")
        sys.argv = [script] + sys.argv[3:]
        sys.path[0] = where
        runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    main()
