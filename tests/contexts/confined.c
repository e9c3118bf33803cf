/* SPDX-License-Identifier: MIT */
#include "tests/contexts/confined.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "contexts/sandbox/control.h"
#include "contexts/sandbox/sandbox.h"

static struct control_report
next_report(int control)
{
    uint8_t data[CONTROL_BYTES];
    struct control_report report;

    assert_int_equal(recv(control, data, sizeof data, 0), CONTROL_BYTES);
    assert_true(control_report_decode(
        &report, (struct slice){ .data = data, .length = CONTROL_BYTES }));
    return report;
}

int
confined_run(const struct sandbox_spec *spec, char *ret, size_t size)
{
    int out[2], channel[2], control[2], fds[SANDBOX_FD_COUNT];
    struct sandbox_shell shell;
    struct sandbox_child child;
    struct control_report report;
    size_t length = 0;
    ssize_t n;

    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control), 0);
    fds[SANDBOX_STDIN] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    fds[SANDBOX_STDOUT] = fds[SANDBOX_STDERR] = out[1];
    fds[SANDBOX_CHANNEL] = channel[1];
    fds[SANDBOX_CONTROL] = control[1];
    assert_int_equal(
        sandbox_shell_create(&shell, spec->role, spec->network, NULL, NULL, NULL), 0);
    assert_int_equal(sandbox_shell_use(&shell, spec, fds, NULL, &child, NULL), 0);
    close(fds[SANDBOX_STDIN]);
    close(out[1]);
    close(channel[1]);
    close(control[1]);

    report = next_report(control[0]);
    assert_string_equal(report.step, "");
    assert_int_equal(report.kind, CONTROL_STARTED);
    while (length < size - 1 && (n = read(out[0], ret + length, size - 1 - length)) > 0)
        length += (size_t)n;
    ret[length] = '\0';
    report = next_report(control[0]);
    assert_int_equal(report.kind, CONTROL_EXITED);
    assert_true(WIFEXITED(report.status));
    close(out[0]);
    close(channel[0]);
    close(control[0]);
    assert_true(waitpid(-1, NULL, 0) > 0); /* init ends with its control socket */
    close(child.pidfd);
    return WEXITSTATUS(report.status);
}
