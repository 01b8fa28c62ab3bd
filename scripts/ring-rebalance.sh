#!/bin/sh
# Evens the ring out: each member gets what its weight deserves and replicas spread over zones, with the fewest moves.
#
#     ring-rebalance.sh [--dry-run] [--throttle 20MB/s] [--max-moves COUNT]
#
# More than COUNT replicas are not moved: then nothing is. A ring that is even stays as it is, so this may run every night.
# ring-common.sh says where the cluster is found and what the exit status means.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$(readlink -f -- "$0")")" && pwd)
. "$here/ring-common.sh"

most=''
while [ $# -gt 0 ]; do
  if common_option "$@"; then shift $shifted; continue; fi
  case $1 in
    --max-moves) wants_value "$@"; most=$2; shift ;;
    *) die "unknown argument $1 (see --help)" ;;
  esac
  shift
done
case $most in *[!0-9]*) die "--max-moves $most: must be a whole number" ;; esac

make_plan
case $plan in *'there is nothing to do'*) exit 0 ;; esac
moves=$(printf '%s\n' "$plan" | sed -n 's/^\([0-9]*\) replicas\{0,1\} of partitions move.*/\1/p')
# Nothing may move but the order in which owners are asked.
[ -z "$most" ] || [ "${moves:-0}" -le "$most" ] || die "$moves replicas would move, more than --max-moves $most"
apply_plan
