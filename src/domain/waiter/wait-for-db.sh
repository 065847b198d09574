# wavegate's wait-for-db: waits until a database's port accepts connections, for WAVEGATE_TIMEOUT seconds at most.
# A target that was only discovered never breaks a migration that works: what cannot be waited for ends with 0.
trap 'exit 143' TERM INT
say() { echo "wait-for-db: $*" >&2; }
skip() { say "$*; nothing to wait for"; exit 0; }

# read_target VALUE PORT: sets host and port from host, host:port or a URL; PORT is the default.
read_target() {
  value=$1 port=$2 scheme=
  value=${value#jdbc:}
  case $value in *://*) scheme=${value%%://*} value=${value#*://} ;; esac
  case ${scheme%%+*} in
    '') ;;
    postgres | postgresql | pgx | pgx4 | pgx5 | postgis | cockroach | cockroachdb | crdb-postgres) port=5432 ;;
    mysql | mysql2 | mariadb) port=3306 ;;
    sqlserver | mssql) port=1433 ;;
    clickhouse) port=9000 ;;
    mongodb) port=27017 ;;
    redis | rediss) port=6379 ;;
    *) why="its scheme is not known"; return 1 ;;
  esac
  case $scheme in *+srv) why="its host is found by DNS SRV"; return 1 ;; esac
  # Only the authority may hold credentials: an @ behind it means that a password was cut, or cannot be told.
  authority=${value%%[/?;]*}
  case ${value#"$authority"} in *@*) why="it cannot be told apart from its credentials"; return 1 ;; esac
  value=${authority##*@}
  case $value in *,*) why="it names several hosts"; return 1 ;; esac
  case $value in tcp\(*\)) value=${value#tcp\(} value=${value%\)} ;; esac
  case $value in
    \[*\]:*) port=${value##*\]:} host=${value%%\]*} host=${host#\[} ;;
    \[*\]) host=${value#\[} host=${host%\]} ;;
    *:*:*) host=$value ;;
    *:*) port=${value#*:} host=${value%%:*} ;;
    *) host=$value ;;
  esac
  case $host in
    '') why="it names no host"; return 1 ;;
    *[!A-Za-z0-9.:_%-]*) why="its host is not readable"; return 1 ;;
  esac
  # A Service named "postgres" gives every pod POSTGRES_PORT=tcp://10.0.0.7:5432.
  case $port in tcp://*) port=${port##*:} ;; esac
  case $port in '' | *[!0-9]*) why="it names no port"; return 1 ;; esac
}

if [ -n "${WAVEGATE_DATABASE-}" ]; then
  source=wavegate.dev/database
  read_target "$WAVEGATE_DATABASE" '' || skip "$source is not usable: $why"
else
  source=
  for name in $WAVEGATE_URLS; do
    eval "value=\${$name-}"
    if [ -n "$value" ]; then
      source=$name
      read_target "$value" '' || skip "$name is not usable: $why"
      break
    fi
  done
  if [ -z "$source" ]; then
    for entry in $WAVEGATE_HOSTS; do
      names=${entry%:*} default=${entry##*:}
      eval "value=\${${names%:*}-} port_value=\${${names#*:}-}"
      if [ -n "$value" ]; then
        source=${names%:*}
        read_target "$value" "${port_value:-$default}" || skip "$source is not usable: $why"
        break
      fi
    done
  fi
  [ -n "$source" ] || skip "no variable names a database"
  case $host in
    localhost | *.localhost | 127.* | ::1 | 0.0.0.0) skip "$source names this pod itself" ;;
  esac
fi
command -v nc >/dev/null 2>&1 || skip "this image has no nc"

# Some builds of busybox have an nc without -z; running nothing behind the connection comes to the same.
only=-z then=
case $(nc -z 2>&1) in *'invalid option'* | *'unrecognized option'*) only='' then='-e true' ;; esac

start=$(date +%s) next=0 elapsed=0
# shellcheck disable=SC2086 # options, or nothing at all
until error=$(nc $only -w 3 "$host" "$port" $then 2>&1); do
  elapsed=$(( $(date +%s) - start ))
  if [ "$elapsed" -ge "$WAVEGATE_TIMEOUT" ]; then
    say "the migration is not started; check that the database runs and that its network policy admits this pod"
    # The last line is what a record quotes.
    say "$host:$port (from $source) did not accept a connection within $WAVEGATE_TIMEOUT s${error:+: $error}"
    exit 1
  fi
  if [ "$elapsed" -ge "$next" ]; then
    say "waiting for $host:$port (from $source), $elapsed s of $WAVEGATE_TIMEOUT s${error:+: $error}"
    next=$((elapsed + 5))
  fi
  sleep 1
done
say "$host:$port accepts connections after $elapsed s"
