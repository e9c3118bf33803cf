/* SPDX-License-Identifier: MIT */
#include "contexts/profile.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "contexts/context.h"
#include "contexts/runtime.h"
#include "contexts/sandbox/policy.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "tests/contexts/confined.h"

#define OUTPUT_BYTES 8192
#define WATCHDOG_S 60

/* A home with secrets, a project and a virtual environment, and a runtime beside it. */
static const struct {
    const char *path;
    const char *content; /* NULL: a directory */
} tree[] = {
    { "home", NULL },
    { "home/.ssh", NULL },
    { "home/.ssh/id", "key\n" },
    { "home/.netrc", "password\n" },
    { "home/.cache", NULL },
    { "home/.cache/matplotlib", NULL },
    { "home/.cache/matplotlib/fontlist-v1.json", "{\"fonts\": []}\n" },
    { "home/.pyenv", NULL },
    { "home/.pyenv/token", "token\n" },
    { "home/.pyenv/3", NULL },
    { "home/.pyenv/3/python", "#!/bin/sh\necho $0 \"$@\"\n" },
    { "home/diary", "dear diary\n" },
    { "home/project", NULL },
    { "home/project/data", "1,2,3\n" },
    { "home/project/.env", "visible\n" },
    { "home/project/venv", NULL },
    { "home/project/venv/python", "#!/bin/sh\necho $0 \"$@\"\n" },
    { "prefix", NULL },
    { "prefix/library", "library\n" },
    { "prefix/work", NULL },
    { "runtime", NULL },
    { "runtime/runner", "#!/bin/sh\necho runner\n" },
};

#define PROGRAM_BYTES_MAX ((size_t)64 * 1024)

struct fixture {
    char root[64];
    struct runtime runtime;
    char *argv[4];
    char *env[4];
    char *mounts[4];
    struct context_options options;
    struct buffer program; /* of either role: what it forbids is tested elsewhere */
    struct profile_programs programs;
    struct error err;
    char *output;
};

static char *
text(const char *literal)
{
    return (char *)(uintptr_t)literal;
}

/* ROOT/NAME in one of some static places. */
static const char *
at(const struct fixture *f, const char *name)
{
    static char paths[8][PATH_MAX];
    static unsigned next;
    char *path = paths[next++ % N_ELEMENTS(paths)];

    snprintf(path, PATH_MAX, "%s/%s", f->root, name);
    return path;
}

static void
make_tree(const struct fixture *f)
{
    for (size_t i = 0; i < N_ELEMENTS(tree); i++) {
        FILE *file;

        if (tree[i].content == NULL) {
            assert_int_equal(mkdir(at(f, tree[i].path), 0755), 0);
            continue;
        }
        file = fopen(at(f, tree[i].path), "we");
        assert_non_null(file);
        assert_true(fputs(tree[i].content, file) >= 0);
        fclose(file);
        assert_int_equal(chmod(at(f, tree[i].path), 0755), 0);
    }
}

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    char *real;

    assert_non_null(f);
    strcpy(f->root, "/tmp/test_profile.XXXXXX");
    assert_non_null(mkdtemp(f->root));
    real = realpath(f->root, NULL); /* as a profile gives paths back */
    assert_true(real != NULL && strlen(real) < sizeof f->root);
    strcpy(f->root, real);
    free(real);
    assert_int_equal(chmod(f->root, 0755), 0);
    make_tree(f);
    f->output = malloc(OUTPUT_BYTES);
    assert_non_null(f->output);
    f->argv[0] = text("/bin/sh");
    f->argv[1] = text("-c");
    f->runtime = (struct runtime){ .name = text("toy"),
                                   .folder = strdup(at(f, "runtime")),
                                   .argv = f->argv,
                                   .env = f->env,
                                   .mounts = f->mounts };
    f->options =
        (struct context_options){ .runtime = &f->runtime,
                                  .directory = strdup(at(f, "home/project")),
                                  .limits = context_limits_of(CONTEXT_PROFILE_NOTEBOOK) };
    assert_int_equal(setenv("HOME", at(f, "home"), 1), 0);
    buffer_init(&f->program, PROGRAM_BYTES_MAX);
    assert_int_equal(sandbox_policy_compile(&f->program, SANDBOX_ROLE_RUNNER, NULL), 0);
    for (size_t i = 0; i < N_ELEMENTS(f->programs.of_role); i++)
        f->programs.of_role[i] = buffer_slice(&f->program);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;
    char command[128];

    snprintf(command, sizeof command, "rm -rf '%s'", f->root);
    assert_int_equal(system(command), 0);
    free(f->runtime.folder);
    free((char *)(uintptr_t)f->options.directory);
    free(f->output);
    buffer_fini(&f->program);
    free(f);
    return 0;
}

static void
set_directory(struct fixture *f, const char *path)
{
    free((char *)(uintptr_t)f->options.directory);
    f->options.directory = strdup(path);
}

/* The result of making a profile that is not used. */
static int
make(struct fixture *f)
{
    struct profile *profile = NULL;
    int r;

    f->err = (struct error){ 0 };
    r = profile_create(&profile, &f->options, &f->programs, &f->err);
    assert_int_equal(r != 0, f->err.text[0] != '\0');
    profile_destroy(profile);
    return r;
}

/* What SCRIPT, confined, prints. */
static const char *
shell(struct fixture *f, const char *script)
{
    struct profile *profile;

    f->argv[2] = text(script);
    assert_int_equal(profile_create(&profile, &f->options, &f->programs, &f->err), 0);
    confined_run(profile_spec(profile), f->output, OUTPUT_BYTES);
    profile_destroy(profile);
    return f->output;
}

static const char *
find_variable(const struct profile *profile, const char *name)
{
    const char *const *env = profile_spec(profile)->env;
    const char *found = NULL;

    for (size_t i = 0; env[i] != NULL; i++) {
        if (strncmp(env[i], name, strlen(name)) != 0 || env[i][strlen(name)] != '=')
            continue;
        assert_null(found); /* each name once */
        found = env[i] + strlen(name) + 1;
    }
    return found;
}

static void
test_the_directory_is_writable_and_the_rest_of_home_is_not_there(void **state)
{
    struct fixture *f = *state;
    struct stat st;

    assert_string_equal(
        shell(f, "pwd; cat data .env; echo new > made; cd ~; pwd; ls -A; touch x && ls"),
        (snprintf(f->output + OUTPUT_BYTES / 2, OUTPUT_BYTES / 2,
                  "%s/home/project\n1,2,3\nvisible\n%s/home\nproject\nproject\nx\n",
                  f->root, f->root),
         f->output + OUTPUT_BYTES / 2));
    assert_int_equal(stat(at(f, "home/project/made"), &st), 0);
    assert_int_equal(st.st_uid, geteuid());
    assert_int_equal(access(at(f, "home/x"), F_OK), -1);
}

static void
test_hidden_entries_are_masked_when_the_directory_is_home_or_above(void **state)
{
    struct fixture *f = *state;
    const char *script = "cd ~; cat diary; ls -A .ssh .pyenv; wc -c < .netrc; "
                         "touch .ssh/x .pyenv/x .netrc/x 2>/dev/null; echo x >> .netrc; "
                         "ls -A .ssh; echo y > .new && cat .new";

    set_directory(f, at(f, "home"));
    shell(f, script);
    assert_non_null(strstr(f->output, "dear diary\n.pyenv:\n\n.ssh:\n0\n"));
    assert_null(strstr(f->output, "token"));
    assert_non_null(strstr(f->output, "y\n"));
    set_directory(f, f->root);
    unlink(at(f, "home/.new"));
    shell(f, script);
    assert_non_null(strstr(f->output, "dear diary\n.pyenv:\n\n.ssh:\n0\n"));
    assert_null(strstr(f->output, "token"));
}

static void
test_an_interpreter_below_a_hidden_entry_is_shown_alone(void **state)
{
    struct fixture *f = *state;
    const char *const mounts[] = { at(f, "home/.pyenv/3"), NULL };

    f->options.mounts = mounts;
    set_directory(f, at(f, "home"));
    shell(f, "ls -A ~/.pyenv; ~/.pyenv/3/python; echo x > ~/.pyenv/3/python");
    assert_non_null(strstr(f->output, "3\n"));
    assert_non_null(strstr(f->output, "/home/.pyenv/3/python\n"));
    assert_non_null(strstr(f->output, "Read-only"));
    assert_null(strstr(f->output, "token"));
}

static void
test_an_environment_in_the_directory_is_read_only(void **state)
{
    struct fixture *f = *state;
    const char *const mounts[] = { at(f, "home/project/venv"), at(f, "home/project"),
                                   NULL };

    f->options.mounts = mounts;
    shell(f, "echo x > venv/python; touch beside && ls");
    assert_non_null(strstr(f->output, "Read-only"));
    assert_non_null(strstr(f->output, "beside\ndata\nvenv\n"));
}

/* Else the next context would be shown whatever user code has put in its place. */
static void
test_the_way_to_an_environment_in_the_directory_cannot_be_moved(void **state)
{
    struct fixture *f = *state;
    const char *const mounts[] = { at(f, "home/project/venv"), NULL };

    f->options.mounts = mounts;
    set_directory(f, at(f, "home"));
    shell(f, "mv project elsewhere; mv project/venv v; touch project/beside; ls project");
    assert_non_null(strstr(f->output, "cannot move 'project'"));
    assert_non_null(strstr(f->output, "beside\ndata\nvenv\n"));
}

static void
test_links_in_the_directory_are_no_environments(void **state)
{
    struct fixture *f = *state;
    const char *const mounts[] = { at(f, "home/project/link"), NULL };

    assert_int_equal(symlink(at(f, "prefix"), at(f, "home/project/link")), 0);
    f->options.mounts = mounts;
    shell(f, "ls link/");
    assert_null(strstr(f->output, "library"));
}

static void
test_a_directory_inside_an_environment_is_writable(void **state)
{
    struct fixture *f = *state;
    const char *const mounts[] = { at(f, "prefix"), NULL };

    f->options.mounts = mounts;
    set_directory(f, at(f, "prefix/work"));
    shell(f, "cat ../library; touch x && ls; touch ../x");
    assert_non_null(strstr(f->output, "library\nx\n"));
    assert_non_null(strstr(f->output, "Read-only"));
}

static void
test_mounts_that_would_show_or_cover_too_much_are_left_out(void **state)
{
    struct fixture *f = *state;
    const char *const mounts[] = { "/",    "/tmp",        "/etc",         "/var",
                                   "/run", at(f, "home"), at(f, "home/"), "relative",
                                   "",     "/no/such",    "/proc/1",      f->root,
                                   NULL };

    f->options.mounts = mounts;
    shell(f, "ls -A ~; touch /tmp/x && ls /tmp; test -e /etc/shadow && echo shadow");
    assert_null(strstr(f->output, "diary"));
    assert_null(strstr(f->output, "shadow"));
    assert_non_null(strstr(f->output, "project\n"));
    assert_non_null(strstr(f->output, "x\n"));
}

static void
test_the_system_is_read_only_and_etc_holds_only_what_is_listed(void **state)
{
    struct fixture *f = *state;

    shell(f, "touch /usr/x /etc/x /x /run/x; cat /etc/hosts /etc/passwd; ls /etc/; "
             "hostname; test -d /bin -a -d /lib && echo links");
    assert_null(strstr(f->output, "shadow"));
    assert_null(strstr(f->output, "resolv.conf"));
    assert_non_null(strstr(f->output, "127.0.0.1 localhost"));
    assert_non_null(strstr(f->output, "user:x:1000:"));
    assert_non_null(strstr(f->output, "nsswitch.conf"));
    assert_non_null(strstr(f->output, "links\n"));
    shell(f, "touch /usr/x 2>/dev/null || touch /etc/x 2>/dev/null || echo refused");
    assert_string_equal(f->output, "refused\n");
}

static void
test_names_are_looked_up_only_with_a_network(void **state)
{
    struct fixture *f = *state;

    f->options.network = SANDBOX_NETWORK_HOST;
    shell(f, "ls /etc/");
    assert_int_equal(access("/etc/resolv.conf", F_OK) == 0,
                     strstr(f->output, "resolv.conf") != NULL);
}

static void
test_fixed_folders_are_there_and_writable(void **state)
{
    struct fixture *f = *state;

    shell(f, "for d in $IPYTHONDIR $MPLCONFIGDIR $PIP_TARGET $XDG_CACHE_HOME $TMPDIR "
             "/var/tmp /dev/shm $HOME; do touch $d/x && echo $d; done");
    snprintf(f->output + OUTPUT_BYTES / 2, OUTPUT_BYTES / 2,
             "/run/cellwall/ipython\n/run/cellwall/matplotlib\n/run/cellwall/packages\n"
             "/run/cellwall/cache\n/tmp\n/var/tmp\n/dev/shm\n%s/home\n",
             f->root);
    assert_string_equal(f->output, f->output + OUTPUT_BYTES / 2);
}

static void
test_a_list_of_fonts_is_handed_on(void **state)
{
    struct fixture *f = *state;

    shell(f, "cd $MPLCONFIGDIR; cat fontlist-v1.json; echo x > fontlist-v1.json");
    assert_non_null(strstr(f->output, "{\"fonts\": []}\n"));
    assert_non_null(strstr(f->output, "Read-only"));
}

static void
test_a_link_that_was_left_to_be_followed_is_not(void **state)
{
    struct fixture *f = *state;
    const char *const mounts[] = { at(f, "home/project/home"), NULL };

    assert_int_equal(
        symlink("../../.ssh/id", at(f, "home/.cache/matplotlib/fontlist-v2.json")), 0);
    assert_int_equal(symlink("..", at(f, "home/project/home")), 0);
    f->options.mounts = mounts;
    shell(f, "ls $MPLCONFIGDIR; ls -A ~ home/");
    assert_null(strstr(f->output, "v2"));
    assert_null(strstr(f->output, "diary"));
}

static void
test_the_runtime_is_shown_read_only_at_its_own_path(void **state)
{
    struct fixture *f = *state;
    char script[PATH_MAX];

    snprintf(script, sizeof script, "%s/runner; echo x > %s/runner", f->runtime.folder,
             f->runtime.folder);
    shell(f, script);
    assert_non_null(strstr(f->output, "runner\n"));
    assert_non_null(strstr(f->output, "Read-only"));
}

static void
test_no_variable_passes_that_is_not_listed(void **state)
{
    static const char *const listed[] = {
        "PATH",
        "HOME",
        "LANG",
        "LC_ALL",
        "TZ",
        "TERM",
        "CLICOLOR",
        "CLICOLOR_FORCE",
        "FORCE_COLOR",
        "PAGER",
        "GIT_PAGER",
        "MPLCONFIGDIR",
        "IPYTHONDIR",
        "PIP_TARGET",
        "USER",
        "LOGNAME",
        "SHELL",
        "TMPDIR",
        "XDG_CACHE_HOME",
        "OMP_NUM_THREADS",
        "PIP_DISABLE_PIP_VERSION_CHECK",
    };
    struct fixture *f = *state;
    struct profile *profile;
    const char *const *env;
    char *kept = strdup(getenv("PATH"));

    clearenv();
    setenv("PATH", kept, 1);
    setenv("HOME", at(f, "home"), 1);
    free(kept);
    setenv("LC_ALL", "de_DE.UTF-8", 1);
    setenv("TZ", "UTC", 1);
    setenv("OMP_NUM_THREADS", "1", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
    setenv("JUPYTER_TOKEN", "secret", 1);
    setenv("JPY_API_TOKEN", "secret", 1);
    setenv("SSH_AUTH_SOCK", "secret", 1);
    setenv("LANGX", "secret", 1);
    setenv("PYTHONPATH", "secret", 1);
    setenv("LD_PRELOAD_", "secret", 1);
    assert_int_equal(profile_create(&profile, &f->options, &f->programs, NULL), 0);
    env = profile_spec(profile)->env;
    for (size_t i = 0; env[i] != NULL; i++) {
        bool is_listed = false;

        assert_null(strstr(env[i], "secret"));
        for (size_t j = 0; j < N_ELEMENTS(listed); j++) {
            size_t length = strlen(listed[j]);

            is_listed |= strncmp(env[i], listed[j], length) == 0 && env[i][length] == '=';
        }
        assert_true(is_listed);
    }
    for (size_t j = 0; j < N_ELEMENTS(listed); j++)
        assert_non_null(find_variable(profile, listed[j]));
    profile_destroy(profile);
}

static void
test_the_runtime_and_then_the_options_replace_variables(void **state)
{
    static const char *const env[] = { "PAGER=mine", "EMPTY=", "A=1", "A=2", NULL };
    struct fixture *f = *state;
    struct profile *profile;

    f->env[0] = text("PAGER=theirs");
    f->env[1] = text("TERM=dumb");
    f->env[2] = text("WHERE={runtime}/x");
    f->options.env = env;
    assert_int_equal(profile_create(&profile, &f->options, &f->programs, NULL), 0);
    assert_string_equal(find_variable(profile, "PAGER"), "mine");
    assert_string_equal(find_variable(profile, "TERM"), "dumb");
    assert_string_equal(find_variable(profile, "WHERE"), at(f, "runtime/x"));
    assert_string_equal(find_variable(profile, "EMPTY"), "");
    assert_string_equal(find_variable(profile, "A"), "2");
    assert_string_equal(find_variable(profile, "LANG"),
                        getenv("LANG") != NULL ? getenv("LANG") : "C.UTF-8");
    profile_destroy(profile);

    f->options.env = (const char *const[]){ "NONAME", NULL };
    assert_int_equal(make(f), PROFILE_E_OPTIONS);
}

static void
test_system_directories_are_refused(void **state)
{
    static const char *const refused[] = { "/",    "/usr",  "/usr/bin", "/etc", "/proc",
                                           "/sys", "/dev",  "/dev/shm", "/run", "/var",
                                           "/bin", "/boot", "/lib" };
    struct fixture *f = *state;

    for (size_t i = 0; i < N_ELEMENTS(refused); i++) {
        set_directory(f, refused[i]);
        assert_int_equal(make(f), PROFILE_E_OPTIONS);
        assert_non_null(strstr(f->err.text, "belongs to the system"));
    }
    assert_int_equal(symlink("/usr", at(f, "home/link")), 0);
    set_directory(f, at(f, "home/link"));
    assert_int_equal(make(f), PROFILE_E_OPTIONS);
}

static void
test_a_directory_that_is_none_is_refused(void **state)
{
    struct fixture *f = *state;
    const char *const wrong[] = { "", "project", at(f, "no"), at(f, "home/diary") };

    for (size_t i = 0; i < N_ELEMENTS(wrong); i++) {
        set_directory(f, wrong[i]);
        assert_int_equal(make(f), PROFILE_E_OPTIONS);
    }
}

static void
test_a_link_to_the_directory_is_followed(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(symlink("home/project", at(f, "link")), 0);
    set_directory(f, at(f, "runtime/../link"));
    assert_string_equal(shell(f, "pwd; ls -A ../"),
                        (snprintf(f->output + OUTPUT_BYTES / 2, OUTPUT_BYTES / 2,
                                  "%s/home/project\nproject\n", f->root),
                         f->output + OUTPUT_BYTES / 2));
}

static void
test_an_unusable_home_gets_a_made_up_one(void **state)
{
    static const char *const homes[] = { "/", "/usr", "/nonexistent", "relative" };
    struct fixture *f = *state;

    for (size_t i = 0; i < N_ELEMENTS(homes); i++) {
        setenv("HOME", homes[i], 1);
        assert_string_equal(shell(f, "cd; pwd; touch x"), "/home/user\n");
    }
}

static void
test_the_interpreter_is_in_argv_and_first_in_path(void **state)
{
    struct fixture *f = *state;
    const char *const mounts[] = { at(f, "home/.pyenv/3"), NULL };
    struct profile *profile;

    f->argv[0] = text("{interpreter}");
    f->argv[1] = text("{runtime}/runner");
    f->runtime.interpreter = text("python3");
    f->options.interpreter = at(f, "home/.pyenv/3/python");
    f->options.mounts = mounts;
    assert_int_equal(profile_create(&profile, &f->options, &f->programs, NULL), 0);
    assert_string_equal(profile_spec(profile)->argv[0], at(f, "home/.pyenv/3/python"));
    assert_string_equal(profile_spec(profile)->argv[1], at(f, "runtime/runner"));
    assert_ptr_equal(strstr(find_variable(profile, "PATH"), at(f, "home/.pyenv/3:")),
                     find_variable(profile, "PATH"));
    assert_int_equal(confined_run(profile_spec(profile), f->output, OUTPUT_BYTES), 0);
    assert_non_null(strstr(f->output, "/runtime/runner\n"));
    profile_destroy(profile);
}

static void
test_an_interpreter_that_is_missing_or_not_shown_is_refused(void **state)
{
    struct fixture *f = *state;

    f->argv[0] = text("{interpreter}");
    f->argv[1] = NULL;
    f->runtime.interpreter = text("python3");
    f->options.interpreter = "/no/such/python";
    assert_int_equal(make(f), PROFILE_E_OPTIONS);
    assert_non_null(strstr(f->err.text, "/no/such/python"));
    f->options.interpreter = at(f, "home/.pyenv/3/python");
    assert_int_equal(make(f), PROFILE_E_OPTIONS);
    assert_non_null(strstr(f->err.text, "mounts"));
    f->options.interpreter = NULL;
    f->runtime.interpreter = NULL;
    assert_int_equal(make(f), PROFILE_E_OPTIONS);
}

static void
test_more_hidden_entries_than_can_be_masked_are_an_error(void **state)
{
    struct fixture *f = *state;
    char name[64];

    set_directory(f, at(f, "home"));
    for (int i = 0; i < SANDBOX_MOUNTS_MAX; i++) {
        snprintf(name, sizeof name, "home/.hidden%d", i);
        assert_int_equal(mkdir(at(f, name), 0700), 0);
    }
    assert_int_equal(make(f), PROFILE_E_OPTIONS);
    assert_non_null(strstr(f->err.text, "hidden entries"));
}

static void
test_the_limits_of_a_notebook_are_generous(void **state)
{
    struct context_limits limits = context_limits_of(CONTEXT_PROFILE_NOTEBOOK);

    (void)state;
    assert_true(limits.sandbox.processes >= 1024);
    assert_true(limits.sandbox.open_files >= 256);
    assert_true(limits.tmp_bytes >= UINT64_C(1) << 30);
    assert_true(limits.tmp_inodes >= 10000);
    assert_true(limits.output_bytes >= 1 << 20);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(test_the_directory_is_writable_and_the_rest_of_home_is_not_there),
        TEST(test_hidden_entries_are_masked_when_the_directory_is_home_or_above),
        TEST(test_an_interpreter_below_a_hidden_entry_is_shown_alone),
        TEST(test_an_environment_in_the_directory_is_read_only),
        TEST(test_the_way_to_an_environment_in_the_directory_cannot_be_moved),
        TEST(test_links_in_the_directory_are_no_environments),
        TEST(test_a_directory_inside_an_environment_is_writable),
        TEST(test_mounts_that_would_show_or_cover_too_much_are_left_out),
        TEST(test_the_system_is_read_only_and_etc_holds_only_what_is_listed),
        TEST(test_names_are_looked_up_only_with_a_network),
        TEST(test_fixed_folders_are_there_and_writable),
        TEST(test_a_list_of_fonts_is_handed_on),
        TEST(test_a_link_that_was_left_to_be_followed_is_not),
        TEST(test_the_runtime_is_shown_read_only_at_its_own_path),
        TEST(test_no_variable_passes_that_is_not_listed),
        TEST(test_the_runtime_and_then_the_options_replace_variables),
        TEST(test_system_directories_are_refused),
        TEST(test_a_directory_that_is_none_is_refused),
        TEST(test_a_link_to_the_directory_is_followed),
        TEST(test_an_unusable_home_gets_a_made_up_one),
        TEST(test_the_interpreter_is_in_argv_and_first_in_path),
        TEST(test_an_interpreter_that_is_missing_or_not_shown_is_refused),
        TEST(test_more_hidden_entries_than_can_be_masked_are_an_error),
        TEST(test_the_limits_of_a_notebook_are_generous),
    };

    alarm(WATCHDOG_S);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
