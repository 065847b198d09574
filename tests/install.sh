#!/bin/sh
# Installs Debian packages without starting their services or making a cluster of PostgreSQL.
set -eu
if [ "$(id -u)" != 0 ]; then
  echo "only root can install packages" >&2
  exit 1
fi
made=
trap 'rm -f $made' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
export DEBIAN_FRONTEND=noninteractive
policy=/usr/sbin/policy-rc.d
if ! [ -e "$policy" ]; then
  made=$policy
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
fi
clusters=/etc/postgresql-common/createcluster.d
mkdir -p "$clusters"
if ! [ -e "$clusters/wavegate.conf" ]; then
  made="$made $clusters/wavegate.conf"
  echo 'create_main_cluster = false' >"$clusters/wavegate.conf"
fi
apt-get -o DPkg::Lock::Timeout=300 update -qq
apt-get -o DPkg::Lock::Timeout=300 install -qq -y --no-install-recommends "$@"
