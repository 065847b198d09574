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
# What kubelet and containerd write to places that no option moves.
for place in /run /var/log; do mount -t tmpfs none "$place"; done
# Whatever looks for a name, say of a registry, asks the cluster's own server and is told at once that there is none.
echo "nameserver $address" >"$directory/resolv.conf"
mount --bind "$directory/resolv.conf" /etc/resolv.conf
# Volumes that the kubelet mounts must appear in the mount namespace of a container's runtime.
mount --make-rshared /
echo ready >"$directory/enclosure.ready"
# The parent of every orphan in here: it has to collect them.
while :; do
    sleep 1000 &
    wait || :
done
