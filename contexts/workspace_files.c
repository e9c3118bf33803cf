/* SPDX-License-Identifier: MIT */
#include "contexts/workspace_files.h"
