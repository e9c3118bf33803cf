/* SPDX-License-Identifier: MIT */
#include "tests/sandbox/failing.h"

#include <errno.h>

#include "contexts/sandbox/sys.h"

#define WRAP(result, name, parameters, arguments)                                        \
    result __real_##name parameters;                                                     \
    result __wrap_##name parameters;                                                     \
    result __wrap_##name parameters                                                      \
    {                                                                                    \
        if (!failing_must_fail(#name))                                                   \
            return __real_##name arguments;                                              \
        errno = EPERM;                                                                   \
        return -1;                                                                       \
    }
#include "tests/sandbox/wrapped.def"
