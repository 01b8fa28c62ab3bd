#!/bin/sh
# Takes nodes that wait to join into the ring, and waits until they own their share.
#
#     ring-join.sh [--dry-run] [--throttle 20MB/s] [--patience SECONDS] NODE...
#
# Nodes are named by their ids and must have been started with --seeds; each is waited for up to --patience seconds (60). Safe to
# run twice: members are left alone, and one that still gets its share is named. ring-common.sh says where the cluster is found and
# what the exit status means.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$(readlink -f -- "$0")")" && pwd)
. "$here/ring-common.sh"

nodes=''
while [ $# -gt 0 ]; do
  if common_option "$@"; then shift $shifted; continue; fi
  case $1 in -*) die "unknown option $1 (see --help)" ;; esac
  nodes="$nodes $1"
  shift
done
[ -n "$nodes" ] || die 'name the nodes that shall join (see --help)'

joins='joins already, and still gets its share: quoral ring transfers --wait shows how far it is'
options=''
for node in $nodes; do
  await_known "$node"
  case $state in
    joining)
      ! still_gets "$node" || die "$node $joins" 2
      options="$options --join $node"
      ;;
    active | refilling)
      be_sure "$node"
      ! still_gets "$node" || die "$node $joins" 2
      say "$node is a member already"
      ;;
    *) die "$node is $state" 2 ;;
  esac
done
[ -n "$options" ] || { say 'nothing to do'; exit 0; }

# shellcheck disable=SC2086 # they are several words
make_plan $options
apply_plan
