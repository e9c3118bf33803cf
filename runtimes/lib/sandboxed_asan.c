/* SPDX-License-Identifier: MIT */
/* In builds with AddressSanitizer, for programs that cells start: its search for leaks at
 * the end wants ptrace, which the sandbox denies, and says so on stderr. */
const char *__asan_default_options(void);

/* NOLINTNEXTLINE(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
const char *
__asan_default_options(void)
{
    return "detect_leaks=0";
}
