# What the ring-*.sh scripts share; it is no script of its own.
#
# QUORAL_URL names a node of the cluster, or several with commas; QUORAL_TOKEN and QUORAL_CA work as for every verb. The
# command is the one beside this file, or QUORAL_COMMAND, such as "npx quoral" for scripts that were copied elsewhere.
#
# Exit status of all of them: 0 done or nothing to do, 1 something is wrong, 2 another change is under way or came first, or the node
# was started again and has forgotten the plan (run it again), 3 the change was aborted, 4 no node answers, 5 nobody knows yet whether
# it was done (run it again).

name=$(basename -- "$0" .sh)
dry_run='' throttle='' patience=60

# The comment at the head of the script.
usage() {
  sed -n '2,/^set /s/^# \{0,1\}//p' "$0" | sed '/^set /d'
}

say() {
  echo "$name: $1"
}

die() {
  echo "$name: $1" >&2
  exit "${2:-1}"
}

# $1 is an option that wants a value.
wants_value() {
  [ $# -ge 2 ] || die "$1 wants a value (see --help)"
}

# Options that all scripts take; returns 1 when $1 is another one, and otherwise how many words it was in $shifted.
common_option() {
  shifted=1
  case $1 in
    --dry-run) dry_run=yes ;;
    --throttle) wants_value "$@"; throttle=$2 shifted=2 ;;
    --patience) wants_value "$@"; patience=$2 shifted=2 ;;
    -h | --help) usage && exit ;;
    *) return 1 ;;
  esac
  case $patience in '' | *[!0-9]*) die "--patience $patience: must be a whole number of seconds" ;; esac
}

quoral() {
  if [ -n "${QUORAL_COMMAND:-}" ]; then $QUORAL_COMMAND "$@"; else node "$here/quoral.js" "$@"; fi
}

# What the cluster says of a node; sets $state (nothing when it is unknown) and $reachable (yes or NO). Two lines come before the members,
# and a name that looks like a number is a name.
look_at() {
  status=$(quoral ring status) || exit
  state=$(printf '%s\n' "$status" | awk -v node="$1" 'NR > 2 && $1 "" == node "" { print $2 }')
  reachable=$(printf '%s\n' "$status" | awk -v node="$1" 'NR > 2 && $1 "" == node "" { print $3 }')
}

# Before it is said that there is nothing to do: a node that is cut off from most of the members may not know what they have decided, and
# one that has just been started may know none.
be_sure() {
  printf '%s\n' "$status" | awk 'NR > 2 && $2 != "joining" { all += 1; if ($3 == "yes") reached += 1 }
    END { exit reached * 2 <= all }' ||
    die "the node that was asked reaches too few of the other members to know about $1: ask another one (QUORAL_URL)"
}

# Whether the change that is under way brings something to the node. Columns are two spaces apart, and names in one of them one.
still_gets() {
  moves=$(quoral ring transfers) || exit
  printf '%s\n' "$moves" | awk -F '  +' -v node="$1" '
    $1 == "stage" { table = 1; next }
    table && index(" " $3 " ", " " node " ") { found = 1 }
    END { exit !found }'
}

# Until a node that was started with --seeds is known; sets $state.
await_known() {
  waited=0
  while look_at "$1" && [ -z "$state" ]; do
    [ "$waited" -lt "$patience" ] || die "$1 does not wait to join: start it with --seeds, and look into its log"
    sleep 1
    waited=$((waited + 1))
  done
}

# Shows the plan for these options; sets $plan and $id.
make_plan() {
  plan=$(quoral ring plan "$@") || exit
  printf '%s\n' "$plan"
  id=$(printf '%s\n' "$plan" | sed -n '1s/^plan \([0-9a-f]*\),.*/\1/p')
}

# A plan that would wait for the dead member that goes: only its operator knows whether it can be there again.
refuse_to_wait_for() {
  case $plan in
    *"have too few owners without $1:"*)
      die "only $1 has some keys, and the change would wait for it: start it again, or give them up with --accept-loss"
      ;;
  esac
}

# Does what was planned and waits for its end, or says that it would.
apply_plan() {
  if [ -n "$dry_run" ]; then
    say 'nothing was changed (--dry-run)'
    exit 0
  fi
  quoral ring apply "$id" --wait ${throttle:+--throttle "$throttle"} || {
    result=$?
    [ "$result" -ne 2 ] || echo "$name: nothing was begun: run this again" >&2
    return "$result"
  }
}

# Before anybody is told to throw its data away: while nobody watched, the change may have been taken back, and another one made.
has_gone() {
  look_at "$1"
  [ "$state" != active ] || die "$1 is a member still: the change was taken back" 3
}
