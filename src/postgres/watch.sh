# Stop the cluster in $1 when no process that uses it lives any more, after $2 further seconds. Remove $3, where its socket
# is, and with `remove` for $4 all its data too.
#
# It must outlive every one of those processes, also one that is killed, so it is a process of its own. A process says
# that it uses the cluster by a file in holders/ whose name begins with its pid, and looks for the file `stopping` afterwards; here the
# file is written first and the holders are looked at afterwards, so that one of the two always sees the other.

dir=$1
linger=$2
socket=$3

alive() {
    if [ -d /proc/self ]; then
        read -r stat 2>/dev/null <"/proc/$1/stat" || return 1
        case ${stat##*) } in [ZX]*) return 1 ;; esac
    else
        kill -0 "$1" 2>/dev/null
    fi
}

# Whether $1 is a living Postgres with its data in our directory: a pid found in a file may long belong to something else.
is_postgres() {
    alive "$1" || return 1
    if [ -d /proc/self ]; then
        case $stat in *"(postgres)"* | *"(postmaster)"*) ;; *) return 1 ;; esac
        # Where it works is not for everyone to see, root in a container included; with which arguments it was begun is.
        if cwd=$(readlink "/proc/$1/cwd" 2>/dev/null); then
            [ "$cwd" = "$dir/data" ] || [ "$cwd" = "$dir/data (deleted)" ]
            return
        fi
        args=$(tr '\0' ' ' 2>/dev/null <"/proc/$1/cmdline")
    else
        case $(ps -o comm= -p "$1") in *postgres | *postmaster) ;; *) return 1 ;; esac
        args=$(ps -ww -o args= -p "$1")
    fi
    case " $args " in *" -D $dir/data "*) return 0 ;; esac
    return 1
}

used() {
    # The directory may be removed under us; the process to stop is then still known.
    if [ -r "$dir/data/postmaster.pid" ]; then read -r pid <"$dir/data/postmaster.pid"; fi
    living=
    for holder in "$dir"/holders/*; do
        [ -e "$holder" ] || continue
        user=${holder##*/}
        if alive "${user%%.*}"; then living=yes; else rm -f "$holder"; fi
    done
    [ -n "$living" ]
}

# $1: signal, $2: seconds to wait for the end.
stop() {
    is_postgres "$pid" || return 0
    kill "-$1" "$pid" 2>/dev/null
    waited=0
    while is_postgres "$pid"; do
        [ "$waited" -lt "$2" ] || return 1
        sleep 1
        waited=$((waited + 1))
    done
}

pid=
while :; do
    while used; do sleep 1; done
    waited=0
    while [ "$waited" -lt "$linger" ] && ! used; do
        sleep 1
        waited=$((waited + 1))
    done
    used && continue
    if [ -d "$dir" ]; then : >"$dir/stopping"; fi
    if used; then
        rm -f "$dir/stopping"
        continue
    fi
    if [ -n "$pid" ]; then stop INT 30 || stop QUIT 10 || stop KILL 10; fi
    # Usually gone by now; a server whose data were removed leaves them.
    rm -f "$socket/.s.PGSQL.5432" "$socket/.s.PGSQL.5432.lock"
    rmdir "$socket" 2>/dev/null
    rm -f "$dir/watcher" "$dir/stopping"
    if [ "$4" = remove ]; then rm -rf "$dir"; fi
    exit 0
done
