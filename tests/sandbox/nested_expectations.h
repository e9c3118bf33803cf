/* SPDX-License-Identifier: MIT */
/*
 * nested_expectations - what the probe of the nested tier must be answered
 *
 * The data of test_nested.c, which alone includes it. What is called a gap is allowed,
 * and is in SECURITY.md.
 */
#ifndef TESTS_SANDBOX_NESTED_EXPECTATIONS_H
#define TESTS_SANDBOX_NESTED_EXPECTATIONS_H

#include <stddef.h>

/* By root's runner, which has an id of its own; by an ordinary user's. NULL: the same. */
static const struct expectation {
    const char *what;
    const char *errors;
    const char *of_user;
} expectations[] = {
    { "refuse_read_outside", "EACCES", NULL },
    { "refuse_write_outside", "EACCES", NULL },
    { "refuse_truncate_outside", "EACCES", NULL },
    { "refuse_remove_outside", "EACCES", NULL },
    { "refuse_make_outside", "EACCES", NULL },
    { "refuse_make_folder_outside", "EACCES", NULL },
    { "refuse_make_socket_outside", "EACCES ENOSYS", NULL },
    { "refuse_write_usr", "EACCES", NULL },
    { "refuse_etc", "EACCES ENOENT", NULL },
    { "refuse_list_root", "EACCES", NULL },
    { "refuse_list_tmp", "EACCES", NULL },
    { "refuse_hidden", "EACCES ENOENT", NULL },
    { "refuse_list_proc", "EACCES", NULL },
    { "refuse_sys", "EACCES", NULL },
    { "refuse_terminal", "EACCES", NULL },
    { "refuse_victim_command", "EACCES", NULL },
    { "refuse_victim_environment", "EACCES EPERM", NULL },
    { "refuse_victim_memory", "EACCES EPERM", NULL },
    { "refuse_victim_root", "EACCES EPERM", NULL },
    { "refuse_victim_fd", "EACCES EPERM", NULL },
    { "refuse_trace_victim", "EPERM", NULL },
    { "refuse_read_victim", "EPERM", NULL },
    { "refuse_limit_victim", "ENOSYS", NULL },
    { "refuse_pin_victim", "ENOSYS", NULL },
    { "refuse_nice_victim", "ENOSYS", NULL },
    { "refuse_nice_user", "ENOSYS", NULL },
    { "refuse_signal_victim", "EPERM", NULL },
    { "refuse_signal_init", "EPERM", NULL },
    { "refuse_queue_victim", "EPERM", NULL },
    { "refuse_tcp", "EBADF", NULL }, /* there is no socket to connect */
    { "refuse_udp", "EAFNOSUPPORT", NULL },
    { "refuse_ip6", "EAFNOSUPPORT", NULL },
    { "refuse_netlink", "EAFNOSUPPORT", NULL },
    { "refuse_raw", "EAFNOSUPPORT EPERM", NULL },
    { "refuse_unix", "EAFNOSUPPORT", NULL },
    { "refuse_unix_datagrams", "EAFNOSUPPORT", NULL },
    { "refuse_path_socket", "EAFNOSUPPORT", NULL },
    { "refuse_datagram_pair", "ENOSYS", NULL },
    { "refuse_stream_pair_elsewhere", "EISCONN", NULL },
    { "refuse_shared_memory", "ENOSYS", NULL },
    { "refuse_messages", "ENOSYS", NULL },
    { "refuse_watch", "ENOSYS", NULL },
    { "refuse_mount", "EPERM", NULL },
    { "refuse_unshare", "EPERM", NULL },
    { "refuse_dots", "EACCES", NULL },
    { "refuse_link", "EXDEV EACCES EPERM", NULL },
    { "refuse_rename", "EXDEV EACCES", NULL },
    { "refuse_device", "EPERM", NULL },
    { "refuse_setuid", "EPERM", NULL },
    { "gap_mode", "EPERM", "done" },
    { "gap_times", "EACCES EPERM", "done" },
    { "gap_attribute", "EACCES EPERM", "done EOPNOTSUPP" },
    { "gap_names", "done", NULL },
    { "allow_workspace", "done", NULL },
    { "allow_fork", "done", NULL },
    { "allow_shell", "done", NULL },
    { "allow_home", "done", NULL },
    { "allow_tmp", "done", NULL },
    { "allow_pair", "done", NULL },
    { "allow_packets", "done", NULL },
    { "allow_null", "done", NULL },
    { "allow_random", "done", NULL },
    { "allow_cpuinfo", "done", NULL },
    { "allow_stdout_by_name", "done", NULL },
    { "allow_users", "done", NULL },
    { "allow_signal_self", "done", NULL },
    { "allow_memfd", "done", NULL },
    { "own_semaphore", "done", "EACCES" },
};

#endif
