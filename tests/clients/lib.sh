# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck shell=bash disable=SC2034
#
# For the scripts of this directory and tests/programs, in the guest: unmodified programs
# of Debian on a device, server and client in one guest. TAP; a case passes when both ends
# exit with 0 and the devices have moved the bytes. Sourced with the script's own
# arguments:
#
#   [-d DEVICE] [NAME-PATTERN]                both ends on one device
#   -s [NETNS:]DEVICE -c [NETNS:]DEVICE [NAME-PATTERN]
#                                             the server's and the client's end: a device,
#                                             and the network namespace of the programs

set -u

dev=hodp0 peer='' only=''
server_ns='' client_ns=''
while [ $# -gt 0 ]; do
	case $1 in
	-d) dev=$2; shift ;;
	-s)
		dev=${2#*:} server_ns=${2%"${2#*:}"}
		shift
		;;
	-c)
		peer=${2#*:} client_ns=${2%"${2#*:}"}
		shift
		;;
	*) only=$1 ;;
	esac
	shift
done
server_ns=${server_ns%:} client_ns=${client_ns%:} peer=${peer:-$dev}

# What comes before a command to run it at that end. Every namespace sees all devices
# (`rdma system`: shared), so programs that would take any are told which.
# Packets are worked on by kernel threads, which two programs that poll would keep off
# two CPUs for milliseconds each time: they yield to everybody (SCHED_IDLE). The
# scheduler must see all of them as one group: where each session has its own, a session
# with other programs in it, which yield to nobody, gives its idle ones next to no time.
on_server=() on_client=()
if [ "$dev" != "$peer" ]; then
	echo 0 > /proc/sys/kernel/sched_autogroup_enabled
	on_server=(${server_ns:+ip netns exec "$server_ns"} env "UCX_NET_DEVICES=$dev:1" "FI_VERBS_DEVICE_NAME=$dev" chrt --idle 0)
	on_client=(${client_ns:+ip netns exec "$client_ns"} env "UCX_NET_DEVICES=$peer:1" "FI_VERBS_DEVICE_NAME=$peer" chrt --idle 0)
fi

# address DEVICE PREFIX...: the IPv4 address of the device's netdev.
address()
{
	local device=$1 netdev

	shift
	netdev=$("$@" rdma link show "$device/1" | sed -n 's/.*netdev \([^ ]*\).*/\1/p')
	"$@" ip -4 -o addr show dev "$netdev" | awk '{print $4}' | cut -d/ -f1
}

work=$(mktemp -d)
ip=$(address "$dev" "${on_server[@]}")
client_ip=$(address "$peer" "${on_client[@]}")
n=0 bad=0
limit=${HODP_LIMIT:-120} # seconds for one end

leave()
{
	rm -rf "$work"
}
trap leave EXIT

# result NAME STATUS [WHY]: what the ends said is shown if it failed.
result()
{
	local f

	n=$((n + 1))
	if [ "$2" = 0 ]; then
		echo "ok $n - $1"
	else
		bad=$((bad + 1))
		for f in "$work"/*.out; do
			[ -s "$f" ] && tail -n 40 "$f" | tr -d '\r' | cut -c1-300 | sed "s|^|# $(basename "$f" .out): |"
		done
		echo "not ok $n - $1${3:+ # $3}"
	fi
	rm -f "$work"/*.out
}

wanted()
{
	case $1 in *"$only"*) return 0 ;; esac
	return 1
}

# A missing client is a failure: its package is what the guest is for.
need()
{
	local p

	for p; do
		command -v "$p" > /dev/null && continue
		echo "Bail out! $p is not installed in this guest"
		exit 1
	done
}

# counter NAME [DEVICE]: 0 where the device has none of that name (rxe's).
counter()
{
	local v=0

	read -r v 2> /dev/null < "/sys/class/infiniband/${2:-$dev}/ports/1/hw_counters/$1"
	echo "$v"
}

# total NAME: of the devices.
total()
{
	if [ "$dev" = "$peer" ]; then
		counter "$1"
	else
		echo $(($(counter "$1") + $(counter "$1" "$peer")))
	fi
}

# tcp PORT, cm PORT: whether somebody listens at the server's end; heard: on any port,
# by the CM or by TCP.
tcp()
{
	"${on_server[@]}" ss -Htln "sport = :$1" | grep -q .
}

cm()
{
	rdma resource show cm_id | grep "state LISTEN" | grep -q ":$1 "
}

heard()
{
	rdma resource show cm_id | grep -q "state LISTEN" || "${on_server[@]}" ss -Htln | grep -q .
}

# Wait until a server listens, or has given up.
listens()
{
	local i

	for ((i = 0; i < limit * 10; i++)); do
		"$@" && return 0
		kill -0 "$server" 2> /dev/null || return 1
		sleep 0.1
	done
	return 1
}

# Where the threads of a program are that timeout(1), $1, has started: state, what
# it waits for in the kernel, system call, and the library of the instruction.
where()
{
	local p t pc

	for p in $(pgrep -P "$1"); do
		for t in "/proc/$p/task"/*; do
			pc=$(awk 'NF > 1 { print $NF }' "$t/syscall")
			echo "$(cat "$t/comm"): $(sed -n 's/^State:\t//p' "$t/status"), $(cat "$t/wchan"), $(cat "$t/syscall")"
			[ -z "$pc" ] || python3 -c "
pc = $pc
for line in open('/proc/$p/maps'):
    low, high = (int(x, 16) for x in line.split()[0].split('-'))
    if low <= pc < high:
        print('  at', hex(pc - low), 'of', line.strip())"
			sed 's/^/  /' "$t/stack"
		done
	done
	rdma resource show qp
	rdma resource show cq
} 2>&1

# run_both LISTENS SERVER CLIENT: shell lines; 0, or says why not in $why.
# $endless: the server does not end by itself.
run_both()
{
	local c s i

	"${on_server[@]}" timeout -k 5 "$limit" bash -c "exec $2" > "$work/server.out" 2>&1 < /dev/null &
	server=$!
	# shellcheck disable=SC2086
	if ! listens $1; then
		kill "$server" 2> /dev/null
		wait "$server"
		why="the server does not listen (status $?)"
		return 1
	fi
	"${on_client[@]}" timeout -k 5 "$limit" bash -c "exec $3" > "$work/client.out" 2>&1 < /dev/null
	c=$?
	if [ -n "${endless:-}" ]; then
		kill -0 "$server" 2> /dev/null
		s=$?
		kill "$server" 2> /dev/null
		wait "$server"
	else
		for ((i = limit * 5; i > 0; i--)); do
			kill -0 "$server" 2> /dev/null || break
			sleep 0.1
		done
		[ $i -gt 0 ] || where "$server" > "$work/where.out"
		wait "$server"
		s=$?
	fi
	why="client exits with $c, server with $s"
	[ $c = 0 ] && [ $s = 0 ]
}

# moved BYTES FAULTS COMMAND...: run it; the devices must move that much meanwhile, and
# have so many page faults. If there are two, each must send packets.
moved()
{
	local bytes=$1 faults=$2 b f s c

	shift 2
	b=$(total payload_bytes) f=$(total page_faults)
	s=$(counter tx_packets) c=$(counter tx_packets "$peer")
	"$@" || return
	b=$(($(total payload_bytes) - b)) f=$(($(total page_faults) - f))
	s=$(($(counter tx_packets) - s)) c=$(($(counter tx_packets "$peer") - c))
	why="$b bytes of $bytes were moved, with $f page faults of $faults"
	[ "$b" -ge "$bytes" ] && [ "$f" -ge "$faults" ] || return
	[ "$dev" = "$peer" ] || [ "$bytes" = 0 ] ||
		or_say "$dev has sent $s packets and $peer $c" [ "$((s * c))" -gt 0 ]
}

# step NAME BYTES FAULTS COMMAND...: a case: run it, and the device must move that
# much meanwhile.
step()
{
	local name=$1

	wanted "$name" || return 0
	shift
	why=''
	moved "$@" > "$work/step.out" 2>&1
	result "$name" $? "$why"
}

# or_say WHY COMMAND...: run it; should it fail, the case's reason is WHY.
or_say()
{
	why=$1
	shift
	"$@"
}

# no_region_left PATTERN: of the kernel's user whose regions match.
no_region_left()
{
	result no-region-left "$( (rdma resource show mr dev "$dev"; rdma resource show mr dev "$peer") 2>&1 | grep -c -i "$1")"
}

# on_files NAME BYTES COMMAND: COMMAND DIRECTORY with files in memory, which are
# pinned, and on fsdax (guest/memory), where pinning is refused.
on_files()
{
	local dax=${HODP_DAX_EXT4:-}

	step "$1-tmpfs" "$2" 0 "$3" "$work"
	if [ -n "$dax" ]; then
		step "$1-fsdax" "$2" 1 "$3" "$dax"
	else
		result "$1-fsdax" 1 "no file system on pmem in this guest: run by guest/memory"
	fi
}

# finish: the plan, and the script's exit status.
finish()
{
	echo "1..$n"
	[ $n -gt 0 ] && [ $bad = 0 ]
	exit
}
