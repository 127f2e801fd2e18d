# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
# shellcheck shell=bash
#
# Shared by all host-side scripts: where things live, how progress and
# failures are told, and how a cached result is built exactly once.
#
# Words:
#   cache   what is big and the same for every checkout (guest root, kernels,
#           unpacked sources). $HODP_CACHE, by default build/cache.
#   stamp   the file .stamp in a cached directory: the hash of the inputs that
#           it was built from. No stamp, or another hash: it is built again.

set -euo pipefail

HODP_TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
HODP_BUILD=$HODP_TOP/build
HODP_CACHE=${HODP_CACHE:-$HODP_BUILD/cache}
HODP_ROOT=$HODP_CACHE/guest/root
HODP_IMAGE=$HODP_CACHE/guest/root.img
HODP_RDMA_CORE=${HODP_RDMA_CORE:-$HODP_CACHE/rdma-core}
HODP_LINUX=$HODP_CACHE/linux-source

HODP_SUITE=${HODP_SUITE:-trixie}
HODP_LIBDIR=usr/lib/x86_64-linux-gnu/libibverbs

export HODP_TOP HODP_BUILD HODP_CACHE HODP_ROOT HODP_IMAGE HODP_RDMA_CORE
export HODP_LINUX HODP_SUITE HODP_LIBDIR
export LC_ALL=C.UTF-8

# One clear sentence that names the remedy, then out.
die()
{
	printf 'hmm_odp: error: %s\n' "$*" >&2
	exit 1
}

say()
{
	printf '%s\n' "${HODP_STEP:+[$HODP_STEP] }$*" >&2
}

# Progress for what takes a second or more; silent with HODP_QUIET.
note()
{
	[ -n "${HODP_QUIET:-}" ] || say "$@"
}

need_root()
{
	[ "$(id -u)" = 0 ] || die "$1 needs root: run it with sudo or as root"
}

# hash_of WORD... : one hash over words; files are named by hash_files.
hash_of()
{
	printf '%s\n' "$@" | sha256sum | cut -c1-32
}

# hash_files FILE...: one hash over names and contents; missing files count.
hash_files()
{
	sha256sum -- "$@" 2>/dev/null | sha256sum | cut -c1-32
}

stamp_ok()
{
	[ -f "$1/.stamp" ] && [ "$(cat "$1/.stamp")" = "$2" ]
}

# cached DIR HASH FUNCTION: make DIR by calling FUNCTION TMPDIR, unless it is
# there with this very hash. The result appears by one rename, so that a run
# which is interrupted leaves only a DIR.tmp, which the next one removes. The
# lock makes a second run wait for the first instead of working beside it.
cached()
{
	local dir=$1 hash=$2 fn=$3

	stamp_ok "$dir" "$hash" && return 0
	mkdir -p "$(dirname "$dir")"
	# -o: a child that outlives us must not keep the lock.
	exec 8>"$dir.lock"
	if ! flock -n 8; then
		say "waiting for another run which is making $(basename "$dir")"
		flock 8
	fi
	if stamp_ok "$dir" "$hash"; then
		exec 8>&-
		return 0
	fi
	rm -rf --one-file-system "$dir.tmp" "$dir.old"
	mkdir "$dir.tmp"
	"$fn" "$dir.tmp" 8>&-
	printf '%s\n' "$hash" > "$dir.tmp/.stamp"
	if [ -e "$dir" ]; then
		mv "$dir" "$dir.old"
	fi
	mv "$dir.tmp" "$dir"
	rm -rf --one-file-system "$dir.old"
	exec 8>&-
}

# logged LOG WHAT COMMAND...: run it with its output in LOG; on failure show
# the end of it.
logged()
{
	local log=$1 what=$2

	shift 2
	mkdir -p "$(dirname "$log")"
	if ! "$@" > "$log" 2>&1 < /dev/null; then
		tail -n 40 "$log" >&2
		die "$what failed; the whole log is in $log"
	fi
}

# TAP, for tests in shell. tap STATUS NAME [COMMAND...]: a result; what COMMAND
# prints is said if it is bad. tap_end: the plan, and the script's exit status.
tap_count=0 tap_failed=0

tap()
{
	local status=$1 name=$2

	shift 2
	tap_count=$((tap_count + 1))
	if [ "$status" = 0 ]; then
		echo "ok $tap_count - $name"
	else
		"$@" 2>&1 | sed 's/^/# /'
		echo "not ok $tap_count - $name"
		tap_failed=1
	fi
}

tap_end()
{
	echo "1..$tap_count"
	exit "$tap_failed"
}

# The archive that this host's apt uses for Debian itself. apt is asked, not
# its files: that covers both formats and drops third parties by their origin.
debian_mirror()
{
	local uri

	# awk reads to the end: had it left at the first match, apt-get would
	# now and then have died of SIGPIPE, and with it the script, silently.
	uri=$(apt-get indextargets \
		--format '$(ORIGIN)|$(LABEL)|$(CODENAME)|$(COMPONENT)|$(REPO_URI)' \
		'Identifier: Packages' 2>/dev/null |
		awk -F'|' -v host="$(. /etc/os-release; echo "${VERSION_CODENAME:-}")" \
		    '!n && $1 == "Debian" && $2 == "Debian" && $3 == host && $4 == "main" {
			print $5; n++ }') || die "apt-get indextargets failed on this host: see what apt-get check says"
	case $uri in
	mirror+file:*)
		uri=$(awk '!/^#/ && NF { print $1; exit }' "${uri#mirror+file:}")
		;;
	esac
	[ -n "$uri" ] || die "apt on this host names no archive with Debian's" \
		"main component: add one to /etc/apt/sources.list and run apt-get update"
	printf '%s\n' "${uri%/}"
}

# An apt with lists of its own, for suites that this host does not use:
#   private_apt_init DIR SOURCE-LINE     private_apt DIR PROGRAM ARGUMENT...
private_apt_init()
{
	mkdir -p "$1/lists/partial" "$1/cache/archives/partial"
	: > "$1/status"
	echo "$2" > "$1/sources.list"
}

private_apt()
{
	local dir=$1 prog=$2

	shift 2
	"$prog" -q \
		-o Dir::Etc::SourceList="$dir/sources.list" \
		-o Dir::Etc::SourceParts=/dev/null \
		-o Dir::State::Lists="$dir/lists" \
		-o Dir::State::Status="$dir/status" \
		-o Dir::Cache="$dir/cache" \
		-o APT::Sandbox::User=root \
		-o Acquire::Languages=none "$@"
}

# fetch_source APT PACKAGE VERSION PATTERN: files of a source package whose names
# match (an extended regular expression), into APT, a directory of
# private_apt_init. Not "apt-get source": a mirror may lack the .dsc although it
# has the tarballs. The sums come from the signed index either way.
fetch_source()
{
	local uri file sum

	private_apt "$1" apt-get update
	private_apt "$1" apt-get --print-uris --only-source source "$2=$3" |
		grep "^'" > "$1/uris"
	while read -r uri file _ sum; do
		[[ $file =~ $4 ]] || continue
		case $sum in
		SHA256:* | SHA512:*) ;;
		*) die "the archive gives no SHA256 for $file: use another mirror" ;;
		esac
		uri=${uri#\'}
		/usr/lib/apt/apt-helper -o APT::Sandbox::User=root \
			download-file "${uri%\'}" "$1/$file" "$sum"
	done < "$1/uris"
}

# The version of a package in the guest root.
guest_version()
{
	sed -n "/^Package: $1\$/,/^\$/s/^Version: //p" "$HODP_ROOT/var/lib/dpkg/status"
}

# The kernel release inside the guest root. Exactly one is installed.
guest_release()
{
	local dirs=("$HODP_ROOT"/usr/lib/modules/*/)

	[ -d "${dirs[0]}" ] || die "the guest root holds no kernel: remove $HODP_ROOT and run again"
	basename "${dirs[0]}"
}

# kernel_vars NAME: set for a kernel by name, "stock" or "debug":
#   KREL     its release           KIMAGE  the image to boot (host path)
#   KMODULES its module tree (host path)
#   KBUILD   its build tree for M= builds, as seen in the chroot
kernel_vars()
{
	case $1 in
	stock)
		KREL=$(guest_release)
		KIMAGE=$HODP_ROOT/boot/vmlinuz-$KREL
		KMODULES=$HODP_ROOT/usr/lib/modules/$KREL
		KBUILD=/lib/modules/$KREL/build
		;;
	*)
		local dir=$HODP_CACHE/kernels/$1

		[ -f "$dir/release" ] ||
			die "there is no kernel \"$1\": run scripts/prepare kernel-$1, or use stock or debug"
		KREL=$(cat "$dir/release")
		KIMAGE=$dir/vmlinuz
		KMODULES=$dir/modules/lib/modules/$KREL
		KBUILD=/cache/kernels/$1/build
		;;
	esac
	export KREL KIMAGE KMODULES KBUILD
}

# All source files that the module is built from, one hash. They are in the
# checkout, or in a copy that HODP_MODULE_SOURCES names (tests/mutants/run).
module_sources_hash()
{
	local files top=${HODP_MODULE_SOURCES:-$HODP_TOP}

	mapfile -t files < <(cd "$top" && find drivers include -type f \
		\( -name '*.[ch]' -o -name Makefile -o -name Kbuild -o -name Kconfig \) \
		2> /dev/null | sort)
	(cd "$top" && hash_files "${files[@]}")
}
