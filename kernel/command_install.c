/* SPDX-License-Identifier: MIT */
/* cellwall install-kernelspec */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "contexts/runtime.h"
#include "kernel/command.h"
#include "kernel/file.h"
#include "kernel/kernelspec.h"
#include "kernel/limits.h"
#include "kernel/log.h"
#include "kernel/probe.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"

struct install {
    struct option_list runtimes;
    const char *python;
    const char *network;
    const char *profile;
    const char *limits;
    const char *tier;
    const char *prefix;
    bool user, sys_prefix;
};

static const struct option_spec options[] = {
    { "runtime", 0, OPTION_LIST, "NAME", NULL, offsetof(struct install, runtimes),
      "Install a kernelspec for this runtime. May be given several times. The\n"
      "default is python." },
    { "python", 0, OPTION_TEXT, "PATH", NULL, offsetof(struct install, python),
      "The interpreter that the kernel shall run: its virtual environment or conda\n"
      "environment, with all packages, comes with it. The default is the runtime's\n"
      "own, looked up in PATH." },
    { "interpreter", 0, OPTION_TEXT, "NAME", NULL, offsetof(struct install, python),
      "The same, for runtimes that serve more than one language: with --runtime jupyter\n"
      "the name of an installed kernelspec, or its path." },
    { "network", 0, OPTION_CHOICE, NULL, "none|host", offsetof(struct install, network),
      "Whether code in the sandbox sees the host's network. The default is none." },
    { "profile", 0, OPTION_CHOICE, NULL, "notebook|agent",
      offsetof(struct install, profile),
      "What the kernel sees and may use: see \"cellwall kernel --help\"." },
    { "limits", 0, OPTION_TEXT, "LIST", NULL, offsetof(struct install, limits),
      "Other limits than the profile's, such as memory=4G,cpus=2: see \"cellwall kernel\n"
      "--help\"." },
    { "tier", 0, OPTION_CHOICE, NULL, "full|nested", offsetof(struct install, tier),
      "The weakest sandbox that will do: see \"cellwall kernel --help\"." },
    { "user", 0, OPTION_FLAG, NULL, NULL, offsetof(struct install, user),
      "Install for this user, in Jupyter's data folder. This is the default." },
    { "prefix", 0, OPTION_TEXT, "DIR", NULL, offsetof(struct install, prefix),
      "Install into DIR/share/jupyter/kernels." },
    { "sys-prefix", 0, OPTION_FLAG, NULL, NULL, offsetof(struct install, sys_prefix),
      "Install into the environment of the interpreter: its prefix is DIR." },
};

/* Where the kernelspec goes. */
static int
find_kernels(char ret[PATH_MAX], const struct install *install,
             const struct environment *environment, struct error *err)
{
    char data[PATH_MAX];
    const char *prefix = install->prefix;

    if (install->sys_prefix) {
        prefix = environment->prefix;
        if (prefix == NULL)
            return error_set(err, FILE_E_FAILED,
                             "--sys-prefix: this runtime's interpreter names no prefix; "
                             "use --prefix DIR");
    }
    if (prefix != NULL)
        return file_join(ret, prefix, "share/jupyter/kernels", err);
    if (file_jupyter_data(data, err) != 0)
        return FILE_E_FAILED;
    return file_join(ret, data, "kernels", err);
}

static int
install_one(const struct install *install, const char *name, struct error *err)
{
    struct runtime *runtime = NULL;
    CLEANUP(environment_destroyp) struct environment *environment = NULL;
    struct kernelspec spec = { .network = install->network,
                               .profile = install->profile,
                               .limits = install->limits,
                               .tier = install->tier,
                               .runtimes = getenv("CELLWALL_RUNTIMES") };
    char runtimes[PATH_MAX], program[PATH_MAX], kernels[PATH_MAX], path[PATH_MAX];
    int r;

    if (install->limits != NULL) {
        struct context_limits limits = context_limits_of(CONTEXT_PROFILE_NOTEBOOK);

        r = limits_parse(&limits, install->limits, err);
        if (r != 0)
            return r < 0 ? r : error_wrap(err, FILE_E_FAILED, "--limits");
    }
    r = file_runtimes(runtimes, err);
    if (r == 0)
        r = file_executable(program, err);
    if (r == 0)
        r = runtime_load(&runtime, runtimes, name, err);
    if (r == 0)
        r = environment_probe(&environment, runtime,
                              install->runtimes.count == 1
                                  ? install->python
                                  : environment_python(runtime, install->python),
                              err);
    if (r == 0)
        r = find_kernels(kernels, install, environment, err);
    if (r == 0) {
        spec.runtime = runtime;
        spec.environment = environment;
        spec.program = program;
        if (spec.runtimes != NULL)
            spec.runtimes = runtimes;
        r = kernelspec_write(&spec, kernels, path, err);
    }
    if (r == 0)
        printf("Installed kernelspec cellwall-%s in %s\n", environment->name, path);
    runtime_destroy(runtime);
    return r;
}

static int
run(char *const *argv)
{
    struct install install = { .network = "none" };
    int status = command_parse(&command_install_kernelspec, &install, argv, NULL);

    if (status >= 0)
        return status;
    if (install.user + install.sys_prefix + (install.prefix != NULL) > 1) {
        log_line("install-kernelspec: only one of --user, --prefix and --sys-prefix can "
                 "be given");
        return EXIT_STATUS_USAGE;
    }
    if (install.runtimes.count == 0)
        install.runtimes.items[install.runtimes.count++] = "python";
    for (size_t i = 0; i < install.runtimes.count; i++) {
        struct error err = { 0 };

        if (install_one(&install, install.runtimes.items[i], &err) != 0) {
            log_line("install-kernelspec: runtime %s: %s", install.runtimes.items[i],
                     err.text[0] != '\0' ? err.text : "out of memory");
            return EXIT_STATUS_FAILED;
        }
    }
    return EXIT_STATUS_OK;
}

const struct command command_install_kernelspec = {
    .name = "install-kernelspec",
    .summary = "make Jupyter show a Cellwall kernel",
    .synopsis =
        "[--runtime NAME]... [--python PATH | --interpreter NAME]\n"
        "                                  [--network none|host]\n"
        "                                  [--profile notebook|agent] [--limits LIST]\n"
        "                                  [--tier full|nested]\n"
        "                                  [--user | --prefix DIR | --sys-prefix]",
    .description =
        "      Writes a kernelspec named cellwall-NAME for each runtime, so that "
        "JupyterLab,\n"
        "      nbclient, papermill and other Jupyter clients offer it. The interpreter "
        "is\n"
        "      asked once for its version and for the folders that it needs; the answer "
        "is\n"
        "      kept in environment.json beside kernel.json: run this again when the\n"
        "      environment has moved. A kernelspec of the same name is replaced at "
        "once.\n"
        "      Nothing is installed if the interpreter lacks what the runtime needs.\n"
        "      Asking means running the interpreter outside of the sandbox.\n",
    .options = options,
    .option_count = N_ELEMENTS(options),
    .notes =
        "ENVIRONMENT\n"
        "      CELLWALL_RUNTIMES   folder of the runtimes; written into the kernelspec "
        "too\n"
        "      JUPYTER_DATA_DIR    Jupyter's data folder of this user; else\n"
        "                          $XDG_DATA_HOME/jupyter, else ~/.local/share/jupyter\n"
        "\n"
        "FILES\n"
        "      DIR/kernels/cellwall-NAME/{kernel.json,environment.json,logo-*}\n"
        "\n"
        "EXIT STATUS\n"
        "      0  installed      1  failed: stderr says why      2  wrong usage\n"
        "\n"
        "EXAMPLES\n"
        "      cellwall install-kernelspec\n"
        "      cellwall install-kernelspec --python .venv/bin/python --sys-prefix\n"
        "      cellwall install-kernelspec --runtime jupyter --interpreter ir\n"
        "\n"
        "      Remove it again with: jupyter kernelspec remove cellwall-python\n",
    .run = run,
};
