#!/bin/sh
# Runs docs/tutorial.md: its blocks, one after the other, as they stand there. The first that does not work ends it with 1.
#
#   sh docs/tutorial.sh
#       as a newcomer does: builds everything, and works in target/tutorial, which must not be there yet.
#   TUTORIAL_BUILT=DIR sh docs/tutorial.sh FOLDER
#       with `paynotify`, `stub_merchant` and `acme.wasm` of DIR instead of what the blocks `sh build` would build; works in FOLDER.
#   TUTORIAL_API and TUTORIAL_MERCHANT, HOST:PORT, stand for 127.0.0.1:8460 and 127.0.0.1:8461.
#
# What follows a fence says what is done: `sh` runs in this shell; `sh build` as well, if nothing was built; `sh background` is one
# command, which runs on until the end; `sh until` is repeated until it works, for a minute at most; `toml FILE` is written into FILE.
set -eu

page=$(cd "$(dirname "$0")" && pwd)/tutorial.md
api=${TUTORIAL_API:-127.0.0.1:8460}
merchant=${TUTORIAL_MERCHANT:-127.0.0.1:8461}
export PAYNOTIFY_API="http://$api"

steps=$(mktemp)
running=""
end() {
    for id in $running; do
        kill "$id" 2>/dev/null || true
    done
    wait
    rm -f "$steps"
}
trap end EXIT
trap 'exit 1' INT TERM

# What waits for a condition, twice a second.
until_it_works() {
    tries=0
    until block; do
        tries=$((tries + 1))
        if [ "$tries" -ge 120 ]; then
            echo "tutorial: that does not work within a minute" >&2
            return 1
        fi
        sleep 0.5
    done
}

# Each block becomes a step of a script. The shell reads that from the beginning to the end, so that folders and variables stay.
awk -v built="${TUTORIAL_BUILT:-}" '
    function begin() {
        print "cat <<\"TUTORIAL\"\n"
        print "--- tutorial.md:" NR ": " kind
        print "TUTORIAL"
        if (kind == "sh build" && built != "") { print "if [ -f build.sh ]; then cp \"$TUTORIAL_BUILT/acme.wasm\" .; fi"; skip = 1 }
        else if (kind == "sh until") print "block() {"
        else if (kind == "sh background") printf "exec_in_background() { exec "
        else if (kind ~ /^toml /) print "cat >\"" substr(kind, 6) "\" <<\"TUTORIAL\""
    }
    function finish() {
        if (kind == "sh until") print "}\nuntil_it_works"
        else if (kind == "sh background") print "}\nexec_in_background &\nrunning=\"$running $!\""
        else if (kind ~ /^toml /) print "TUTORIAL"
        skip = 0
    }
    /^```/ && inside { finish(); inside = 0; next }
    /^```/ {
        kind = substr($0, 4); inside = 1
        if (kind !~ /^(sh|sh build|sh until|sh background|toml .+)$/) { print "tutorial: line " NR ": what is `" kind "`?" > "/dev/stderr"; exit 1 }
        begin(); next
    }
    inside && !skip { print }
' "$page" >"$steps"
sed -i "s/127\.0\.0\.1:8460/$api/g; s/127\.0\.0\.1:8461/$merchant/g" "$steps"

if [ -n "${TUTORIAL_BUILT:-}" ]; then
    PATH="$TUTORIAL_BUILT:$PATH"
    cd "$1"
else
    cd "$(dirname "$page")/.."
fi
. "$steps"
echo
echo "tutorial: everything works"
