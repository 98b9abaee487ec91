# Shared by the bash scripts beside it: where things are, how progress and failures are shown. Sourced, never run.
# shellcheck shell=bash
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=$root/.cache
venv=$root/.venv
packages_file=$root/src/madang/packages.toml

# THE list of front ends: name, folder of its sources, folder of its build. Set-up, build and start all use it.
front_ends=("page web src/madang/page")

if [[ -t 1 ]]; then on_terminal=1; else on_terminal=''; fi

say() { printf '%s\n' "$*"; }

# fail SENTENCE [WHAT TO DO NEXT]
fail() {
  printf '\n%s\n' "$1" >&2
  [[ -z ${2:-} ]] || printf '  What to do: %s\n' "$2" >&2
  exit 1
}

# Seconds since the time given in $EPOCHREALTIME's form, with one decimal.
seconds_since() {
  local now=${EPOCHREALTIME/[.,]/} then=${1/[.,]/}
  printf '%d.%d' $(((now - then) / 1000000)) $(((now - then) / 100000 % 10))
}

last_line() { tail -c 2000 "$1" 2>/dev/null | tr '\r' '\n' | sed 's/\x1b\[[0-9;?]*[a-zA-Z]//g' | grep -av '^[[:space:]]*$' | tail -n 1; }

# Waits without a process of its own, which would outlive the painter and hold its output open.
pause() { read -rt "$1" <> <(:) || true; }

# Paints the step that runs: on a terminal one line that moves, elsewhere a plain line now and then.
paint() {
  local title=$1 log=$2 started=$3 width line
  while kill -0 $$ 2>/dev/null; do
    if [[ $on_terminal ]]; then
      width=$(($(tput cols 2>/dev/null || echo 80) - ${#title} - 16))
      printf '\r\033[K  %s  %s s  \033[2m%.*s\033[0m' "$title" "$(seconds_since "$started")" $((width > 0 ? width : 0)) "$(last_line "$log")"
      pause 0.3
    else
      pause 15
      line=$(last_line "$log")
      printf '    %s s: %.100s\n' "$(seconds_since "$started")" "${line:-at work}"
    fi
  done
}

painter=''
stop_painter() {
  [[ $painter ]] || return 0
  kill "$painter" 2>/dev/null || true
  wait "$painter" 2>/dev/null || true
  painter=''
  [[ ! $on_terminal ]] || printf '\r\033[K'
}
trap stop_painter EXIT
trap 'stop_painter; say "Interrupted. The same command goes on from here."; exit 130' INT

# step TITLE WHAT-TO-DO-IF-IT-FAILS COMMAND...: runs the command, shows how it goes, its output only if it fails.
step() {
  local title=$1 hint=$2 started=$EPOCHREALTIME log status=0
  shift 2
  mkdir -p "$cache/logs"
  log=$cache/logs/$(printf '%s' "$title" | tr -cs '[:alnum:]\n' '-').log
  : >"$log"
  [[ $on_terminal ]] || say "  $title ..."
  paint "$title" "$log" "$started" 8>&- 9>&- &
  painter=$!
  "$@" >"$log" 2>&1 </dev/null 8>&- 9>&- || status=$?
  stop_painter
  if ((status)); then
    printf '  %s: failed after %s s (exit status %d). Its output ends with:\n\n' "$title" "$(seconds_since "$started")" "$status" >&2
    tail -n 40 "$log" | sed 's/^/    /' >&2
    printf '\n  All of it: %s\n' "${log#"$root"/}" >&2
    fail "The step \"$title\" failed." "$hint"
  fi
  say "  $title: done in $(seconds_since "$started") s"
}

# The groups of packages that these set-ups bring: groups_for "LEVEL..."
groups_for() {
  awk -v levels=" $1 " -F'[]["= ]+' '/^\[/ { group = $2 } /^setup = / && index(levels, " " $2 " ") { print group }' "$packages_file"
}

# The packages of a group, one a line.
packages_of() {
  awk -v wanted="[$1]" '/^\[/ { here = ($0 == wanted) } here && /^  "/ { gsub(/[ ",]/, ""); print }' "$packages_file"
}

# The daemons of these groups: units that must not run only because they were installed.
daemons_of() {
  awk -v wanted=" $* " -F'[]["]' '/^\[/ { here = index(wanted, " " $2 " ") } here && /^daemons = / { print $2 }' "$packages_file" |
    paste -sd' '
}

# One hash of the content and names of these files, and of the words after "--".
hash_of() {
  local files=()
  while (($#)) && [[ $1 != -- ]]; do files+=("$1"); shift; done
  { sha256sum "${files[@]}"; printf '%s\n' "$@"; } | sha256sum | cut -d' ' -f1
}

# A stamp says which inputs a piece of work was last done from.
stamped() { [[ -f $cache/stamps/$1 && $(<"$cache/stamps/$1") == "$2" ]]; }
stamp() { mkdir -p "$cache/stamps"; printf '%s\n' "$2" >"$cache/stamps/$1.new"; mv "$cache/stamps/$1.new" "$cache/stamps/$1"; }
unstamp() { rm -f "$cache/stamps/$1"; }

# What the page is built from: everything of its folder but what was installed or built there.
sources_hash() {
  (cd "$root/$1" && find . -name node_modules -prune -o -name .svelte-kit -prune -o -name test-results -prune -o \
    -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -d' ' -f1)
}

# Runs node's tools: those of the virtual environment, with the npm settings of the machine. The npm of PyPI has its
# prefix inside site-packages, so it does not find them by itself.
with_node() {
  local file settings=()
  if [[ -z ${npm_config_globalconfig:-} ]]; then
    for file in /etc/npmrc /usr/etc/npmrc; do
      [[ ! -e $file ]] || { settings=("npm_config_globalconfig=$file"); break; }
    done
  fi
  env "${settings[@]}" npm_config_update_notifier=false PATH="$venv/bin:$PATH" "$@"
}
