#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# build.sh [--in-tree | --unit-test] RDMA_CORE_SRC OUTDIR
#
# Build the provider out of tree, against the rdma-core source that matches the
# installed libibverbs. Leaves in OUTDIR:
#
#   libhmm_odp-rdmavNN.so   NN is the private ABI of that rdma-core
#   hmm_odp.driver
#
# RDMA_CORE_SRC is only read. Only the headers of rdma-core's own build are
# needed, so only these are generated (once); one compiler call does the rest.
#
#   --in-tree     instead copy the provider into a copy of rdma-core, as
#                 providers/hmm_odp, and let rdma-core build it. This proves that
#                 CMakeLists.txt works. Leaves OUTDIR/in-tree/lib*.so.
#   --unit-test   instead build OUTDIR/provider_ring_test: the provider on a fake
#                 kernel, with sanitizers.
#
# Needs gcc, cmake, ninja, python3, pkg-config, libnl-3-dev, libnl-route-3-dev.

set -euo pipefail
export LC_ALL=C

die()
{
	echo "build.sh: error: $*" >&2
	exit 1
}

mode=provider
case ${1:-} in
--in-tree | --unit-test)
	mode=${1#--}
	shift
	;;
esac
[ $# = 2 ] || die "usage: build.sh [--in-tree | --unit-test] RDMA_CORE_SRC OUTDIR"

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
uapi=$top/include/uapi/rdma/hmm_odp-abi.h
core=$(cd "$1" && pwd) || die "there is no directory $1"
[ -f "$core/buildlib/provider.map" ] || die "$core is not an rdma-core source tree"
mkdir -p "$2"
out=$(cd "$2" && pwd)
work=$out/work
# All modes share the generated headers, so only one may run at a time.
exec 9> "$out/.lock"
flock 9
sources=(cq.c hmm_odp.c qp.c send.c srq.c wr.c)

# CMakeLists.txt and this script must compile the same sources.
[ "$(sed -n 's/^  \(.*\.c\)$/\1/p' "$here/CMakeLists.txt" | xargs)" = "${sources[*]}" ] ||
	die "CMakeLists.txt and build.sh list different sources"

# The version of the source tree's private ABI.
abi=$(sed -n 's/^set(IBVERBS_PABI_VERSION "\([0-9]*\)")$/\1/p' "$core/CMakeLists.txt")
[ -n "$abi" ] || die "$core/CMakeLists.txt has no IBVERBS_PABI_VERSION"

run()
{
	"$@" > "$work/log" 2>&1 || {
		tail -n 40 "$work/log" >&2
		die "$1 failed; the whole log is in $work/log"
	}
}

configure()
{
	run cmake -S "$1" -B "$2" -GNinja -DCMAKE_BUILD_TYPE=RelWithDebInfo \
		-DNO_PYVERBS=1 -DNO_MAN_PAGES=1 -DENABLE_WERROR=0
}

# rdma-core's headers, generated again when the source tree changes.
headers()
{
	local id

	id="$core $(stat -c %Y "$core/CMakeLists.txt" "$core/libibverbs/driver.h" | xargs)"
	if [ ! -f "$work/core.id" ] || [ "$(cat "$work/core.id")" != "$id" ]; then
		rm -rf "$work"
		mkdir -p "$work"
		configure "$core" "$work/core"
		run ninja -C "$work/core" kern-abi
		echo "$id" > "$work/core.id"
	fi
	inc=$work/core/include
	if [ ! "$inc/kernel-abi/hmm_odp-abi.h" -nt "$uapi" ]; then
		python3 "$core/buildlib/make_abi_structs.py" "$uapi" "$work/kernel-abi.h"
		cp "$uapi" "$inc/rdma/hmm_odp-abi.h"
		mv "$work/kernel-abi.h" "$inc/kernel-abi/hmm_odp-abi.h"
	fi
}

# up_to_date FILE [INPUT...]: FILE exists and no input is newer.
up_to_date()
{
	[ -f "$1" ] && [ -z "$(find "$here" "$uapi" "$work/core.id" "${@:2}" \
		-type f -newer "$1" -print -quit)" ]
}

cflags=(-std=gnu11 -g -Wall -Wextra -Werror -Wmissing-prototypes -Wshadow
	-Wpointer-arith -D_GNU_SOURCE)

build_provider()
{
	local so=$out/libhmm_odp-rdmav$abi.so lib

	headers
	grep -qx "#define IBVERBS_PABI_VERSION $abi" "$inc/config.h" ||
		die "$inc/config.h is not for private ABI $abi"
	if up_to_date "$so" && [ -f "$out/hmm_odp.driver" ]; then
		return
	fi
	lib=$(gcc -print-file-name=libibverbs.so.1)
	[ -f "$lib" ] || lib=$(ldconfig -p | sed -n 's/.*libibverbs\.so\.1 .*=> //p' | head -n 1)
	[ -f "$lib" ] || die "there is no libibverbs.so.1: install libibverbs1"
	grep -q "IBVERBS_PRIVATE_$abi" "$lib" ||
		die "$lib does not have private ABI $abi of $core: use the source of the installed version"

	(cd "$here" && gcc "${cflags[@]}" -O2 -fPIC -shared -fvisibility=hidden \
		-include "$inc/config.h" -isystem "$inc" \
		-Wl,--version-script="$core/buildlib/provider.map" \
		-Wl,--no-undefined -Wl,--as-needed -Wl,-z,relro,-z,now \
		-o "$so.tmp" "${sources[@]}" "$lib")
	mv "$so.tmp" "$so"
	cp "$here/hmm_odp.driver" "$out/hmm_odp.driver"
}

build_unit_test()
{
	local t=$top/tests/unit bin=$out/provider_ring_test

	headers
	up_to_date "$bin" "$t"/provider_* "$t"/unit.* && return
	(cd "$here" && gcc "${cflags[@]}" -O1 -fno-omit-frame-pointer \
		-fsanitize=address,undefined -fno-sanitize-recover=undefined \
		-include "$inc/config.h" -isystem "$inc" -I "$here" -Wl,--wrap=write,--wrap=ioctl,--wrap=mmap,--wrap=munmap \
		-o "$bin.tmp" "${sources[@]}" "$t"/provider_*.c "$t"/unit.c -lpthread)
	mv "$bin.tmp" "$bin"
}

build_in_tree()
{
	local tree=$out/in-tree h=kernel-headers/CMakeLists.txt

	rm -rf "$tree" "$work/log"
	mkdir -p "$tree" "$work"
	cp -a "$core" "$tree/src"
	mkdir "$tree/src/providers/hmm_odp"
	cp -a "$here"/*.[ch] "$here/CMakeLists.txt" "$here/man" "$tree/src/providers/hmm_odp/"
	cp "$uapi" "$tree/src/kernel-headers/rdma/"
	# The four lines that a new provider adds to rdma-core.
	sed -i 's|^  rdma/hns-abi\.h$|  rdma/hmm_odp-abi.h\n&|' "$tree/src/$h"
	[ "$(grep -c hmm_odp-abi "$tree/src/$h")" = 2 ] || die "$h has changed its form"
	sed -i 's|^add_subdirectory(providers/hns)$|add_subdirectory(providers/hmm_odp)\nadd_subdirectory(providers/hmm_odp/man)\n&|' \
		"$tree/src/CMakeLists.txt"
	[ "$(grep -c providers/hmm_odp "$tree/src/CMakeLists.txt")" = 2 ] ||
		die "CMakeLists.txt of rdma-core has changed its form"
	configure "$tree/src" "$tree/build"
	run ninja -C "$tree/build" "hmm_odp-rdmav$abi"
	cp "$tree/build/lib/libhmm_odp-rdmav$abi.so" "$tree/"
	cp "$tree/build/providers/hmm_odp/hmm_odp.driver" "$tree/"
	if grep -A5 'warning:.*hmm_odp\|hmm_odp.*warning:' "$work/log" >&2; then
		die "the provider has warnings with rdma-core's flags"
	fi
}

case $mode in
provider) build_provider ;;
unit-test) build_unit_test ;;
in-tree) build_in_tree ;;
esac
