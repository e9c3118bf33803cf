# SPDX-License-Identifier: MIT
# Tells the host which bash this is. Run by the bash in question, outside of any sandbox.
error=null
if ((BASH_VERSINFO[0] < 5)); then
    error="\"bash $BASH_VERSION is too old: 5.0 is needed\""
elif ! enable -f "$1/cellwall.so" cellwall 2>/dev/null; then
    error="\"bash $BASH_VERSION at this place cannot load builtins\""
fi
printf '{"version": "%s", "mounts": [], "error": %s, "banner": "GNU bash, version %s",
"language_info": {"name": "bash", "version": "%s", "mimetype": "text/x-sh",
"file_extension": ".sh", "pygments_lexer": "bash", "codemirror_mode": "shell",
"nbconvert_exporter": "script"}}\n' \
    "$BASH_VERSION" "$error" "$BASH_VERSION" "$BASH_VERSION"
