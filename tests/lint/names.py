#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""names.py FILE...: Python files that do not parse, names that nobody defines,
imports and local variables that nobody reads, and local names that hide an
import. Exit status 1 if there is one."""

import builtins
import pathlib
import symtable
import sys

MODULE = {"__file__", "__name__", "__doc__", "__annotations__", "__path__"}
KNOWN = set(dir(builtins)) | MODULE


def inside(scope):
    yield scope
    for child in scope.get_children():
        yield from inside(child)


def reads(scope, name):
    """Whether the scope, or one inside it that sees its names, reads this one."""
    inner = [s.lookup(name) for s in inside(scope) if s is not scope and name in s.get_identifiers()]
    return scope.lookup(name).is_referenced() or any(
        s.is_referenced() and (s.is_free() or s.is_global()) for s in inner)


def findings(path):
    try:
        module = symtable.symtable(pathlib.Path(path).read_text(), path, "exec")
    except (SyntaxError, ValueError) as error:
        yield f"{path}: {error}"
        return
    top = {s.get_name(): s for s in module.get_symbols()}
    defined = {n for n, s in top.items() if s.is_assigned() or s.is_imported() or s.is_namespace()}
    imported = {n for n, s in top.items() if s.is_imported()}
    for scope in inside(module):
        for symbol in scope.get_symbols():
            name = symbol.get_name()
            where = f"{path}:{scope.get_lineno()}: {name}"
            function = scope.get_type() == "function"
            if symbol.is_global() and symbol.is_referenced() and name not in defined | KNOWN:
                yield f"{where} is not defined"
            if symbol.is_imported() and not reads(scope, name):
                yield f"{where} is imported and not used"
            if not function or not symbol.is_local() or name.startswith("_") or name.startswith("."):
                continue
            if symbol.is_assigned() and not symbol.is_parameter() and not reads(scope, name):
                yield f"{where} is set and not read"
            if name in imported and not symbol.is_imported():
                yield f"{where} hides an import"


def main():
    found = [f for path in sys.argv[1:] for f in findings(path)]
    print(*found, sep="\n", end="\n" if found else "")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
