# The first process of a node's namespaces: network, mounts, processes. When it is killed, the kernel kills every
# process in them, containers included, and the mounts and the network go with them.
#
# usage: unshare --net --mount --propagation private --pid --fork --kill-child --mount-proc sh -c "$(cat enclosure.sh)" enclosure DIRECTORY ADDRESS
set -eu
directory=$1 address=$2
ip link set lo up
# A bridge without members, since some kernels have no dummy device.
ip link add node0 type bridge
ip address add "$address/24" dev node0
ip link set node0 up
ip route add default via "$address"
echo 1 >/proc/sys/net/ipv4/ip_forward
# What the kubelet, containerd and the CNI plugins write to places that no option moves stays in here. Another kubelet's
# sockets are among those places.
for place in /run /var/log /var/lib; do
    case $directory/ in "$place"/*) echo "$directory must not be below $place: set TMPDIR" >&2 && exit 1 ;; esac
    mount -t tmpfs none "$place"
done
# The kubelet wants these settings, which belong to no namespace but to the whole machine. It leaves alone what has them.
mkdir "$directory/settings"
while read -r setting value; do
    [ -e "/proc/sys/$setting" ] || continue
    file=$directory/settings/$(echo "$setting" | tr / .)
    echo "$value" >"$file"
    mount --bind "$file" "/proc/sys/$setting"
done <<END
vm/overcommit_memory 1
vm/panic_on_oom 0
kernel/panic 10
kernel/panic_on_oops 1
kernel/keys/root_maxkeys 1000000
kernel/keys/root_maxbytes 25000000
END
# Whatever looks for a name, say of a registry, asks the cluster's own server and is told at once that there is none.
echo "nameserver $address" >"$directory/resolv.conf"
# Elsewhere it is a link into /run, which has just become empty.
resolver=$(readlink -m /etc/resolv.conf)
mkdir -p "${resolver%/*}"
[ -e "$resolver" ] || : >"$resolver"
mount --bind "$directory/resolv.conf" "$resolver"
# Volumes that the kubelet mounts must appear in the mount namespace of a container's runtime.
mount --make-rshared /
echo ready >"$directory/enclosure.ready"
# The parent of every orphan in here: it has to collect them.
while :; do
    sleep 1000 &
    wait || :
done
