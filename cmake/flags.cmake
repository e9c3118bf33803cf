# SPDX-License-Identifier: MIT
# One interface target carries the flags that every C target of the project is built with.
add_library(cellwall_flags INTERFACE)
target_include_directories(cellwall_flags INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_definitions(cellwall_flags INTERFACE _GNU_SOURCE
    CELLWALL_VERSION="${PROJECT_VERSION}")
target_compile_options(cellwall_flags INTERFACE
    -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes
    -Wpointer-arith -Wvla -Wformat=2 -fstack-protector-strong)
target_link_options(cellwall_flags INTERFACE -Wl,-z,relro -Wl,-z,now)

if(CELLWALL_WERROR)
    target_compile_options(cellwall_flags INTERFACE -Werror)
endif()
if(CELLWALL_SANITIZE)
    target_compile_options(cellwall_flags INTERFACE
        -fsanitize=${CELLWALL_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(cellwall_flags INTERFACE -fsanitize=${CELLWALL_SANITIZE})
elseif(CMAKE_BUILD_TYPE MATCHES "Rel")
    target_compile_options(cellwall_flags INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
endif()
if(CELLWALL_ANALYZE)
    # gcc 12 loses track of what asprintf and the cleanup attribute do to a pointer, so its
    # words on leaks and on unset values are noise; the sanitizers look for both.
    target_compile_options(cellwall_flags INTERFACE -fanalyzer
        -Wno-analyzer-malloc-leak -Wno-analyzer-use-of-uninitialized-value)
endif()
