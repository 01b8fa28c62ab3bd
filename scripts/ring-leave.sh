#!/bin/sh
# Drains a member: its data moves to the others, and when it owns nothing any more it is taken out of the ring.
#
#     ring-leave.sh [--dry-run] [--throttle 20MB/s] [--before COMMAND] [--fewer-replicas] [--accept-loss] NODE
#
# Clients have to go elsewhere first, since a node that is no member answers no requests: COMMAND is run with the node's name, to
# take it out of the load balancer. A plan after which keys have fewer replicas is refused without --fewer-replicas. What only a
# dead NODE had, such as keys of buckets with n=1, is given up with --accept-loss, which is final; --dry-run says what that is. Safe to run
# twice: a node that is no member has left. ring-common.sh says where the cluster is found and what the exit status means.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$(readlink -f -- "$0")")" && pwd)
. "$here/ring-common.sh"

node='' before='' fewer='' accept=''
while [ $# -gt 0 ]; do
  if common_option "$@"; then shift $shifted; continue; fi
  case $1 in
    --before) wants_value "$@"; before=$2; shift ;;
    --fewer-replicas) fewer=yes ;;
    --accept-loss) accept=yes ;;
    -*) die "unknown option $1 (see --help)" ;;
    *) [ -z "$node" ] || die "one node at a time, not $node and $1"; node=$1 ;;
  esac
  shift
done
[ -n "$node" ] || die 'name the node that shall leave (see --help)'

look_at "$node"
case $state in
  '') be_sure "$node" && say "$node is no member, nothing to do"; exit 0 ;;
  joining)
    # It waits to be a member, or is about to become one.
    case $(quoral ring transfers) in 'nothing moves'*) be_sure "$node" && say "$node is no member, nothing to do"; exit 0 ;; esac
    die "$node may come with the change that is under way: quoral ring transfers --wait shows its end, then run this again" 2
    ;;
  leaving) die "$node is leaving already: quoral ring transfers --wait shows how far it is" 2 ;;
esac

make_plan --leave "$node" ${accept:+--accept-loss-of "$node"}
refuse_to_wait_for "$node"
case $plan in
  *'mind fewer-replicas'*) [ -n "$fewer" ] || die 'keys would have fewer replicas: --fewer-replicas says that this is meant' ;;
esac
[ -n "$dry_run" ] || [ -z "$before" ] || $before "$node" || die "$before $node has failed, nothing was changed"
apply_plan || { result=$?; [ -z "$before" ] || say "$before $node has been run: undo it if $node stays"; exit "$result"; }
has_gone "$node"
say "$node owns nothing any more: stop its process, then its data directory can go"
