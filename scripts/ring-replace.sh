#!/bin/sh
# Replaces a member that is gone for good by a new node, which gets exactly its places.
#
#     ring-replace.sh [--dry-run] [--throttle 20MB/s] [--patience SECONDS] [--alive | --accept-loss] OLD NEW
#
# NEW must have been started with --seeds; it is waited for up to --patience seconds (60). Its data comes from the other owners.
# An OLD that can be reached is replaced only with --alive; then it brings its data itself. A node of the same name with an empty
# disk needs none of this: it is filled by itself. What only OLD had, such as keys of buckets with n=1, is given up with --accept-loss,
# which is final; without it such a plan is refused, because the change would wait for OLD. --dry-run says what that is. Safe to run twice. ring-common.sh says where the cluster is found and what the
# exit status means.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$(readlink -f -- "$0")")" && pwd)
. "$here/ring-common.sh"

old='' new='' alive='' accept=''
while [ $# -gt 0 ]; do
  if common_option "$@"; then shift $shifted; continue; fi
  case $1 in
    --alive) alive=yes ;;
    --accept-loss) accept=yes ;;
    -*) die "unknown option $1 (see --help)" ;;
    *) if [ -z "$old" ]; then old=$1; elif [ -z "$new" ]; then new=$1; else die "one node at a time (see --help)"; fi ;;
  esac
  shift
done
[ -n "$new" ] || die 'name the member that goes and the node that comes (see --help)'

look_at "$new"
new_state=$state
look_at "$old"
if [ -z "$state" ]; then
  case $new_state in
    active | refilling) ;;
    *) die "$old is no member, so nobody can take its place" ;;
  esac
  be_sure "$old"
  say "$old is no member and $new is one, nothing to do"
  exit 0
fi
[ "$state" != leaving ] || die "$old is leaving already: quoral ring transfers --wait shows how far it is" 2
if [ "$reachable" = yes ] && [ -z "$alive" ]; then die "$old can be reached: --alive says that it shall go all the same"; fi

await_known "$new"
[ "$state" = joining ] || die "$new does not wait to join, it is $state"
make_plan --replace "$old=$new" ${accept:+--accept-loss-of "$old"}
refuse_to_wait_for "$old"
apply_plan
has_gone "$old"
say "$old is no member any more; it is refused if it comes back, and its data directory can go"
