"""Caches of the code under test: what one test has filled hides the code from the next one.

mutmut notes which functions each test reaches, and tries a mutant in a process that has already run
or collected other tests. So caches are emptied before each test of the first part, and once for
each mutant.
"""

import sys
from functools import _lru_cache_wrapper

ACTIVE = "MUTANT_UNDER_TEST"  # the environment variable that mutmut sets
NOTING = "stats"  # its value while mutmut notes what the tests reach


def forget_caches() -> None:
    """Empty each functools cache of drawcli's modules: a mutant is seen only if its code runs."""
    for name, module in list(sys.modules.items()):
        if name.startswith("drawcli."):
            for value in list(vars(module).values()):
                if isinstance(value, _lru_cache_wrapper):
                    value.cache_clear()
