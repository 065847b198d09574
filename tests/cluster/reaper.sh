# Ends what a test process leaves behind, however that process ends.
#
# usage: sh -c "$(cat reaper.sh)" reaper DIRECTORY
#
# Standard input is a pipe whose only write end is held by the test process. The kernel closes that end
# on a normal exit as on SIGKILL, so end of file here means: the test process is gone, or wants this.
# DIRECTORY is made here, so that nobody else's folder can ever be removed. Two things tell what runs:
#   - DIRECTORY/processes, a line "PID START NAME" for each server, oldest first. Pids are reused; with
#     the process's start time (field 22 of /proc/PID/stat, "-" where there is no /proc) they are not.
#   - the variable WAVEGATE_CONTROL_PLANE=DIRECTORY in the environment of every program that was
#     started. It also finds a process killed for before its line was written, and its descendants.
set -u
directory=$1
marker=WAVEGATE_CONTROL_PLANE=$directory
processes=$directory/processes

# A terminal's hang-up must not end this process before its work; nor must the closed standard output.
trap '' HUP INT QUIT TERM PIPE

umask 077
mkdir "$directory" || exit 1
: >"$processes" || exit 1
echo ready
exec >/dev/null 2>&1

# Is the process still the one that was started? One that has ended and only waits to be collected by
# its parent is not. $1: pid, $2: start time
runs() {
    if [ ! -r /proc/self/stat ]; then
        case $(ps -o stat= -p "$1") in '' | Z*) return 1 ;; *) return 0 ;; esac
    fi
    pid=$1 start=$2
    { read -r stat <"/proc/$pid/stat"; } || return 1
    # The second field is the program's name in parentheses and may hold spaces: count behind it.
    # shellcheck disable=SC2086
    set -- ${stat##*) }
    case $1 in Z | X) return 1 ;; esac
    [ "$start" = - ] || [ "${20}" = "$start" ]
}

# The pids of all processes that carry the marker, where /proc tells: there the entries of an
# environment end with NUL, which -z takes for the end of a line.
marked() {
    grep -lszxF -e "$marker" /proc/[0-9]*/environ | cut -d / -f 3
}

# Waits up to ten seconds for the processes "PID:START" to be gone.
gone() {
    tries=0
    while [ $((tries += 1)) -le 200 ]; do
        left=
        for process in "$@"; do
            runs "${process%:*}" "${process#*:}" && left=1
        done
        [ -z "$left" ] && return
        pause
    done
}

# Fractions of a second are no part of POSIX.
pause() {
    sleep 0.05 || sleep 1
}

while read -r _; do :; done

newest_first=
while read -r pid start _; do
    newest_first="$pid:$start $newest_first"
done <"$processes"

# Each server leads a process group of its own.
for process in $newest_first; do
    pid=${process%:*}
    runs "$pid" "${process#*:}" && { kill -KILL "-$pid" || kill -KILL "$pid"; }
done
# shellcheck disable=SC2086
gone $newest_first

# What a process starts between the search and its death is found by the next search.
tries=0
while [ $((tries += 1)) -le 200 ]; do
    pids=$(marked)
    [ -z "$pids" ] && break
    # shellcheck disable=SC2086
    kill -KILL $pids
    pause
done

# A node's Pods have cgroups under one that is named like the directory. An empty cgroup can be removed.
# Fails while there is one whose processes have not quite ended.
remove_cgroups() {
    gone=0
    for cgroup in "/sys/fs/cgroup/${directory##*/}" /sys/fs/cgroup/*/"${directory##*/}"; do
        [ -d "$cgroup" ] || continue
        find "$cgroup" -depth -type d -exec rmdir {} \;
        [ -d "$cgroup" ] && gone=1
    done
    return $gone
}

tries=0
while [ $((tries += 1)) -le 20 ]; do
    rm -rf "$directory"
    remove_cgroups && [ ! -e "$directory" ] && exit 0
    # Argo CD keeps its copies of repositories in folders that even it cannot read.
    chmod -R u+rwx "$directory"
    pause
done
exit 1
